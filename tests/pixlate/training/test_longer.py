"""Runs that are made longer."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.checkpoint import Checkpoint, load_newest, newest
from pixlate.training.engine import train
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
Digests = Callable[[Path], dict[str, str]]
Logged = Callable[[Path, str], dict[int, float]]
LINEAR = {"schedule": "linear", "learning_rate": 1e-3}


def lengthened(run: Path, steps: int = 0, epochs: int = 0, crash: int = 0) -> list[str]:
    """Make a run longer as the command line does; return what it says. Crash after a step where that is given."""
    said: list[str] = []
    options = RunOptions.load(run, installed().offered(Method)).of_length(steps, epochs)

    def watch(progress: Any) -> None:
        if progress.step == crash:
            raise KeyboardInterrupt

    assert train(options, run, watch, said.append, resume=True, tell=said.append, new_length=True)
    return said


def newest_step(run: Path) -> int:
    folder = newest(run / "checkpoints")
    assert folder is not None
    return Checkpoint.load(folder).step


def test_finished_run_is_made_longer_twice_and_its_files_agree(make_run: MakeRun, fit: Fit, logged: Logged, tmp_path: Path) -> None:
    fit(make_run(**LINEAR), tmp_path)
    said = lengthened(tmp_path, steps=8)
    assert "goes on at a learning rate of 0.001: the linear schedule is that of 8 steps now, and was of 4" in said
    assert newest_step(tmp_path) == 8
    said = lengthened(tmp_path, steps=10)
    assert "goes on at a learning rate of 0.0004: the linear schedule is that of 10 steps now, and was of 8" in said
    rates = logged(tmp_path, "learning_rate")
    assert [rates[step] for step in (1, 4, 5, 6, 8, 9, 10)] == pytest.approx([1e-3, 5e-4, 1e-3, 7.5e-4, 2.5e-4, 4e-4, 2e-4])
    checkpoint, _ = load_newest(tmp_path / "checkpoints")
    stored = tomllib.loads((tmp_path / "options.toml").read_text())["train"]["srgan"]
    assert (checkpoint.step, checkpoint.state["options"]["steps"], stored["steps"], stored["epochs"]) == (10, 10, 10, 0)
    assert fit(RunOptions.load(tmp_path, installed().offered(Method)), tmp_path, resume=True).progress == [], "a plain resume finds it finished"


def test_run_that_is_made_shorter_names_both_lengths(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(**LINEAR), tmp_path)
    lengthened(tmp_path, steps=8)
    said = lengthened(tmp_path, steps=8)
    assert any("is that of 8 steps now, and was of 8" in line for line in said)
    assert any(line.startswith("these are done; ") for line in said)


def test_longer_run_killed_at_once_resumes_as_the_longer_one(make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path) -> None:
    for name in ("undisturbed", "killed"):
        fit(make_run(checkpoint_every=2, **LINEAR), tmp_path / name)
    lengthened(tmp_path / "undisturbed", steps=9)
    with pytest.raises(KeyboardInterrupt):
        lengthened(tmp_path / "killed", steps=9, crash=5)
    assert newest_step(tmp_path / "killed") == 4
    assert fit(RunOptions.load(tmp_path / "killed", installed().offered(Method)), tmp_path / "killed", resume=True).finished
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")


def test_run_of_epochs_is_made_longer_in_epochs(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run("pix2pix", steps=0, epochs=2), tmp_path)
    lengthened(tmp_path, epochs=3)
    assert newest_step(tmp_path) == 6, "4 images in batches of 2"


def test_length_below_what_is_done_is_refused_and_changes_nothing(make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path) -> None:
    fit(make_run(), tmp_path)
    before = digests(tmp_path), (tmp_path / "options.toml").read_bytes()
    with pytest.raises(PixlateError, match=r"^expected at least the 4 steps that .* has done, got 3; raise --steps or --epochs$"):
        lengthened(tmp_path, steps=3)
    assert (digests(tmp_path), (tmp_path / "options.toml").read_bytes()) == before


def test_length_changed_in_the_options_file_is_refused_with_what_to_write(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    options = make_run()
    fit(options, tmp_path)
    with pytest.raises(PixlateError, match=r"steps was 4 and is 9; undo this in .*options.toml, or .*: pixlate train --resume .* --steps N$"):
        fit(replace(options, training=replace(options.training, steps=9)), tmp_path, resume=True)


def test_stages_and_growing_patches_keep_the_boundaries_of_the_first_length(make_run: MakeRun, fit: Fit, logged: Logged, tmp_path: Path) -> None:
    two = {"stages": None, "patch": 10, "perceptual_weight": 0.0, "second_pixel_weight": 1.0, "discriminator_channels": 4, "pixel_share": 0.5}
    fit(make_run(**two, steps=4, grow_from=None), tmp_path)
    assert sorted(logged(tmp_path, "discriminator")) == [3, 4]
    lengthened(tmp_path, steps=10)
    lengthened(tmp_path, steps=20)
    assert sorted(logged(tmp_path, "discriminator")) == list(range(3, 21))


def test_checkpoint_that_was_being_written_again_is_found(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(keep=1, hold_out=0), tmp_path)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    folder.rename(folder.with_name(f".{folder.name}.old"))
    checkpoint, said = load_newest(tmp_path / "checkpoints")
    assert (checkpoint.step, said) == (4, []) and folder.is_dir()


def test_checkpoint_of_a_negative_step_is_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(), tmp_path)
    folder = newest(tmp_path / "checkpoints")
    assert folder is not None
    state = json.loads((folder / "state.json").read_text()) | {"step": -5}
    (folder / "state.json").write_text(json.dumps(state))
    sums = json.loads((folder / "checksums.json").read_text())
    from pixlate.places.paths import digest_file

    (folder / "checksums.json").write_text(json.dumps(sums | {"state.json": digest_file(folder / "state.json")}))
    with pytest.raises(PixlateError, match=r"state\.json is not that of a checkpoint"):
        Checkpoint.load(folder)
