"""CycleGAN against its paper (Zhu et al. 2017), and that it learns what no pair shows."""

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


@pytest.mark.parametrize("changes", [{}, {"generator": "unet", "depth": 3}, {"channels_in": 1, "identity_weight": 0.0}, {"skip": True, "attention": True}])
def test_contract_is_kept_by_every_network_both_ways(changes: dict[str, Any]) -> None:
    small = {"blocks": 1} if "generator" not in changes else {}
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
