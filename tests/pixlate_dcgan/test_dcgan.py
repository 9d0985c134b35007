"""DCGAN against its paper (Radford et al. 2016), its presets against theirs, and that it learns to draw digits."""

import copy
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn

import pixlate_dcgan
from pixlate.errors import PixlateError
from pixlate.plugin.data import Batch
from pixlate.plugin.testing import check_method, make_photographs
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer
from pixlate_dcgan.recipes.digits import draw_digits, read
from pixlate_export.exporter import export_run
from pixlate_export.options import ExportOptions
from pixlate_onnx.runner import OnnxTranslator

(METHOD,) = pixlate_dcgan.pixlate_methods()
TINY: dict[str, Any] = {"channels": 4, "discriminator_channels": 4, "latent": 6}
NORMLESS: dict[str, Any] = {**TINY, "discriminator_norm": "none"}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


def options(*folders: Path, **values: Any) -> RunOptions:
    values = {"device": "cpu", "workers": 1, **values}
    owners = (METHOD.options, METHOD.data.options, METHOD.training)
    parts: list[Any] = [replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values}) for owner in owners]
    return RunOptions(METHOD, parts[0], folders, parts[1], parts[2])


def built(side: int = 16, grow_from: int = 0, **values: Any) -> Any:
    torch.manual_seed(0)
    return METHOD.gan(METHOD.options(**{**TINY, **values}), {"side": side, **({"grow_from": grow_from} if grow_from else {})})


def batch(side: int = 16, count: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return {"target": torch.rand(count, 3, side, side, generator=generator), "noise": torch.randn(count, 6, generator=generator)}


def test_defaults_are_those_of_the_paper() -> None:
    gan, data, training = METHOD.build(METHOD.options()), METHOD.data.options(), METHOD.training()
    generator, discriminator = gan.generators["source_to_target"], gan.discriminators["target"]
    counts = [sum(parameter.numel() for parameter in network.parameters()) for network in (generator, discriminator)]
    assert counts == [3_576_704, 2_765_568], "those of the DCGAN of PyTorch's tutorial"
    assert not any(isinstance(module, nn.Linear | nn.MaxPool2d | nn.AvgPool2d) for module in gan.modules()), "no dense and no pooling layers"
    assert {module.negative_slope for module in discriminator.modules() if isinstance(module, nn.LeakyReLU)} == {0.2}
    convolutions = [module for module in gan.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    assert all(abs(float(layer.weight.detach().std()) - 0.02) < 0.002 and abs(float(layer.weight.detach().mean())) < 0.001 for layer in convolutions)
    assert all(module.bias is None for module in convolutions)
    norms = [network.get_submodule(name) for network in (generator, discriminator) for name, _ in network.named_modules()]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in norms) == 4 + 3, "but at the last layer of one and the first of the other"
    assert (training.batch, training.learning_rate, training.betas, training.schedule) == (128, 2e-4, (0.5, 0.999), "constant")
    assert (data.patch, data.mirror) == (64, False)
    with torch.no_grad():
        drawn = generator(torch.randn(2, 100))
    assert drawn.shape == (2, 3, 64, 64) and drawn.min() >= 0 and drawn.max() <= 1
    spec = gan.spec()
    assert spec.output_size == (64, 64) and not spec.takes_image and spec.conditions[0].length == 100


@pytest.mark.parametrize("changes", [{}, {"channels_out": 1}, {"discriminator_norm": "group", "r1": 1.0}, {"objective": "hinge"}])
def test_contract_is_kept(changes: dict[str, Any]) -> None:
    check_method(METHOD, METHOD.options(**{**TINY, **changes}), facts={"side": 16})


def test_step_is_the_published_one(tmp_path: Path) -> None:
    """Ascend log D(x) + log(1 - D(G(z))), then log D(G(z)) with the discriminator of before, both by Adam (Goodfellow et al. 2014, algorithm 1)."""
    run = options(make_photographs(tmp_path / "photos", 8, 16, 16), **TINY, patch=16, resize=16, hold_out=1, batch=4, steps=3)
    trainer = Trainer(run, Fabric(accelerator="cpu", devices=1))
    own = copy.deepcopy(trainer.gan).train()
    given = trainer.loader.batch(*trainer._draws(0))
    generator, discriminator = own.generators["source_to_target"], own.discriminators["target"]
    optimizers = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (discriminator, generator)]

    def judged(images: Tensor) -> Tensor:
        return torch.sigmoid(discriminator(images * 2 - 1).double())

    fake = generator(given["noise"])
    first = -(judged(given["target"]).log() + (1 - judged(fake.detach())).log()).mean()
    torch.autograd.backward(first)
    optimizers[0].step()
    second = -judged(fake).log().mean()
    torch.autograd.backward(second)
    optimizers[1].step()
    losses = trainer.step(0)
    trainer.loader.close()
    assert losses["discriminator"].item() == pytest.approx(first.item(), rel=1e-5)
    assert losses["adversarial"].item() == pytest.approx(second.item(), rel=1e-5)
    for (name, value), expected in zip(trainer.gan.state_dict().items(), own.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=2e-6, msg=name)


def slopes(network: nn.Module, images: Tensor) -> Tensor:
    """Return the squared length of the gradient at each image in [0, 1], on the range [-1, 1], one image at a time."""
    lengths = []
    for image in images:
        point = (image[None] * 2 - 1).requires_grad_()
        (gradient,) = torch.autograd.grad(network(point).sum(), point)
        lengths.append(gradient.square().sum())
    return torch.stack(lengths)


def test_wgan_gp_is_the_published_loss() -> None:
    """E D(G(z)) - E D(x) + 10 E (||grad D(x~)|| - 1)^2, with x~ between the two (Gulrajani et al. 2017, equation 3)."""
    gan, given = built(**NORMLESS, objective="wasserstein", gradient_penalty=10.0), batch()
    images = gan.generate(given)
    fake, real, critic = images["target"].detach(), given["target"], gan.discriminators["target"]
    torch.manual_seed(3)
    losses = gan.discriminator_losses(given, {"target": fake})
    torch.manual_seed(3)
    share = torch.rand(4, 1, 1, 1)
    penalty = 10 * (slopes(critic, (1 - share) * real + share * fake).sqrt() - 1).square().mean()
    with torch.no_grad():
        distance = critic(fake * 2 - 1).mean() - critic(real * 2 - 1).mean()
        assert losses["discriminator"].item() == pytest.approx(float(distance), abs=1e-6)
        assert float(gan.generator_losses(given, images)["adversarial"]) == pytest.approx(float(-critic(fake * 2 - 1).mean()), abs=1e-6)
    assert losses["gradient_penalty"].item() == pytest.approx(penalty.item(), rel=1e-4)


def test_r3gan_is_the_published_loss() -> None:
    """E softplus(D(G(z)) - D(x)), with gamma / 2 E ||grad D||^2 at real and at generated images (Huang et al. 2025, equations 2 and 3)."""
    gan, given = built(**NORMLESS, objective="relativistic", r1=2.0, r2=2.0), batch()
    images = gan.generate(given)
    fake, real, critic = images["target"].detach(), given["target"], gan.discriminators["target"]
    losses = gan.discriminator_losses(given, {"target": fake})
    with torch.no_grad():
        apart = critic(real * 2 - 1) - critic(fake * 2 - 1)
        assert losses["discriminator"].item() == pytest.approx(float((1 + (-apart).exp()).log().mean()), rel=1e-5)
        assert float(gan.generator_losses(given, images)["adversarial"]) == pytest.approx(float((1 + apart.exp()).log().mean()), rel=1e-5)
    for name, where in (("r1", real), ("r2", fake)):
        assert losses[name].item() == pytest.approx(slopes(critic, where).mean().item(), rel=1e-4), "2 / 2"


def test_presets_have_the_published_rates() -> None:
    tables = {name: tomllib.loads(path.read_text())["train"]["dcgan"] for name, path in METHOD.presets.items()}
    wgan, r3gan = tables["wgan-gp"], tables["r3gan"]
    assert (wgan["gradient_penalty"], wgan["generator_every"], wgan["learning_rate"], wgan["betas"]) == (10, 5, 1e-4, [0.0, 0.9])
    assert wgan["discriminator_norm"] == "none" and wgan["batch"] == 64
    assert r3gan["objective"] == "relativistic" and r3gan["r1"] == r3gan["r2"] and r3gan["betas"][0] == 0


def test_networks_of_a_growing_side_are_those_of_that_side() -> None:
    grown = built(32, grow_from=8)
    for side in (8, 16, 32):
        alone = built(side, channels=4 * 32 // side, discriminator_channels=4 * 32 // side)
        state = grown.state_dict()
        alone.load_state_dict({name: state[name] for name in alone.state_dict()})
        given = batch(side)
        for gan in (alone, grown):
            gan.begin_step(0, 100)
            gan.fade = 1.0
        torch.testing.assert_close(grown.generate(given)["target"], alone.generate(given)["target"])
        torch.testing.assert_close(grown.verdicts(given, given)["target"][0], alone.verdicts(given, given)["target"][0])


def test_new_side_fades_in_from_the_pictures_of_half_the_side() -> None:
    gan = built(32, grow_from=8).eval()
    given = batch(16)
    half = given | {"target": nn.functional.avg_pool2d(given["target"], 2)}
    small, before = gan.generate(half)["target"], gan.verdicts(half, half)["target"][0]
    gan.begin_step(25, 100)  # the first step of pictures of 16
    assert gan.fade == 0
    faded = gan.generate(given)["target"]
    torch.testing.assert_close(faded, small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    torch.testing.assert_close(gan.verdicts(given, given)["target"][0], before)
    gan.begin_step(99, 100)
    assert gan.fade == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"patch": 24, "resize": 24}, "expected --patch, the side of what is drawn, to be one of 8, 16, 32, 64, 128, 256, 512, 1024, got 24"),
        ({"objective": "wasserstein"}, "expected --gradient-penalty with --objective wasserstein, got none"),
        ({"r1": 1.0}, "expected --discriminator-norm instance, group or none with --gradient-penalty, --r1 or --r2, got batch"),
        ({"objective": "hinge", "smoothing": 0.1}, "expected --smoothing with --objective vanilla or least-squares only"),
        ({"latent": 0}, "expected --latent of at least 1, got 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=sentence):
        options(**values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"grow_from": 4}, "expected patches of at least 8 pixels a side, which the discriminators take, got 4; raise --grow-from"),
        ({"grow_from": 12}, "expected --grow-from to double up to --patch, 16, got 12"),
        ({"hold_out": 3}, "expected more than 3 images, of which 3 are held out for validation, got 3"),
        ({"channels_out": 4}, "expected an image of 4 channels, got 3"),
    ],
)
def test_folders_and_options_that_do_not_fit_are_refused(values: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path / "photos", 3, 24, 20)
    with pytest.raises(PixlateError, match=sentence):
        train(options(photographs, **{**TINY, "patch": 16, "resize": 16, "hold_out": 1, "batch": 2, "steps": 1, **values}), tmp_path / "run", print, print)


def test_noise_of_another_length_is_refused(tmp_path: Path) -> None:
    path = exported(tmp_path)
    with pytest.raises(PixlateError, match=r"expected float \(2, 6\) for noise, got float32 \(2, 5\)"):
        OnnxTranslator(path, "cpu")(None, noise=np.zeros((2, 5), np.float32))


def exported(folder: Path, **changes: Any) -> Path:
    run = options(make_photographs(folder / "photos", 3, 24, 20), **TINY, patch=16, resize=16, hold_out=1, batch=2, steps=2, **changes)
    train(run, folder / "run", lambda progress: None, print)
    return export_run(folder / "run", folder / "model.onnx").path


def test_export_agrees_with_pytorch_at_five_seeds_and_any_batch(tmp_path: Path) -> None:
    exported(tmp_path, grow_from=8)
    run = RunOptions.load(tmp_path / "run", {"dcgan": METHOD})
    gan = run.build()
    from pixlate.training.checkpoint import load_checkpoint

    gan.load_state_dict(load_checkpoint(tmp_path / "run").average)
    gan.eval()
    for io in ("float", "uint8"):
        found = export_run(tmp_path / "run", tmp_path / f"{io}.onnx", ExportOptions(io))
        assert len(found.parity.differences) == 5
        translator = OnnxTranslator(found.path, "cpu")
        for seed in range(5):
            noise = np.random.default_rng(seed).standard_normal((seed + 1, 6), np.float32)
            with torch.no_grad():
                expected = gan.generators["source_to_target"](torch.from_numpy(noise)).permute(0, 2, 3, 1).numpy() * 255
            assert np.abs(translator(None, noise=noise) - expected).max() <= 0.51
        assert translator.spec.output_size == (16, 16)


def test_report_shows_pictures_of_noise_that_stays_the_same(tmp_path: Path) -> None:
    exported(tmp_path, validate_every=1)
    assert sorted(path.name for path in (tmp_path / "run" / "samples").iterdir()) == [
        "step-00000001.grid.jpg",
        "step-00000001.png",
        "step-00000002.grid.jpg",
        "step-00000002.png",
    ]
    assert "pixlate sample model.onnx" in (tmp_path / "run" / "report.html").read_text()
    gan, given = built(), batch(count=1)
    first, second = (gan.views(given, torch.zeros(1))["grid"].popitem()[1] for _ in range(2))
    assert first.shape == (1, 3, 16, 16 * 16) and torch.equal(first, second)
    assert not torch.equal(first, gan.views(batch(count=2) | {"noise": torch.zeros(1, 6)}, torch.zeros(1))["grid"].popitem()[1])


def test_recipe_reads_digits_and_no_noise(tmp_path: Path) -> None:
    known = draw_digits(tmp_path / "known", 600)
    fresh = draw_digits(tmp_path / "fresh", 50, seed=9)
    for index, path in enumerate(sorted(fresh.iterdir())):
        path.rename(fresh / f"{index:06}.png")
    counts = read(fresh, known)
    assert sum(counts.values()) >= 45 and all(2 <= count <= 10 for count in counts.values())


def sampled(run: Path, out: Path, count: int = 64) -> Path:
    from pixlate.cli.sample import sample

    assert sample(str(export_run(run, run.parent / f"{run.name}.onnx").path), str(out), count=count, seed=1, device="cpu", quiet=True) == 0
    return out


QUICK: dict[str, Any] = {"channels_out": 1, "channels": 16, "discriminator_channels": 16, "latent": 16, "patch": 16, "resize": 16, "batch": 32}


def test_three_digits_are_learnt_in_seconds(tmp_path: Path) -> None:
    digits = draw_digits(tmp_path / "digits", 300, "017")
    run = options(digits, **QUICK, learning_rate=1e-3, average_decay=0.9, steps=350, validate_every=1000, checkpoint_every=1000)
    with torch.no_grad():
        blurs = run.build().generators["source_to_target"](torch.randn(64, 16))[:, 0].mul(255).byte().numpy()
    (tmp_path / "untrained").mkdir()
    for number, pixels in enumerate(blurs):
        Image.fromarray(pixels).save(tmp_path / "untrained" / f"{number:06}.png")
    train(run, tmp_path / "run", lambda progress: None, print)
    learnt = read(sampled(tmp_path / "run", tmp_path / "out"), digits)
    assert sum(read(tmp_path / "untrained", digits).values()) == 0
    assert sum(learnt.values()) >= 32 and min(learnt.values()) >= 4, learnt


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 500, "grow_from": 8},
        {"steps": 500, "objective": "relativistic", "r1": 1.0, "r2": 1.0, "discriminator_norm": "none", "betas": (0.0, 0.99)},
        {"steps": 1000, "objective": "wasserstein", "gradient_penalty": 10.0, "discriminator_norm": "none", "betas": (0.0, 0.9), "generator_every": 5},
    ],
    ids=["grown", "r3gan", "wgan-gp"],
)
def test_digits_are_learnt_with_each_preset_and_by_growing(changes: dict[str, Any], tmp_path: Path) -> None:
    digits = draw_digits(tmp_path / "digits", 300, "017")
    run = options(digits, **QUICK, learning_rate=1e-3, average_decay=0.9, validate_every=2000, checkpoint_every=2000, **changes)
    train(run, tmp_path / "run", lambda progress: None, print)
    counts = read(sampled(tmp_path / "run", tmp_path / "out"), digits)
    assert sum(counts.values()) >= 15 and sum(count > 0 for count in counts.values()) >= 2, counts
