"""CycleGAN against its paper (Zhu et al. 2017), and that it learns what no pair shows."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pixlate_cyclegan
from pixlate.errors import PixlateError
from pixlate.plugin.testing import check_method, make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate.training.schedules import Schedule
from pixlate.training.starting import take_over
from pixlate_export.exporter import export_run

pytestmark = pytest.mark.usefixtures("operators_read_once")

(METHOD,) = pixlate_cyclegan.pixlate_methods()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


def options(*folders: Path, **values: Any) -> RunOptions:
    values = {"device": "cpu", "workers": 1, **values}
    parts: list[Any] = [
        replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values})
        for owner in (METHOD.options, METHOD.data.options, METHOD.training)
    ]
    return RunOptions(METHOD, parts[0], folders, parts[1], parts[2])


def test_defaults_are_those_of_the_paper() -> None:
    gan, data, training = METHOD.build(METHOD.options()), METHOD.data.options(), METHOD.training()
    for network in gan.generators.values():
        assert sum(parameter.numel() for parameter in network.parameters()) == 11_378_179
        norms = [module for module in network.modules() if isinstance(module, torch.nn.InstanceNorm2d)]
        assert norms and not any(norm.affine or norm.track_running_stats for norm in norms)
    patchgan = 3 * 64 * 16 + 64 + sum(first * second * 16 + second for first, second in ((64, 128), (128, 256), (256, 512))) + 512 * 16 + 1
    assert sorted(gan.generators) == ["source_to_target", "target_to_source"] and sorted(gan.discriminators) == ["source", "target"]
    assert all(sum(parameter.numel() for parameter in judge.parameters()) == patchgan for judge in gan.discriminators.values())
    assert (data.resize, data.patch, data.mirror) == (286, 256, True)
    assert (training.batch, training.learning_rate, training.betas, training.pool, training.average_decay) == (1, 2e-4, (0.5, 0.999), 50, 0.0)
    assert training.total_steps(1334) == 200 * 1334
    rates = Schedule(training, 200)
    assert [rates.factor(epoch) for epoch in (0, 50, 100, 150, 199)] == pytest.approx([1, 1, 1, 0.5, 0.01])
    chosen = METHOD.options()
    assert (chosen.cycle_weight, chosen.identity_weight, chosen.objective, chosen.dropout) == (10, 5, "least-squares", 0)


ATTENTION: list[dict[str, Any]] = [
    {"generator": "unet-vit", "depth": 2, "features": 8, "heads": 2},
    {"generator": "swin", "groups": 1, "heads": 2},
]


@pytest.mark.parametrize(
    "changes", [{}, {"generator": "unet", "depth": 3}, {"channels_in": 1, "identity_weight": 0.0}, {"skip": True, "attention": True}, *ATTENTION]
)
def test_contract_is_kept_by_every_network_both_ways(changes: dict[str, Any]) -> None:
    small = {"blocks": 1} if changes.get("generator") != "unet" else {}
    check_method(METHOD, METHOD.options(**{"channels": 4, "discriminator_channels": 4, "discriminator_layers": 2, **small, **changes}), side=32)


def test_identity_loss_between_domains_of_other_channels_is_refused() -> None:
    with pytest.raises(PixlateError, match=r"expected --identity-weight 0 where --channels-in, 1, is not --channels-out, 3, got 5\.0; set it to 0"):
        METHOD.options(channels_in=1)


def test_each_direction_of_the_cycle_has_its_weight() -> None:
    small = {"channels": 4, "blocks": 1, "discriminator_channels": 4, "discriminator_layers": 1, "identity_weight": 0.0}
    gan = METHOD.build(METHOD.options(cycle_weight=10.0, cycle_weight_target=3.0, **small))
    batch = {name: torch.rand(1, 3, 16, 16) for name in ("source", "target")}
    with torch.no_grad():
        losses = gan.generator_losses(batch, images := gan.generate(batch))
    for name, weight in (("source", 10), ("target", 3)):
        difference = 2 * (images[f"cycled_{name}"] - batch[name]).abs().mean()  # on [-1, 1]
        assert float(losses[f"cycle_{name}"]) == pytest.approx(weight * float(difference), rel=1e-5)
    with pytest.raises(PixlateError, match=r"expected --cycle-weight-target of at least 0, got -1\.0"):
        METHOD.options(cycle_weight_target=-1.0)


def test_preset_is_uvcgan() -> None:
    """Torbunov et al. 2022 and its code, whose images are in [0, 1], where differences are half as large, and whose penalty takes the sum of 30x30 logits."""
    recipe = tomllib.loads(METHOD.presets["uvcgan"].read_text())["train"]["cyclegan"]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in recipe.items()}
    owners: list[Any] = [METHOD.options, METHOD.training]
    chosen, training = (owner(**{item.name: values[item.name] for item in fields(owner) if item.name in values}) for owner in owners)
    assert (chosen.generator, chosen.channels, chosen.depth, chosen.blocks, chosen.features, chosen.heads) == ("unet-vit", 48, 4, 12, 384, 6)
    assert (2 * chosen.cycle_weight, 2 * chosen.identity_weight) == (10, 5)
    assert (training.total_steps(100), training.learning_rate, training.betas, training.pool, training.schedule) == (
        500 * 2000,
        1e-4,
        (0.5, 0.99),
        50,
        "linear",
    )
    with torch.device("meta"):
        (logits,) = METHOD.build(chosen).discriminators["target"](torch.empty(1, 3, 256, 256))
    assert logits.numel() * chosen.gradient_norm == pytest.approx(100)
    assert (chosen.gradient_penalty, chosen.penalty_range) == (0.1, "unit")


def test_one_generator_that_was_trained_to_reconstruct_starts_both() -> None:
    small = {"channels": 4, "blocks": 1, "discriminator_channels": 4, "discriminator_layers": 1}
    torch.manual_seed(0)
    gan, before = METHOD.build(METHOD.options(**small)), METHOD.build(METHOD.options(**small))
    weights = {name: value for name, value in before.state_dict().items() if name.startswith("generators.source_to_target.")}
    assert take_over(gan, weights).startswith(f"took over {2 * len(weights)} of ")
    there, back = (gan.generators[name].state_dict() for name in ("source_to_target", "target_to_source"))
    assert all(torch.equal(value, weights[f"generators.source_to_target.{name}"]) and torch.equal(value, back[name]) for name, value in there.items())
    assert take_over(gan, before.state_dict()) and torch.equal(
        gan.state_dict()["generators.target_to_source.network.head.1.weight"], before.state_dict()["generators.target_to_source.network.head.1.weight"]
    )


def test_both_generators_are_exported_with_their_own_channels(tmp_path: Path) -> None:
    folders = [make_photographs(tmp_path / name, 3, 24, 24, seed) for seed, name in enumerate(("source", "target"))]
    small = {"channels": 4, "blocks": 1, "discriminator_channels": 4, "discriminator_layers": 1, "patch": 16, "resize": 20, "hold_out": 1, "steps": 2}
    assert train(options(*folders, channels_in=1, identity_weight=0.0, **small), tmp_path / "run", lambda progress: None, print)
    there = export_run(tmp_path / "run", tmp_path / "there.onnx").spec
    back = export_run(tmp_path / "run", tmp_path / "back.onnx", generator="target_to_source").spec
    assert (there.channels_in, there.channels_out, there.direction) == (1, 3, "source-to-target")
    assert (back.channels_in, back.channels_out, back.direction) == (3, 1, "target-to-source")


FIRST, SECOND = np.array([235, 90, 20]), np.array([120, 160, 60])
"""The colours between which all pixels of sources are; targets have red and blue swapped."""


def colours(folder: Path, count: int, seed: int, swapped: bool) -> Path:
    """Write soft patterns of two colours, of which the first is far more common: only one way to swap them keeps the shares."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for index in range(count):
        coarse = Image.fromarray((generator.random((4, 4)) ** 3).astype(np.float32))
        share = np.array(coarse.resize((32, 32), Image.Resampling.BILINEAR))[..., None]
        pixels = (FIRST + share * (SECOND - FIRST)).astype(np.uint8)
        Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]) if swapped else pixels).save(folder / f"{index:02}.png")
    return folder


@pytest.mark.slow
def test_training_learns_a_swap_of_colours_without_pairs(tmp_path: Path) -> None:
    source, target = colours(tmp_path / "source", 12, 0, swapped=False), colours(tmp_path / "target", 12, 1, swapped=True)
    networks = {"blocks": 1, "downsamplings": 0, "channels": 8, "norm": "none", "initialisation": "xavier", "initial_gain": 1.0}
    judges = {"discriminator": ("pixel",), "discriminator_channels": 16, "discriminator_norm": "none", "identity_weight": 0.0}
    length = {"patch": 16, "resize": 32, "hold_out": 0, "batch": 4, "steps": 250, "learning_rate": 2e-3}
    chosen = options(source, target, **networks, **judges, **length)
    assert train(chosen, tmp_path / "run", lambda progress: None, print)
    gan = METHOD.build(chosen.method_options)
    gan.load_state_dict(load_checkpoint(tmp_path / "run").average)
    unseen = colours(tmp_path / "unseen", 6, 2, swapped=False)
    images = torch.stack([torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) / 255 for path in sorted(unseen.iterdir())])
    with torch.no_grad():
        translated = gan.exported().eval()(images)
        cycled = gan.exported("target_to_source").eval()(translated)
    assert float((images - images.flip(1)).abs().mean()) > 0.4
    assert float((translated - images.flip(1)).abs().mean()) < 0.06, "mean absolute error on [0, 1]"
    assert float((cycled - images).abs().mean()) < 0.05
