"""Generators with attention learn what convolutions of their size cannot, or what windows are for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pixlate.options import DegradedOptions, PairedOptions
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.testing import make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate_srgan.options import SRGANData

Pixels = NDArray[np.uint8]
COLOURS = np.array([[220, 40, 40], [40, 60, 220], [230, 210, 40], [30, 160, 70]])
LENGTH: dict[str, Any] = {"epochs": 0, "batch": 8, "schedule": "cosine", "average_decay": 0.0, "validate_every": 10**6}


def learnt(method: str, values: dict[str, Any], folders: tuple[Path, ...], data: PairedOptions | DegradedOptions, run: Path, **length: Any) -> list[Any]:
    """Train; return the generator before and after."""
    torch.set_num_threads(1)
    chosen = installed().offered(Method)[method]
    training = chosen.training(**{**LENGTH, **length, "checkpoint_every": length["steps"]})
    options = RunOptions(chosen, chosen.options(**values), folders, data, training)
    assert train(options, run, lambda progress: None, print)
    torch.manual_seed(0)
    before, after = options.build(), options.build()
    after.load_state_dict(load_checkpoint(run).average)
    return [gan.exported().eval() for gan in (before, after)]


def planes(pixels: list[Pixels]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255


def marked(count: int, seed: int) -> tuple[list[Pixels], list[Pixels]]:
    """Return noise with a coloured corner, and pictures that have that colour all over."""
    generator = np.random.default_rng(seed)
    sources, targets = [], []
    for _ in range(count):
        source, target = generator.integers(96, 160, (32, 32, 3), np.uint8), np.empty((32, 32, 3), np.uint8)
        source[:8, :8] = target[:] = COLOURS[generator.integers(4)]
        sources.append(source)
        targets.append(target)
    return sources, targets


@pytest.mark.slow
def test_unet_vit_carries_a_colour_across_the_picture(tmp_path: Path) -> None:
    for name, pictures in zip(("source", "target"), marked(128, 0), strict=True):
        (tmp_path / name).mkdir()
        for number, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(tmp_path / name / f"{number:03}.png")
    network = {"generator": "unet-vit", "depth": 3, "channels": 8, "blocks": 1, "features": 32, "heads": 2, "norm": "none"}
    losses = {"adversarial_weight": 0.0, "initialisation": "xavier", "initial_gain": 1.0}
    data = PairedOptions(patch=32, resize=0, hold_out=0, mirror=False)
    folders = (tmp_path / "source", tmp_path / "target")
    networks = learnt("pix2pix", {**network, **losses}, folders, data, tmp_path / "run", steps=700, learning_rate=5e-3, betas=(0.9, 0.99))
    sources, targets = map(planes, marked(16, 1))
    with torch.no_grad():
        errors = [float((network(sources) - targets)[:, :, -8:, -8:].abs().mean()) for network in networks]
    assert errors[0] > 0.25 and errors[1] < 0.15, "mean absolute error in the corner far from the mark"


@pytest.mark.slow
def test_swin_removes_noise(tmp_path: Path) -> None:
    photographs, unseen = (make_photographs(tmp_path / name, count, seed=seed) for name, count, seed in (("photographs", 24, 0), ("unseen", 6, 1)))
    network = {"network": "swin", "scale": 1, "channels": 16, "blocks": 2, "groups": 1, "heads": 2, "stages": "pixel", "pixel": "l1"}
    data = SRGANData(patch=24, hold_out=0, noise=25.0)
    networks = learnt("srgan", network, (photographs,), data, tmp_path / "run", steps=300, learning_rate=2e-3)
    generator = np.random.default_rng(0)
    targets = planes([np.array(Image.open(path)) for path in sorted(unseen.iterdir())])
    sources = (targets + torch.from_numpy(generator.normal(0, 25 / 255, targets.shape)).float()).clamp(0, 1)
    with torch.no_grad():
        figures = [-10 * float((network(sources) - targets).square().mean().log10()) for network in networks]
    assert figures[0] == pytest.approx(20.2, abs=0.3), "untrained, it is the identity"
    assert figures[1] > 27, "dB"
