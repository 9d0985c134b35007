"""StarGAN v2 against its paper and published code (Choi et al. 2020)."""

import copy
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor
from torch.nn import functional

import pixlate_stargan
from pixlate.errors import PixlateError
from pixlate.plugin.data import stack
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.testing import make_photographs
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer

(METHOD,) = pixlate_stargan.pixlate_methods()
SMALL = {"channels": 4, "most_channels": 8, "downsamplings": 1, "style_length": 6, "latent_length": 5, "mapping_channels": 8, "patch": 8, "hold_out": 0}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


@pytest.fixture(scope="module")
def seasons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two domains, of which one has more images."""
    folder = tmp_path_factory.mktemp("seasons")
    for seed, (name, count) in enumerate((("summer", 3), ("winter", 9))):
        make_photographs(folder / name, count, 20, 26, seed)
    return folder


def options(folder: Path, **values: Any) -> RunOptions:
    values = {**SMALL, "device": "cpu", "workers": 1, "steps": 10, "batch": 4, **values}
    parts: list[Any] = [
        replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values})
        for owner in (METHOD.options, METHOD.data.options, METHOD.training)
    ]
    return RunOptions(METHOD, parts[0], (folder,), parts[1], parts[2]).with_facts()


def trainer_of(run: RunOptions) -> Trainer:
    return Trainer(run, Fabric(accelerator="cpu", devices=1))


def test_networks_have_the_parameters_of_the_published_code() -> None:
    gan: Any = METHOD.gan(METHOD.options(), {"domains": ["cat", "dog"], "side": 256})
    networks = {"generator": gan.translate, "mapping": gan.mapping, "style": gan.style_encoder, "discriminator": gan.discriminators}
    found = {name: sum(parameter.numel() for parameter in network.parameters()) for name, network in networks.items()}
    widths = (64, 128, 256, 512, 512, 512, 512)

    def convolution(first: int, second: int, side: int = 3, bias: bool = True) -> int:
        return first * second * side**2 + second * bias

    def block(first: int, second: int) -> int:
        return convolution(first, first) + convolution(first, second) + (convolution(first, second, 1, bias=False) if first != second else 0)

    trunk = convolution(3, 64) + sum(block(*pair) for pair in pairwise(widths)) + convolution(512, 512, 4)
    dense = convolution(16, 512, 1) + 3 * convolution(512, 512, 1) + 2 * (3 * convolution(512, 512, 1) + convolution(512, 64, 1))
    levels = [*pairwise(widths[:5]), (512, 512), (512, 512)]
    halvings = sum(block(*pair) + 4 * pair[0] for pair in levels)  # each with two norms of a weight and a bias
    doublings = sum(
        convolution(wide, narrow) + convolution(narrow, narrow) + (convolution(wide, narrow, 1, bias=False) if wide != narrow else 0)
        + sum(64 * 2 * each + 2 * each for each in (wide, narrow))
        for narrow, wide in levels
    )  # fmt: skip
    assert found == {
        "generator": convolution(3, 64) + halvings + doublings + 2 * 64 + convolution(64, 3, 1),
        "mapping": dense,
        "style": trunk + 2 * convolution(512, 64, 1),
        "discriminator": trunk + convolution(512, 2, 1),
    }
    assert found == {"generator": 33_892_995, "mapping": 2_438_272, "style": 20_916_928, "discriminator": 20_852_290}


def test_defaults_are_the_published_ones() -> None:
    chosen, data, training = METHOD.options(), METHOD.data.options(), METHOD.training()
    assert (chosen.style_length, chosen.latent_length, chosen.mapping_channels, chosen.mapping_learning_rate) == (64, 16, 512, 1e-6)
    assert (chosen.r1, chosen.style_weight, chosen.diversity_weight, chosen.cycle_weight) == (1, 1, 1, 1)
    assert (data.patch, data.crop, data.mirror) == (256, 0.5, True)
    assert (training.steps, training.batch, training.learning_rate, training.betas) == (100_000, 8, 1e-4, (0.0, 0.99))
    assert (training.weight_decay, training.average_decay, training.schedule, training.optimizer) == (1e-4, 0.999, "constant", "adam")


def test_weight_of_diversity_falls_to_zero_over_the_run_or_the_steps_asked_for() -> None:
    for steps, expected in ((0, [2, 1.5, 1, 0.5]), (50, [2, 1, 0, 0])):
        gan: Any = METHOD.gan(METHOD.options(**{**few(), "diversity_weight": 2.0, "diversity_steps": steps}), METHOD.data.example_facts)
        found = []
        for step in (0, 25, 50, 75):
            gan.begin_step(step, 100)
            found.append(gan.diversity)
        assert found == expected


def few() -> dict[str, Any]:
    return {name: value for name, value in SMALL.items() if name in {item.name for item in fields(METHOD.options)}}


def test_initial_weights_are_he_s_normal_distribution_and_biases_zero() -> None:
    torch.manual_seed(0)
    gan: Any = METHOD.gan(METHOD.options(channels=32, most_channels=64, mapping_channels=64), {"domains": ["cat", "dog"], "side": 64})
    layers = [layer for layer in gan.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
    for layer in layers:
        fan_in = layer.weight[0].numel()
        assert layer.weight.numel() < 2000 or float(layer.weight.detach().std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
        assert layer.bias is None or not layer.bias.any()
    assert len(layers) > 50


def logistic(logits: Tensor, wanted: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))


def test_steps_are_the_published_ones(seasons: Path) -> None:
    """Discriminator with noise, with references; generator, mapping network and style encoder with noise; generator alone with references."""
    rates = {"learning_rate": 1e-3, "mapping_learning_rate": 1e-5, "diversity_weight": 1.5, "style_weight": 0.7, "cycle_weight": 1.3, "r1": 0.9}
    trainer = trainer_of(options(seasons, **rates))
    gan: Any = copy.deepcopy(trainer.gan)
    translate, mapping, encode, judge = gan.translate.network, gan.mapping, gan.style_encoder.network, gan.discriminators["target"].network
    adam: dict[str, Any] = {"betas": (0.0, 0.99), "weight_decay": 1e-4}
    judges = torch.optim.Adam(judge.parameters(), 1e-3, **adam)
    makers = [torch.optim.Adam(network.parameters(), rate, **adam) for network, rate in ((translate, 1e-3), (mapping, 1e-5), (encode, 1e-3))]
    for step in range(3):
        draws = trainer.data.draw(step * 4, 4, 0)
        batch = stack([trainer.data.load(draw, 8) for draw in draws])
        real, shown, second = (batch[name] * 2 - 1 for name in ("source", "target", "target_other"))
        origin, domain, latent, other = (batch[name] for name in ("origin", "domain", "latent", "latent_other"))
        expected: dict[str, Tensor] = {}
        for phase in ("latent", "reference"):
            with torch.no_grad():
                fake = translate(real, mapping(latent, domain) if phase == "latent" else encode(shown, domain))
            seen = real.clone().requires_grad_()
            logits = judge(seen, origin)
            (slope,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
            expected[f"r1_{phase}"] = 0.9 * 0.5 * slope.pow(2).sum((1, 2, 3)).mean()
            expected[f"discriminator_{phase}"] = logistic(logits, 1) + logistic(judge(fake, domain), 0)
            judges.zero_grad()
            (expected[f"r1_{phase}"] + expected[f"discriminator_{phase}"]).backward()  # type: ignore[no-untyped-call]
            judges.step()
        for phase in ("latent", "reference"):
            style, other_style = (mapping(latent, domain), mapping(other, domain)) if phase == "latent" else (encode(shown, domain), encode(second, domain))
            fake, fake_other = translate(real, style), translate(real, other_style).detach()
            parts = {
                "adversarial": logistic(judge(fake, domain), 1),
                "style": 0.7 * (encode(fake, domain) - style).abs().mean(),
                "diversity": -1.5 * (1 - step / 10) * (fake - fake_other).abs().mean(),
                "cycle": 1.3 * (translate(fake, encode(real, origin)) - real).abs().mean(),
            }
            for maker in makers:
                maker.zero_grad()
            torch.stack([*parts.values()]).sum().backward()  # type: ignore[no-untyped-call]
            for maker in makers if phase == "latent" else makers[:1]:
                maker.step()
            expected |= {f"{name}_{phase}": value for name, value in parts.items()}
        found = trainer.step(step)
        assert {name: float(value) for name, value in found.items()} == pytest.approx(
            {name: float(value.detach()) for name, value in expected.items()}, rel=2e-4
        )
    after = trainer.gan.state_dict()
    assert gan.state_dict().keys() == after.keys()
    differences = torch.cat([(value - after[name]).abs().flatten() for name, value in gan.state_dict().items()])
    assert float((differences < 2e-5).float().mean()) > 0.99  # a few have so little gradient that rounding turns it round
    moved = torch.cat([(value - after[name]).abs().flatten() for name, value in trainer_of(options(seasons, **rates)).gan.state_dict().items()])
    assert float((moved > 5e-4).float().mean()) > 0.7


def test_domains_are_drawn_alike_however_many_images_they_have(seasons: Path) -> None:
    data: Any = trainer_of(options(seasons)).data
    draws = data.draw(0, 4000, 0)
    for place in range(3):
        share = np.mean([data.labels[draw.indices[place]] for draw in draws])
        assert share == pytest.approx(0.5, abs=0.03)
    assert all(data.labels[draw.indices[1]] == data.labels[draw.indices[2]] for draw in draws)
    pairs = [data.labels[draw.indices[0]] == data.labels[draw.indices[1]] for draw in draws]
    assert np.mean(pairs) == pytest.approx(0.5, abs=0.03), "the domain to go to is drawn whatever the source is"
    assert data.draw(7, 5, 0) == draws[7:12], "a draw depends on its number alone"


def test_crops_are_of_80_to_100_percent_and_others_whole(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 256).round().astype(np.uint8)
    for name in ("across", "down"):
        (tmp_path / name).mkdir()
        pixels = np.repeat(np.broadcast_to(ramp, (256, 256))[:, :, None], 3, axis=2)
        Image.fromarray(np.ascontiguousarray(pixels if name == "across" else pixels.transpose(1, 0, 2))).save(tmp_path / name / "0.png")
    spans: dict[float, list[float]] = {}
    for crop in (0.0, 0.5, 1.0):
        data: Any = trainer_of(options(tmp_path, crop=crop, mirror=False, patch=128)).data
        patches = [data.load(draw, 128)["source"][0] for draw in data.draw(0, 200, 0)]
        spans[crop] = [max(float(patch[:, -1].mean() - patch[:, 0].mean()), float(patch[-1].mean() - patch[0].mean())) for patch in patches]
    whole = 0.99
    assert min(spans[0.0]) > whole
    assert np.mean(np.array(spans[0.5]) > whole) == pytest.approx(0.5, abs=0.1)
    assert min(spans[1.0]) == pytest.approx((0.8 / 1.1) ** 0.5, abs=0.03) and max(spans[1.0]) <= 1


@pytest.mark.parametrize("case", ["one domain", "two folders", "no folder", "empty"])
def test_folders_that_are_no_domains_are_refused(case: str, seasons: Path, tmp_path: Path) -> None:
    folders, expected = {
        "one domain": ((tmp_path,), f"expected one folder with a folder of images for each domain, at least two, got {tmp_path} with 1 of them; "),
        "two folders": ((seasons, seasons), "expected one folder with a folder of images for each domain, at least two, got 2 folders; "),
        "no folder": ((tmp_path / "gone",), f"at least two, got {tmp_path / 'gone'} with 0 of them; "),
        "empty": ((tmp_path,), f"in {tmp_path / 'winter'}, found none; name a folder that holds some"),
    }[case]
    make_photographs(tmp_path / "summer", 2, 20, 20)
    (tmp_path / ".hidden").mkdir()
    if case == "empty":
        (tmp_path / "winter").mkdir()
    run = options(seasons)
    with pytest.raises(PixlateError) as caught:
        trainer_of(replace(run, folders=folders, facts=None).with_facts())
    assert expected in str(caught.value)


@pytest.mark.parametrize("patch", [4, 48, 96])
def test_patches_that_the_discriminator_cannot_halve_to_4_are_refused(patch: int) -> None:
    with pytest.raises(PixlateError, match=f"expected --patch to be a power of two of at least 8, .*, got {patch}; use 256"):
        METHOD.data.options(patch=patch)


def test_patches_too_small_for_the_halvings_are_refused(seasons: Path) -> None:
    with pytest.raises(PixlateError, match="expected --patch to be a multiple of 16 of at least 32, which the network takes, got 16"):
        trainer_of(options(seasons, patch=16, downsamplings=4))


def test_exports_name_what_each_takes() -> None:
    exports = METHOD.gan(METHOD.options(**few()), {"domains": ["summer", "winter"], "side": 8}).exports()
    taken = {name: [each.name for each in export.spec.conditions] for name, export in exports.items()}
    assert taken == {"latent": ["latent", "domain"], "reference": ["reference", "domain"], "style": ["style"], "to-summer": ["latent"], "to-winter": ["latent"]}
    for export in exports.values():
        assert ModelSpec.from_json(export.spec.to_json()) == export.spec


def test_every_loss_is_explained(seasons: Path) -> None:
    trainer = trainer_of(options(seasons))
    assert trainer.step(0).keys() == trainer.gan.explained().keys()
