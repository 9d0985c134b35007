"""Pix2Pix and CycleGAN with the networks, losses and schedules of R3GAN."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
SMALL: dict[str, Any] = {"channels": 16, "discriminator_channels": 16, "downsamplings": 1, "discriminator_layers": 3, "patch": 32, "r1": 2.0, "r2": 2.0}
"""Of pictures of 32 pixels, with the weight of the penalties that is published for 64 and less."""


def preset(method: str) -> dict[str, Any]:
    """Return the recipe, with tuples as options have them."""
    table = tomllib.loads(installed().offered(Method)[method].presets["r3gan"].read_text())["train"][method]
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def test_pix2pix_learns_negatives_by_the_recipe(make_run: MakeRun, fit: Fit, logged: Callable[[Path, str], dict[int, float]], tmp_path: Path) -> None:
    changes: dict[str, Any] = {**preset("pix2pix"), **SMALL, "depth": None, "learning_rate": 1e-3, "steps": 30, "batch": 4, "log_every": 1}
    options = make_run("pix2pix", **changes)
    fit(options, tmp_path)
    errors = {step: loss / 200 for step, loss in logged(tmp_path, "l1").items()}  # of the weight of 100, on [-1, 1]
    assert errors[1] > 0.12
    assert max(errors[step] for step in range(26, 31)) < 0.045
