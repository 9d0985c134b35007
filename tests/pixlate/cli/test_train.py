"""``pixlate train`` as a user meets it: options, refusals, signals, crashes."""

import io
import json
import random
import re
import shutil
import signal
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps
from rich.console import Console
from tests.commands import Process

from pixlate.cli import main
from pixlate.cli import train as train_command
from pixlate.plugin.testing import make_photographs
from pixlate.training.checkpoint import Checkpoint, newest
from pixlate.training.run import Log

Run = Callable[..., int]
Start = Callable[..., Process]
SHARED = ["--hold-out", "1", "--batch", "2", "--device", "cpu", "--workers", "1"]
SMALL = ["--scale", "2", "--stages", "pixel", "--channels", "8", "--blocks", "1", "--patch", "8", *SHARED]
JUDGED = ["--discriminator-channels", "4", "--discriminator-layers", "1", "--patch", "16", "--resize", "20", *SHARED]
STAGES = ["--scale", "2", "--channels", "8", "--blocks", "1", "--patch", "9", "--perceptual-weight", "0", "--second-pixel-weight", "1"]
KILLED = {
    "srgan": [*STAGES, "--pixel-share", "0.3", "--discriminator-channels", "4", "--precision", "bf16-mixed", *SHARED],
    "pix2pix": ["--channels", "4", "--depth", "4", "--pool", "3", "--augment", "color", "--augment", "cutout", *JUDGED],
    "cyclegan": ["--channels", "4", "--blocks", "1", "--average-decay", "0.9", "--dropout", "0.3", *JUDGED],
    "stargan": [
        "--channels",
        "4",
        "--most-channels",
        "8",
        "--downsamplings",
        "1",
        "--style-length",
        "6",
        "--latent-length",
        "5",
        "--mapping-channels",
        "8",
        "--patch",
        "16",
        *SHARED,
    ],
    "dcgan": ["--channels", "4", "--discriminator-channels", "4", "--latent", "6", "--average-decay", "0.9", "--patch", "16", "--resize", "20", *SHARED],
    "inpaint": ["--channels", "4", "--discriminator-channels", "4", "--pool", "3", "--patch", "16", "--resize", "20", *SHARED],
}
"""Small runs, each with much that must come back."""


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


def wait_for(happened: Callable[[], object], process: Process) -> None:
    while not happened():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def bytes_of(run: Path) -> dict[str, bytes]:
    folder = newest(run / "checkpoints")
    assert folder is not None
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def negatives(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("negatives")
    for path in photographs.iterdir():
        ImageOps.invert(Image.open(path)).save(folder / path.name)
    return folder


def domains(folder: Path, *of: Path) -> Path:
    """Return a folder that holds a folder of each domain."""
    for name, path in zip("ab", of, strict=True):
        shutil.copytree(path, folder / "domains" / name)
    return folder / "domains"


@pytest.mark.parametrize("method", ["pix2pix", *(pytest.param(name, marks=pytest.mark.slow) for name in KILLED if name != "pix2pix")])
def test_run_killed_at_random_steps_and_resumed_ends_bit_equal(
    method: str, photographs: Path, negatives: Path, tmp_path: Path, pixlate: Run, start: Start
) -> None:
    folders = {"srgan": [photographs], "dcgan": [photographs], "inpaint": [photographs], "stargan": [domains(tmp_path, photographs, negatives)]}.get(
        method, [photographs, negatives]
    )
    arguments = ["train", method, *folders, "--out"], [*KILLED[method], "--steps", 40, "--checkpoint-every", 5, "--validate-every", 20, "--log-every", 5]
    torch.set_num_threads(1)  # as the processes
    assert pixlate(*arguments[0], tmp_path / "undisturbed", *arguments[1]) == 0
    killed = tmp_path / "killed"
    process = start("pixlate", *arguments[0], killed, *arguments[1])
    try:
        wait_for(lambda: (newest(killed / "checkpoints") or Path("step-0")).name >= "step-00000005", process)
        time.sleep(random.uniform(0, 0.1))
    finally:
        process.kill()
        process.communicate()
    assert pixlate("train", "--resume", killed) == 0
    assert bytes_of(killed) == bytes_of(tmp_path / "undisturbed")
    logs = [[json.loads(line) | {"steps_per_second": 0} for line in (run / "log.jsonl").read_text().splitlines()] for run in (killed, tmp_path / "undisturbed")]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stopped_run_writes_a_checkpoint_first_and_says_how_to_resume(number: signal.Signals, photographs: Path, tmp_path: Path, start: Start) -> None:
    run = tmp_path / "run"
    process = start("pixlate", "train", "srgan", photographs, "--out", run, *SMALL, "--steps", 1_000_000, "--checkpoint-every", 1_000_000, "--log-every", 1)
    wait_for(lambda: (run / "log.jsonl").is_file() and (run / "log.jsonl").stat().st_size > 500, process)
    process.send_signal(number)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"stopped; resume with: pixlate train --resume {run}" in " ".join(printed.split()).replace("- ", "-")
    folder = newest(run / "checkpoints")
    assert folder is not None
    assert Checkpoint.load(folder).step == sum(1 for line in (run / "log.jsonl").read_text().splitlines() if '"pixel"' in line)


def test_signal_between_two_steps_writes_a_checkpoint_before_exiting(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixlate: Run) -> None:
    save, seen = Log.write, []

    def write(self: Log, kind: str, step: int, **values: object) -> None:  # comes after the engine has decided whether to save
        seen.append(step)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGTERM)
        save(self, kind, step, **values)

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


def test_run_without_out_gets_the_next_number(photographs: Path, tmp_path: Path, pixlate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("srgan-2", "srgan-x", "srgan-", "cyclegan-7"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert pixlate("train", "srgan", photographs, *SMALL, "--steps", 10, "--epochs", 0, "--hold-out", 9) == 2
    assert not (tmp_path / "runs/srgan-3").exists()
    assert pixlate("train", "srgan", photographs, *SMALL, "--steps", 1, "--epochs", 0) == 0
    assert (tmp_path / "runs/srgan-3/options.toml").is_file() and not (tmp_path / "runs/srgan-1").exists()


def test_list_takes_several_values_after_the_option_or_the_option_several_times(photographs: Path, tmp_path: Path, pixlate: Run) -> None:
    stored = []
    for name, words in (("once", ["--milestones", 0.25, 0.5, 0.75]), ("each", ["--milestones", 0.25, "--milestones", 0.5, "--milestones", 0.75])):
        assert pixlate("train", "srgan", photographs, *words, "--out", tmp_path / name, *SMALL, "--steps", 1) == 0
        stored.append(tomllib.loads((tmp_path / name / "options.toml").read_text())["train"]["srgan"]["milestones"])
    assert stored == [[0.25, 0.5, 0.75]] * 2


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
        (["--steps", "0"], "expected --steps or --epochs above 0, got 0 for both"),
        (["--epochs", "3"], "expected --steps or --epochs, got 1200000 steps and 3 epochs; add --steps 0 to count epochs"),
        (["--schedule", "linear", "--patience", "3"], "expected --patience with --schedule plateau only, got 3 without it"),
        (["--pool", "3"], "expected --pool with discriminators only, got 3 without it"),
        (["--grow-from", "5"], "expected --grow-from to double up to --patch, 8, got 5; 4 or 2 would"),
        (["--best", "lpips"], "expected --best to be one of psnr_luma"),
        (["--batch", "3", "--accumulate", "2"], "expected --batch to be a multiple of --accumulate times --devices, 2, got 3"),
        (["--network", "srresnet", "--tail", "direct"], "expected --tail with --network msrresnet or swin only, got 'direct' without it"),
        (["--channels", "0"], "expected --channels of at least 1, got 0"),
        (["--pixel-weight", "-1"], "expected --pixel-weight of at least 0, got -1.0"),
        (["--device", "gpu"], "expected --device auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        (["--hold-out", "9"], "expected more than 9 images"),
        (["--patch", "900"], "lower --patch"),
        (["--start-from", "nowhere"], "expected a run, a checkpoint, a ready model or a file of weights for --start-from, got 'nowhere', which is not there"),
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


def test_out_folder_that_is_not_empty_is_refused(photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").touch()
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run") == 2
    assert "expected a new or empty folder for --out" in refusal(capsys)
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run" / "mine.txt") == 2
    assert "it has no checkpoint to resume; name another" in refusal(capsys)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_training_without_folders_is_refused(tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "srgan", "--out", tmp_path / "run") == 2
    assert "expected folders of images, got none; write: pixlate train srgan photos/ --out runs/first" in refusal(capsys)


def test_resume_of_a_folder_that_is_not_a_run_is_refused(tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "--resume", tmp_path) == 2
    assert "expected a run folder with options.toml" in refusal(capsys)
    assert list(tmp_path.iterdir()) == []


def test_training_prints_what_validation_gives_and_what_comes_next(photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "srgan", photographs, "--out", tmp_path, *SMALL, "--steps", 2, "--validate-every", 1) == 0
    printed = capsys.readouterr().err.replace("\n", " ")
    assert re.search(
        r"step 1: psnr_luma \d+\.\d\d on held-out images step 2: .*done: psnr_luma \d+\.\d\d on held-out images; look at .*report\.html; next: +pixlate export",
        printed,
    )
    assert pixlate("train", "--resume", tmp_path) == 0
    printed = capsys.readouterr().err.replace("\n", " ")
    assert "done; look at" in printed, "nothing was measured this time"
    assert f"these are done; `pixlate train --resume {tmp_path} --steps N` makes the run longer" in printed
    assert pixlate("train", "srgan", photographs, "--out", tmp_path) == 2
    assert f"exists; resume it with `pixlate train --resume {tmp_path}`, or name another" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["pix2pixx", "a", "b", "--out", "z"],
            "expected a method (cut, cyclegan, dcgan, distill, inpaint, pix2pix, srgan, stargan, style), got 'pix2pixx'; did you mean pix2pix?",
        ),
        (["nothing"], "got 'nothing'; `pixlate plugins` lists what is installed"),
        (["--resumee", "RUN"], "got '--resumee'; did you mean --resume?"),
        (["cyclegan", "--resume", "RUN"], "expected --resume without a method, which the run knows; write: pixlate train --resume RUN"),
        (["--resume", "RUN", "--batch", "9"], "got also '--batch 9'; write: pixlate train --resume RUN"),
    ],
)
def test_unknown_method_is_refused_by_name(arguments: list[str], sentence: str, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", *arguments) == 2
    assert sentence in refusal(capsys)


@pytest.mark.parametrize("width", [80, 120])
def test_bar_shows_step_time_left_and_rate_beside_any_number_of_losses(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    now = iter(range(1000))
    bar = train_command._progress_bar(console)
    bar.get_time = lambda: float(next(now))
    task = bar.add_task("cyclegan", total=200_000, losses=train_command._losses({f"adversarial_of_the_{index}": 1.5 for index in range(12)} | {"l1": 0.25}))
    for step in range(100, 140):
        bar.update(task, completed=step)
    console.print(bar.get_renderable())
    assert isinstance(console.file, io.StringIO)
    (line,) = console.file.getvalue().splitlines()
    assert re.search(r"cyclegan .* +139/200000 \d*\D*\d+:\d\d:\d\d [\d.]+/s l1 0\.2500", line) and line.rstrip().endswith("…") and len(line) <= width


def test_commands_to_copy_are_whole_lines_and_names_stay_as_they_are(
    photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run[red]x :smile: and a name that is much longer than a terminal of eighty columns"
    assert pixlate("train", "srgan", photographs, "--out", run, *SMALL, "--steps", 1) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == f"pixlate export '{run}' model.onnx" and lines[-2].endswith(f"look at {run / 'report.html'}; next:")
    assert any(line.startswith("3 training images, 1 held out; 1 steps of 2") for line in lines)


def test_grey_sources_for_three_channels_give_a_note(photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for channels in (1, 3):
        assert pixlate("train", "pix2pix", photographs, "--grey", "--channels-in", channels, "--out", tmp_path, "--depth", 4, "--patch", 15) == 2
        assert ("--channels-in 1 is smaller" in capsys.readouterr().err) == (channels == 3)


def test_training_without_pytorch_says_what_to_install(
    photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixlate.system import extras

    def missing(name: str) -> None:
        raise ImportError("No module named 'torch'", name="torch")

    monkeypatch.setattr(extras, "import_module", missing)
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run") == 2
    assert "torch is missing; run: pip install 'pixlate[train]'" in refusal(capsys)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Return a folder of folders of images that something is wrong with."""
    for name, count in (("few", 1), ("many", 4)):
        make_photographs(tmp_path / name, count, 40, 44)
    (tmp_path / "empty").mkdir()
    make_photographs(tmp_path / "other", 4, 40, 44)
    (tmp_path / "other" / "001.png").rename(tmp_path / "other" / "alone.png")
    make_photographs(tmp_path / "tiny", 4, 20, 20)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pix2pix", "many", "empty"], r"expected images \(.*\) in \S*empty, found none; name a folder that holds some"),
        (["pix2pix", "many", "missing"], r"expected a folder of images, got \S*missing, which is not there"),
        (["pix2pix", "many", "other"], r"expected a source and a target of every name, got 2 without a partner: \S*001.png, \S*alone.png"),
        (["pix2pix", "many", "many", "many"], "expected two folders, SOURCE TARGET, or one of images side by side, got 3"),
        (["cyclegan", "many"], "expected two folders, SOURCE TARGET, got 1; name a folder of sources and one of targets"),
        (["cyclegan", "few", "many"], "expected more than 1 images, of which 1 are held out for validation, got 1; add images or lower --hold-out"),
        (
            ["cyclegan", "tiny", "many", "--resize", "0"],
            r"expected images of at least 32 x 32 pixels \(--patch\) with --resize 0, got smaller ones: \S*000.png",
        ),
        (["cyclegan", "many", "other", "--patch", "30"], "expected --patch to be a multiple of 4 of at least 8, which the network takes, got 30; use 32"),
        (["pix2pix", "many"], r"expected images that hold source and target side by side, got \S*000.png \(44 x 40\), .*; name two folders, SOURCE TARGET"),
        (["pix2pix", "many", "--channels-in", "5", "--grey"], "expected images of 1 or 3 channels with --grey and --lines, got 5 and 3"),
        (
            ["pix2pix", "many", "--grey", "--channels-in", "1", "--depth", "6"],
            "expected --patch to be a multiple of 64, which the network takes, got 32; use 64",
        ),
        (["pix2pix", "many", "many", "--patch", "8", "--resize", "8"], "where one holds the other; name two that do not"),
        (
            ["pix2pix", "many", "--grey", "--channels-in", "1", "--patch", "16", "--resize", "16"],
            "expected patches of at least 24 pixels a side, which the discriminators take, got 16",
        ),
        (
            ["pix2pix", "many", "--grey", "--channels-in", "1", "--start-from", "missing"],
            "expected a run, a checkpoint, a ready model or a file of weights for --start-from, got 'missing', which is not there",
        ),
    ],
)
def test_images_that_do_not_fit_print_one_line_and_write_nothing(
    arguments: list[str], sentence: str, folders: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [
        folders / word if word in ("few", "many", "empty", "missing", "other", "tiny") and arguments[index - 1] != "--start-from" else word
        for index, word in enumerate(arguments)
    ]
    usual = {"--patch": "32", "--resize": "36", "--hold-out": "1", "--steps": "2", "--device": "cpu", "--channels": "4", "--discriminator-channels": "4"}
    usual |= {"--depth": "3"} if arguments[0] == "pix2pix" else {"--blocks": "1"}
    more = [word for name, given in usual.items() if name not in arguments for word in (name, given)]
    assert pixlate("train", *places, "--out", folders / "run", *more) == 2
    assert re.search(sentence, refusal(capsys))
    assert not (folders / "run").exists()


@pytest.mark.parametrize("wrong", ["folder", "out"])
def test_paths_are_checked_before_pytorch_is_imported(wrong: str, photographs: Path, tmp_path: Path) -> None:
    """A fresh process, in which importing PyTorch is an error."""
    import subprocess
    import sys

    (tmp_path / "file").touch()
    folder, out = (tmp_path / "missing", tmp_path / "run") if wrong == "folder" else (photographs, tmp_path / "file" / "run")
    code = "import sys; sys.modules.update(torch=None); from pixlate.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "train", "srgan", str(folder), "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert str(folder if wrong == "folder" else out) in done.stderr and "PyTorch" not in done.stderr


def test_a_line_is_printed_every_half_minute_where_there_is_no_terminal(
    photographs: Path, tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixlate.cli import periodic

    monkeypatch.setattr(periodic, "EVERY", 0.0)
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run", *SMALL, "--steps", 2) == 0
    assert re.search(r"^step 2 of 2: .*pixel \d\.\d{4}", capsys.readouterr().err, re.MULTILINE)


def test_sweep_makes_its_runs_goes_on_where_it_was_stopped_and_compares_them(
    pixlate: Run, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "srgan", photographs, "--sweep", "learning_rate=1e-3,1e-4", "--out", tmp_path / "sweep", *SMALL, "--steps", "2"]
    assert pixlate(*command) == 0
    names = ["learning_rate=0.001", "learning_rate=0.0001"]
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == sorted([*names, "report.html", "sweep.json"])
    before = [bytes_of(tmp_path / "sweep" / name) for name in names]
    assert before[0] != before[1]
    shutil.rmtree(tmp_path / "sweep" / names[1])
    capsys.readouterr()
    assert pixlate(*command) == 0
    assert [bytes_of(tmp_path / "sweep" / name) for name in names] == before
    printed = capsys.readouterr()
    assert f"run 1 of 2: {names[0]} is finished\n" in printed.err and f"run 2 of 2: {names[1]}\n" in printed.err
    assert printed.out.splitlines()[-1] == f"2 of 2 runs finished; compare them in {tmp_path / 'sweep' / 'report.html'}"
    assert pixlate(*command[:3], "--sweep", "learning_rate=1e-3,1e-5", *command[5:]) == 2
    assert "expected the options that" in capsys.readouterr().err


def test_run_of_a_sweep_that_fails_costs_only_itself(pixlate: Run, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        pixlate("train", "srgan", photographs, "--sweep", "learning_rate=1e30,1e-4", "--out", tmp_path / "sweep", *SMALL, "--steps", "4", "--log-every", "1")
        == 1
    )
    printed = capsys.readouterr()
    assert "learning_rate=1e+30: not finite at step" in printed.err and printed.out.splitlines()[-1].startswith("1 of 2 runs finished")
    assert "ended with an error: not finite at step" in (tmp_path / "sweep/report.html").read_text(encoding="utf-8")
