"""Options in a TOML file, and whole numbers: nothing is rounded or read out of a text."""

import sys
from pathlib import Path

import pytest

from pixlate.cli import main


@pytest.mark.parametrize(
    ("command", "lines", "sentence"),
    [
        ("train srgan photos", "[train.srgan]\nseed = 1.5", "expected seed to be a whole number, got 1.5; see --help"),
        ("train srgan photos", '[train.srgan]\nsteps = "5"', "expected steps to be a whole number, got '5'; see --help"),
        ("train srgan photos", '[train.srgan]\nrescale = [1.0, "half"]', "expected rescale to be a list of numbers, got [1.0, 'half']; see --help"),
        ("train srgan photos", "[train.srgan]\nscale = 5", "expected scale to be one of 1, 2, 3, 4, 8, got 5; see --help"),
        ("train pix2pix photos", '[train.pix2pix]\nmirror = "no"', "expected mirror to be true or false, got 'no'; see --help"),
        ("train pix2pix photos", "[train.pix2pix]\ngrey = 1", "expected grey to be true or false, got 1; see --help"),
        ("convert photos out --model m", '[convert]\nfail_fast = "yes"', "expected fail_fast to be true or false, got 'yes'; see --help"),
        ("convert photos out --model m", "[convert]\nmax-pixels = 1e6", "expected max-pixels to be a whole number, got 1000000.0; see --help"),
        ("convert photos out --model m", "[convert]\nmask = 3", "expected mask to be"),
        ("convert photos out --model m", "[convert]\ntile = 20.5", "expected tile to be one of auto, off or a whole number, got 20.5; see --help"),
    ],
)
def test_value_of_another_type_is_refused(
    command: str, lines: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "options.toml").write_text(lines)
    monkeypatch.setattr(sys, "argv", ["pixlate", "--config", str(tmp_path / "options.toml"), *command.split()])
    assert main() == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert printed.startswith(f"pixlate: {tmp_path / 'options.toml'}: ") and sentence in printed


@pytest.mark.parametrize(
    "lines",
    [
        '[train.srgan]\nfolders = ["missing"]\nout = "run"\nseed = 3\nlearning_rate = 1\nrescale = [1, 0.5]\nbetas = [0, 0.9]\ndevice = "cpu"\ncompile = true',
        '[train.srgan]\nfolders = "missing"\nmilestones = 0.5',
    ],
)
def test_values_of_the_right_types_are_taken(lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "options.toml").write_text(lines)
    monkeypatch.setattr(sys, "argv", ["pixlate", "--config", str(tmp_path / "options.toml"), "train", "srgan"])
    assert main() == 2
    assert "expected a folder of images, got" in capsys.readouterr().err, "the options were no reason to refuse"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("train srgan photos --seed 1.5", "expected --seed to be a whole number, got 1.5; see --help"),
        ("convert photos out --model m --tile 20.5", "expected --tile to be a whole number, got 20.5; see --help"),
        ("data check photos --patch 3.7", "expected --patch to be a whole number, got 3.7; see --help"),
    ],
)
def test_fraction_is_not_rounded(command: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["pixlate", *command.split()])
    assert main() == 2
    assert capsys.readouterr().err == f"pixlate: {sentence}\n"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["convert", "photos", "", "--model", "m"], "SOURCE... OUT"),
        (["convert", "", "out", "--model", "m"], "SOURCE... OUT"),
        (["convert", "photos", "out", "--model", "m", "--report", ""], "--report"),
        (["data", "check", ""], ""),
        (["train", "srgan", "photos", "--out", ""], "--out"),
        (["train", "srgan", ""], ""),
        (["train", "--resume", ""], "--resume"),
        (["train", "srgan", "photos", "--start-from", ""], "--start-from"),
        (["train", "srgan", "photos", "--transforms", ""], "--transforms"),
        (["data", "preview", "distill", "photos", "--teacher="], "--teacher"),
        (["triton", "upscale-x2", ""], "--repository"),
        (["triton", "", "repository"], "--model"),
    ],
)
def test_empty_path_is_not_the_current_folder(
    words: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pixlate", *words])
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line and "got nothing in quotes" in line
    assert not list(tmp_path.iterdir())
