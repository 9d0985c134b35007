"""The command line as a whole: help, versions, mistakes, exit codes."""

import errno
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest

from pixlate.cli import main

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
    ("command", "line"),
    [
        ("convert", "│                             counts any other file as a failure, skip keeps   │"),
        ("convert", "│                             the output is cropped. auto is 64 on GPUs and    │"),
        ("evaluate", "│                           left half of each image), degraded (one folder of  │"),
    ],
)
def test_help_shows_texts_of_several_lines_as_one_paragraph(
    command: str, line: str, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(command, "--help") == 0
    assert line in capsys.readouterr().out.splitlines()


def test_version_is_that_of_the_distribution(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == version("pixlate")


def test_a_misspelled_command_is_refused_with_a_suggestion(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convrt") != 0
    assert 'Did you mean "convert"' in capsys.readouterr().err


def test_a_misspelled_option_is_refused_with_a_suggestion(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", "a", "b", "--model", "upscale-x2", "--qualty", "3") != 0
    assert "--quality" in capsys.readouterr().err


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


def test_convert_without_a_model_says_how_to_name_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", "photos", "out") == 2
    assert "expected a model; write: pixlate convert photos/ out/ --model upscale-x4" in capsys.readouterr().err


def test_train_without_a_method_names_those_installed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train") == 2
    assert "expected a method (cyclegan, pix2pix, srgan) or --resume RUN" in capsys.readouterr().err


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
