"""Work in a process of its own, whose crash is one sentence."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from pixlate.cli import main
from pixlate.errors import PixlateError
from pixlate_export import apart as module
from pixlate_export import command
from pixlate_export.apart import apart

WORK = """
import os, signal, warnings
from pathlib import Path
from pixlate.errors import PixlateError

def speak(report, *words):
    report(f"from {os.getppid()}")
    warnings.warn("be warned")
    for word in words:
        report(word)

def refuse(report, *given):
    report("before")
    raise PixlateError("expected this, got that; do the other")

def miss(report, path):
    Path(path).read_bytes()

def end(report, number):
    report("before")
    signal.raise_signal(number)

def crash(report, *given):
    end(report, signal.SIGSEGV)

def fail(report):
    raise ZeroDivisionError("a fault of Pixlate's")

def wait(report):
    report(str(os.getpid()))
    signal.pause()
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that a new process can import."""
    (tmp_path / "some_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    import some_work  # type: ignore[import-not-found]

    yield some_work
    del sys.modules["some_work"]


def test_lines_and_warnings_come_from_another_process_as_they_are_made(work: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="be warned"):
        apart("do something", work.speak, "one", "two")
    assert capfd.readouterr().out.splitlines() == [f"from {os.getpid()}", "one", "two"]


def test_mistakes_and_what_the_system_refuses_are_raised_here(work: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"^expected this, got that; do the other$"):
        apart("do something", work.refuse)
    with pytest.raises(FileNotFoundError) as caught:
        apart("do something", work.miss, str(tmp_path / "missing"))
    assert caught.value.filename == str(tmp_path / "missing")


def test_a_fault_keeps_its_traceback(work: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        apart("do something", work.fail)
    assert caught.value.code == 1
    assert "ZeroDivisionError: a fault of Pixlate's" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGFPE", "SIGABRT"])
def test_a_crash_is_one_sentence(name: str, work: ModuleType) -> None:
    sentence = (
        rf"^the process that writes the file crashed \({name}\), by a fault of PyTorch or ONNX Runtime with this network; nothing was written: do something$"
    )
    with pytest.raises(PixlateError, match=sentence):
        apart("do something", work.end, getattr(signal, name))


def test_a_process_without_memory_is_said_to_be_killed(work: ModuleType) -> None:
    with pytest.raises(PixlateError, match=r"was killed \(SIGKILL\), mostly for lack of memory; nothing was written"):
        apart("do something", work.end, signal.SIGKILL)


def test_the_process_ends_with_an_interrupted_command(work: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []

    def interrupted(line: str, flush: bool) -> None:
        printed.append(line)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "print", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        apart("do something", work.wait)
    with pytest.raises(ProcessLookupError):
        os.kill(int(printed[0]), 0)


@pytest.mark.parametrize(
    ("words", "name", "remedy"),
    [
        (["export", "."], "export_run", "update PyTorch and onnxscript, or report it to whoever made the network"),
        (["export", "a.onnx"], "export_model", "export the run or the weights that it was made from"),
        (["import", "a.pth"], "import_file", "convert with its weights directly: pixlate convert photos/ out/ --model a.pth"),
    ],
)
def test_commands_survive_a_crash(
    words: list[str], name: str, remedy: str, work: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(b"weights")
    monkeypatch.setattr(command, "apart", apart)
    monkeypatch.setattr(command, name, work.crash)
    monkeypatch.setattr(sys, "argv", ["pixlate", *words, str(tmp_path / "out.onnx")])
    assert main() == 2
    printed = capsys.readouterr()
    assert printed.out == "before\n"
    assert (
        printed.err
        == f"pixlate: the process that writes the file crashed (SIGSEGV), by a fault of PyTorch or ONNX Runtime with this network; nothing was written: {remedy}\n"
    )


@pytest.mark.slow
def test_weights_are_imported_in_a_process_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "apart", apart)
    state = {
        f"body.{index}.{name}": value
        for index, layer in ((0, torch.nn.Conv2d(3, 8, 3)), (2, torch.nn.Conv2d(8, 12, 3)))
        for name, value in layer.state_dict().items()
    }
    torch.save(state | {"body.1.weight": torch.full((8,), 0.2)}, tmp_path / "compact.pth")
    monkeypatch.setattr(sys, "argv", ["pixlate", "import", str(tmp_path / "compact.pth"), str(tmp_path / "out.onnx")])
    assert main() == 0, capsys.readouterr().err
    assert capsys.readouterr().out.startswith("recognised: RealESRGAN Compact") and (tmp_path / "out.onnx").exists()
