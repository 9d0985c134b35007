"""The command line as a whole: help, versions, mistakes, exit codes."""

import errno
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from pixlate.cli import main
from pixlate.errors import OutOfDeviceMemory
from pixlate.plugin.entries import PluginWarning

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", *arguments])
        try:
            return main()
        except SystemExit as left:
            return int(left.code or 0)

    return call


def test_help_names_every_command(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("convert", "train", "export", "models", "plugins", "doctor"))


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("convert", "an earlier run of this command finished and counts any other file as a failure, skip keeps"),
        ("convert", "the output is cropped. auto is 64 on GPUs"),
        ("evaluate", "the source in the left half of each image), degraded (one folder of targets, reduced"),
    ],
)
def test_help_shows_texts_of_several_lines_as_one_paragraph(
    command: str, text: str, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # so that only what the code breaks is broken
    assert run(command, "--help") == 0
    assert any(text in line for line in capsys.readouterr().out.splitlines())


def test_version_is_that_of_the_distribution(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == version("pixlate")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("convrt", ["expected a command (convert, ", "got 'convrt'; did you mean convert?"]),
        ("data chck", ["expected a command (check, preview, edges), got 'chck'; did you mean check?"]),
        ("upscale photos", ["got 'upscale'; write: `pixlate convert photos/ out/ --model upscale-x4`"]),
        ("convert a b --model upscale-x2 --qualty 3", ["got --qualty; did you mean --quality?"]),
        ("convert a b --model upscale-x2 --dryrun", ["got --dryrun; did you mean --dry-run?"]),
        ("convert a b --model upscale-x2 --nor", ["got --nor; see `pixlate convert --help`"]),
        ("convert a b --model upscale-x2 --phase test", ["got --phase; leave it out: name the folder itself"]),
        ("export upscale-x2", ["expected MODEL, which `pixlate export` needs, got none; see `pixlate export --help`"]),
        ("convert a b --scale 2", ["expected a model; write: pixlate convert photos/ out/ --model upscale-x4"]),
        ("convert -i a -o b -n realesrgan-x4plus", ["got -i; write the folders as they are", "; for -n write a ready model's name", "; for -o write"]),
        ("convert a b --model upscale-x2 --address x", ["got --address; it belongs to another engine: add --engine ray"]),
        ("convert a b --model upscale-x2 --quality high", ["expected --quality to be a whole number, got 'high'; see `pixlate convert --help`"]),
        ("convert a b --model upscale-x2 --tile big", ["expected --tile to be one of auto, off or a whole number, got 'big'"]),
        ("convert a b --model upscale-x2 --on-exists resum", ["expected --on-exists to be one of resume, skip, overwrite, got 'resum'; did you mean resume?"]),
        ("convert a b --model upscale-x2 --set", ["expected a value after --set, got none; see `pixlate convert --help`"]),
        ("convert a b --model upscale-x2 --engine foo --help", ["expected an engine (ray, threads), got 'foo'"]),
        ("train srgan a --out b --betas 0.5", ["expected 2 values, one after the other, after --betas, got 0.5"]),
        ("train pix2pix a b --out c --dataroot d", ["got --dataroot; write the folders as they are: `pixlate train pix2pix"]),
        ("train --dataroot faces --model cycle_gan", ["got '--dataroot'; write the folders as they are: `pixlate train pix2pix"]),
        ("models more", ["expected a model's name (", "got 'more'; see `pixlate models`"]),
        ("models upscale-x4 more", ["expected no 'more' after `pixlate models`; leave it out"]),
        ("convert a b --model upscal-x4", ["got 'upscal-x4'; did you mean upscale-x4?"]),
        ("convert a b --model folder/net.onnx", ["there is no such file: folder/net.onnx, given as the model"]),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence_that_says_what_to_write(
    line: str, parts: list[str], run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "a" / "photo.png")
    assert run(*line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("pixlate: ")
    assert printed.err.count("\n") == 1
    for part in parts:
        assert part in printed.err


def test_ctrl_c_while_the_command_line_is_imported_leaves_no_traceback() -> None:
    code = """
import sys
import warnings
class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "pixlate.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from pixlate.__main__ import main
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "pixlate: interrupted\n")


def test_a_mistake_prints_one_line_and_gives_2(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", "not-there", "out", "--model", "upscale-x2") == 2
    printed = capsys.readouterr().err
    assert printed.startswith("pixlate: ")
    assert printed.count("\n") == 1


def test_an_options_file_that_is_missing_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--config", "not-there.toml", "models") != 0
    assert "not-there.toml" in "".join(capsys.readouterr().err.split())


def test_interrupting_gives_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(tokens: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pixlate.cli.build_app", interrupted)
    assert run("models") == 130


@pytest.mark.parametrize("line", ["models", "convert a b --model upscale-x2"])
def test_a_command_that_is_interrupted_says_so(line: str, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pixlate.cli.models.cards", interrupted)
    monkeypatch.setattr("pixlate.cli.convert.convert_images", interrupted)
    assert run(*line.split()) == 130
    assert capsys.readouterr().err == "pixlate: interrupted\n"


def test_convert_without_a_model_says_how_to_name_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", "photos", "out") == 2
    assert "expected a model; write: pixlate convert photos/ out/ --model upscale-x4" in capsys.readouterr().err


def test_train_without_a_method_names_those_installed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train") == 2
    assert "expected a method (cut, cyclegan, dcgan, distill, inpaint, pix2pix, srgan, stargan, style) or --resume RUN" in capsys.readouterr().err


def test_what_the_system_refuses_is_one_line_with_the_path(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(tokens: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/run")

    monkeypatch.setattr("pixlate.cli.build_app", refused)
    assert run("models") == 2
    assert capsys.readouterr().err == "pixlate: /somewhere/run: Permission denied; check the path, its permissions and the space on its disk\n"


def test_a_closed_pipe_on_standard_output_leaves_no_traceback() -> None:
    process = subprocess.Popen([sys.executable, "-m", "pixlate", "plugins"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait(timeout=60) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_standard_output_on_a_full_disk_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run([sys.executable, "-m", "pixlate", "plugins"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert process.stderr == "pixlate: standard output takes no more (No space left on device); free some space\n"
    assert process.returncode == 2


def test_memory_that_is_not_there_is_one_sentence(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(tokens: object) -> None:
        raise OutOfDeviceMemory("cpu has no memory for (1, 8, 8, 3)")

    monkeypatch.setattr("pixlate.cli.build_app", refused)
    assert run("models") == 2
    assert capsys.readouterr().err == ("pixlate: cpu has no memory for (1, 8, 8, 3); close other programs, use another device, or a smaller model or picture\n")


@pytest.mark.parametrize(("command", "times"), [("doctor", 0), ("plugins", 0), ("models", 1)])
def test_what_is_left_out_of_a_plugin_is_said_once(
    command: str, times: int, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warning(tokens: object) -> None:
        warnings.warn("the plugin broken is left out", PluginWarning, stacklevel=2)
        raise KeyboardInterrupt

    monkeypatch.setattr("pixlate.cli.build_app", warning)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(command) == 130
    assert capsys.readouterr().err.count("the plugin broken is left out") == times  # the commands that are silent here print it themselves


def test_an_error_that_a_library_makes_of_ctrl_c_is_an_interruption(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Modules in C that are interrupted while they are imported raise ImportError in its place."""

    def imported() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr("pixlate.cli.build_app", lambda words: imported())
    assert run("doctor") == 130
    assert capsys.readouterr().err == "pixlate: interrupted\n"
