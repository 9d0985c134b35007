"""``pixlate train`` as a user meets it: options, refusals, signals, crashes."""

import os
import random
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pixlate.cli import main
from pixlate.testing import make_photographs
from pixlate.training.checkpoint import Checkpoint, newest
from pixlate.training.run import Log

Run = Callable[..., int]
SMALL = ["--scale", "2", "--channels", "8", "--blocks", "1", "--patch", "8", "--hold-out", "1", "--batch", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photographs(tmp_path_factory.mktemp("photographs"), 4, 48, 56)


@pytest.fixture
def pixlate(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command in this process; return its exit code."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, arguments)])
        try:
            return main()
        except SystemExit as left:
            return int(left.code or 0)

    return run


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start one command in a process of its own."""
    command = [sys.executable, "-m", "pixlate", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"})


def wait_for(happened: Callable[[], object], process: subprocess.Popen[str]) -> None:
    for _ in range(12_000):
        if happened():
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    raise AssertionError("nothing happened within two minutes")


def bytes_of(run: Path) -> dict[str, bytes]:
    folder = newest(run / "checkpoints")
    assert folder is not None
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_run_killed_at_random_steps_and_resumed_ends_bit_equal(photographs: Path, tmp_path: Path, pixlate: Run) -> None:
    options = ["--steps", 60, "--checkpoint-every", 5, "--precision", "bf16-mixed"]
    torch.set_num_threads(1)  # as the processes
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "undisturbed", *SMALL, *options) == 0
    killed = tmp_path / "killed"
    process = start("train", "srgan", photographs, "--out", killed, *SMALL, *options)
    for first in (5, 25):
        wait_for(lambda first=first: (newest(killed / "checkpoints") or Path("step-0")).name >= f"step-{first:08}", process)  # type: ignore[misc]
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        process.communicate()
        if first == 5:
            process = start("train", "--resume", killed)
    assert pixlate("train", "--resume", killed) == 0
    assert bytes_of(killed) == bytes_of(tmp_path / "undisturbed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_run_writes_a_checkpoint_first_and_says_how_to_go_on(number: signal.Signals, photographs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start("train", "srgan", photographs, "--out", run, *SMALL, "--steps", 1_000_000, "--checkpoint-every", 1_000_000, "--log-every", 1)
    wait_for(lambda: (run / "log.jsonl").is_file() and (run / "log.jsonl").stat().st_size > 500, process)
    process.send_signal(number)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"stopped; go on with: pixlate train --resume {run}" in " ".join(printed.split()).replace("- ", "-")
    folder = newest(run / "checkpoints")
    assert folder is not None
    assert Checkpoint.load(folder).step == sum(1 for line in (run / "log.jsonl").read_text().splitlines() if '"pixel"' in line)


def test_signal_between_two_steps_is_not_answered_without_a_checkpoint(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixlate: Run
) -> None:
    save, seen = Log.write, []

    def write(self: Log, **values: object) -> None:  # comes after the engine has decided whether to save
        seen.append(values["step"])
        if len(seen) == 2:
            signal.raise_signal(signal.SIGTERM)
        save(self, **values)

    monkeypatch.setattr(Log, "write", write)
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run", *SMALL, "--log-every", 1) == 130
    assert newest(tmp_path / "run" / "checkpoints") == tmp_path / "run" / "checkpoints" / "step-00000003"


def test_options_of_a_run_start_the_same_training(photographs: Path, tmp_path: Path, pixlate: Run) -> None:
    options = ["--steps", 3, "--rescale", 1.0, "--rescale", 0.5, "--betas", 0.8, 0.95, "--learning-rate", 1e-3, "--seed", 4]
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "first", *SMALL, *options) == 0
    assert pixlate("--config", tmp_path / "first" / "options.toml", "train", "srgan", "--out", tmp_path / "second") == 0
    assert pixlate("--config", tmp_path / "first" / "options.toml", "train", "srgan", photographs, "--out", tmp_path / "third") == 0
    assert pixlate("--config", tmp_path / "first" / "options.toml", "train", "srgan", "--out", tmp_path / "other", "--seed", 5) == 0
    assert bytes_of(tmp_path / "first") == bytes_of(tmp_path / "second") == bytes_of(tmp_path / "third") != bytes_of(tmp_path / "other")
    assert (tmp_path / "first" / "options.toml").read_text() == (tmp_path / "second" / "options.toml").read_text()


def test_options_of_a_run_name_its_folders_so_that_any_directory_can_resume_it(
    photographs: Path, tmp_path: Path, pixlate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photographs.parent)
    assert pixlate("train", "srgan", photographs.name, "--out", tmp_path / "run", *SMALL, "--steps", 2) == 0
    assert tomllib.loads((tmp_path / "run" / "options.toml").read_text())["train"]["srgan"]["folders"] == [str(photographs.resolve())]
    monkeypatch.chdir(tmp_path)
    assert pixlate("train", "--resume", "run") == 0


def test_unknown_option_suggests_the_one_that_was_meant(photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run", "--learning-rat", "1") == 2
    assert "--learning-rate" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_unknown_option_in_a_config_is_refused(photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "options.toml").write_text("[train.srgan]\nstepz = 3\n")
    assert pixlate("--config", tmp_path / "options.toml", "train", "srgan", photographs, "--out", tmp_path / "run") == 2
    assert "stepz" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", "0"], "expected --steps of at least 1, got 0"),
        (["--network", "srresnet", "--tail", "direct"], "expected --tail direct with --network msrresnet"),
        (["--channels", "0"], "expected --channels of at least 1, got 0"),
        (["--pixel-weight", "-1"], "expected --pixel-weight of at least 0, got -1.0"),
        (["--device", "gpu"], "expected --device auto, cpu, cuda or cuda:N, got 'gpu'"),
        (["--hold-out", "9"], "expected more than 9 images"),
        (["--patch", "900"], "lower --patch"),
        (["--start-from", "nowhere"], "expected a run or a checkpoint with weights, got nowhere"),
    ],
)
def test_wrong_option_prints_one_line_and_writes_nothing(
    arguments: list[str], sentence: str, photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = [word for pair in zip(SMALL[::2], SMALL[1::2], strict=True) if pair[0] != arguments[0] for word in pair]
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run", *usual, *arguments) == 2
    printed = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().err).split())
    assert sentence in printed
    assert not (tmp_path / "run").exists()


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("pixlate: ")
    return lines[0]


def test_out_that_holds_something_is_refused(photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").touch()
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run") == 2
    assert "expected a new or empty folder for --out" in refusal(capsys)
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run" / "mine.txt") == 2
    assert "go on with `pixlate train --resume" in refusal(capsys)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_folders_are_asked_for(tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "srgan", "--out", tmp_path / "run") == 2
    assert "expected folders of images, got none; write: pixlate train srgan photos/ --out runs/first" in refusal(capsys)


def test_resume_of_what_is_no_run_is_refused(tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "--resume", tmp_path) == 2
    assert "expected a run folder with options.toml" in refusal(capsys)
    assert list(tmp_path.iterdir()) == []


def test_training_prints_what_validation_gives_and_what_comes_next(photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "srgan", photographs, "--out", tmp_path, *SMALL, "--steps", 2, "--validate-every", 1) == 0
    printed = capsys.readouterr().err.replace("\n", " ")
    assert re.search(r"step 1: psnr_luma \d+\.\d\d on held-out images step 2: .*done: psnr_luma \d+\.\d\d on held-out images; next: pixlate export", printed)
    assert pixlate("train", "--resume", tmp_path) == 0
    assert "done; next: pixlate export" in capsys.readouterr().err.replace("\n", " "), "nothing was measured this time"


def test_training_without_pytorch_says_what_to_install(
    photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixlate.cli import train as command

    def missing(name: str) -> None:
        raise ImportError("No module named 'torch'", name="torch")

    monkeypatch.setattr(command, "import_module", missing)
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run") == 2
    assert "torch is missing; run: pip install 'pixlate[train]'" in refusal(capsys)
