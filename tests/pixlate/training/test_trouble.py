"""Training that goes wrong: images that cannot be read, networks that learn nothing."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pixlate
from pixlate.data.degraded import DegradedImages
from pixlate.data.pairing import PairedImages
from pixlate.errors import PixlateError
from pixlate.options import DegradedOptions, PairedOptions
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import GAN, Images, Losses, Verdicts
from pixlate.training import engine
from pixlate.training.checkpoint import newest
from pixlate.training.engine import Progress, train
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
Digests = Callable[[Path], dict[str, str]]
Lines = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def damaged(photographs: Path, make_run: MakeRun, tmp_path: Path) -> tuple[RunOptions, Path]:
    """Return a run on photographs of which the one that the fourth step reads is cut off, and that file."""
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    options = make_run("pix2pix", (folder,), grey=True, steps=12, batch=1, hold_out=0, checkpoint_every=1, norm="none", discriminator_norm="none")
    assert isinstance(options.data, PairedOptions)
    data = PairedImages(options.folders, options.data, 3, 3)
    order = [draw.indices[0] for draw in data.draw(0, 5, options.training.seed)]
    assert len(set(order)) == 5
    (path,) = data.pairs[order[3]]
    path.write_bytes(path.read_bytes()[:-100])
    return options, path


def test_image_that_cannot_be_read_stops_the_run_which_resumes_once_it_is_fixed(
    damaged: tuple[RunOptions, Path], photographs: Path, fit: Fit, digests: Digests, tmp_path: Path
) -> None:
    options, path = damaged
    with pytest.raises(PixlateError, match=f"^{path}: "):
        fit(options, tmp_path / "run")
    folder = newest(tmp_path / "run" / "checkpoints")
    assert folder is not None and folder.name == "step-00000003", "all steps before it are kept"
    shutil.copy(photographs / path.name, path)
    assert fit(options, tmp_path / "run", resume=True).finished
    fit(options, tmp_path / "undisturbed")
    assert digests(tmp_path / "run") == digests(tmp_path / "undisturbed")


def test_discriminators_that_wait_for_their_stage_are_not_said_to_learn_nothing(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    waiting = make_run(
        stages="both", pixel_share=0.9, perceptual_weight=0.0, second_pixel_weight=1.0, discriminator_channels=4, patch=10, steps=30, log_every=1
    )
    assert not [warning for warning in fit(waiting, tmp_path / "run").warnings if "do not move" in warning]


@pytest.mark.parametrize("after", [0, 3])
def test_a_checkpoint_is_written_before_a_run_ends_for_an_image(
    after: int, damaged: tuple[RunOptions, Path], photographs: Path, fit: Fit, digests: Digests, tmp_path: Path
) -> None:
    options, path = damaged
    options = replace(options, training=replace(options.training, checkpoint_every=100))
    shutil.copy(photographs / path.name, path)
    assert isinstance(options.data, PairedOptions)
    data = PairedImages(options.folders, options.data, 3, 3)
    ((path,), *_) = [data.pairs[draw.indices[0]] for draw in data.draw(after, 1, options.training.seed)]
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    run = tmp_path / "run"
    advice = f'fix the file, or write damaged = "skip" into {run / "options.toml"}, then `pixlate train --resume {run}` goes on after step {after}'
    with pytest.raises(PixlateError, match=f"^{re.escape(str(path))}: .*; {re.escape(advice)}$"):
        fit(options, run)
    folder = newest(run / "checkpoints")
    assert folder is not None and folder.name == f"step-{after:08d}"
    path.write_bytes(content)
    assert fit(options, run, resume=True).finished
    fit(options, tmp_path / "undisturbed")
    assert digests(run) == digests(tmp_path / "undisturbed")


def test_held_out_image_that_cannot_be_read_is_found_before_the_first_step(photographs: Path, make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    options = make_run("srgan", (folder,))
    assert isinstance(options.data, DegradedOptions)
    (path,) = DegradedImages(options.folders, 2, options.data).held_out
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PixlateError, match=f"^{path}: .*; fix or remove it, or add --damaged skip$"):
        fit(options, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_held_out_image_that_is_damaged_meanwhile_costs_no_step(photographs: Path, make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    folder, run = tmp_path / "photographs", tmp_path / "run"
    shutil.copytree(photographs, folder)
    options = make_run("srgan", (folder,), steps=6, validate_every=3, checkpoint_every=100)
    assert isinstance(options.data, DegradedOptions)
    (path,) = DegradedImages(options.folders, 2, options.data).held_out
    content = path.read_bytes()

    def watch(progress: Progress) -> None:
        if progress.step == 2:
            path.write_bytes(content[:-100])

    with pytest.raises(PixlateError, match=f"^{path}: .* goes on after step 3$"):
        train(options, run, watch, lambda message: None)
    path.write_bytes(content)
    assert [progress.step for progress in fit(options, run, resume=True).progress] == [4, 5, 6]


def test_first_checkpoint_comes_by_time(make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = make_run(steps=4, checkpoint_every=100, log_every=2, keep=9)
    fit(options, tmp_path / "undisturbed")
    monkeypatch.setattr(engine, "FIRST_CHECKPOINT", 0.0)
    fit(options, tmp_path / "run", crash=3)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000001"], "and no second one by time"
    assert fit(options, tmp_path / "run", resume=True).finished
    assert digests(tmp_path / "run") == digests(tmp_path / "undisturbed")


def test_image_that_cannot_be_read_is_skipped_with_one_warning_where_asked_for(
    damaged: tuple[RunOptions, Path], make_run: MakeRun, fit: Fit, lines: Lines, tmp_path: Path
) -> None:
    options, path = damaged
    skipping = make_run("pix2pix", options.folders, grey=True, steps=12, batch=1, hold_out=0, damaged="skip", norm="none", discriminator_norm="none")
    fitted = fit(skipping, tmp_path / "run")
    (message,) = fitted.warnings
    assert fitted.finished and message.startswith(f"left out: {path}: ")
    assert [line["message"] for line in lines(tmp_path / "run", "warning")] == [message]


@dataclass(frozen=True)
class Nothing:
    """No options."""


class Lost(GAN):
    """Paints the same grey whatever the source, in front of a discriminator that always knows."""

    def __init__(self) -> None:
        super().__init__({"source_to_target": nn.Conv2d(3, 3, 1)}, {"target": nn.Conv2d(3, 1, 1)})
        nn.init.zeros_(self.generators["source_to_target"].weight)  # type: ignore[arg-type]
        nn.init.constant_(self.generators["source_to_target"].bias, 0.5)  # type: ignore[arg-type]

    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="lost")

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["source_to_target"](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"adversarial": self.judge("target", images["target"]).mean()}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"judge": (self.judge("target", images["target"]) - self.judge("target", batch["target"])).mean()}

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        real, fake = (self.judge("target", shown) for shown in (batch["target"], images["target"]))
        return {"target": (torch.ones_like(real), -torch.ones_like(fake))}


def test_networks_that_learn_nothing_are_warned_about_once(make_run: MakeRun, fit: Fit, lines: Lines, digests: Digests, tmp_path: Path) -> None:
    method = pixlate.Method("lost", "for tests", pixlate.paired, Nothing, lambda options: Lost())
    options = make_run(method, resize=20, patch=16, steps=50, learning_rate=1e-12, checkpoint_every=10)
    first = fit(options, tmp_path / "run", crash=35).warnings
    starts = [
        "discriminator target distinguishes real from generated images almost always",
        "outputs hardly differ from one another",
        "the weights of the discriminators do not move",
        "the weights of the generators do not move",
    ]
    assert len(first) == 4 and all(any(message.startswith(start) for message in first) for start in starts)
    assert fit(options, tmp_path / "run", resume=True).warnings == [], "not again after a resume"
    assert sorted(line["message"] for line in lines(tmp_path / "run", "warning")) == sorted(first)
    assert fit(options, tmp_path / "undisturbed").warnings == first
    assert digests(tmp_path / "undisturbed") == digests(tmp_path / "run")


def test_networks_that_learn_give_no_warning(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    for method in ("srgan", "pix2pix"):
        assert fit(make_run(method, steps=40, learning_rate=1e-3), tmp_path / method).warnings == []
