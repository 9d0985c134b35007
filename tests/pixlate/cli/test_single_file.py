"""A method in a single file: trained, resumed and exported where its path is on the command line, and never executed otherwise."""

import json
import sys
import tomllib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from tests.commands import Process

from pixlate.cli import main
from pixlate.plugin.testing import make_photographs
from pixlate.training.checkpoint import Checkpoint, newest

METHOD = '''
from dataclasses import dataclass
from pathlib import Path

import pixlate
from pixlate.losses import l1
from torch import nn

with Path(__file__).with_suffix(".log").open("a") as log:
    log.write("executed\\n")


@dataclass(frozen=True)
class Options:
    """Options."""

    kernel: int = 3
    """Side of the kernel of the idea."""


class Idea(pixlate.GAN):
    def __init__(self, options):
        super().__init__({"source_to_target": nn.Conv2d(3, 3, options.kernel, padding="same")})

    def spec(self, generator="source_to_target"):
        return pixlate.ModelSpec(method="idea", halo=1, tiling_exact=True)

    def generate(self, batch):
        return {"target": self.generators["source_to_target"](batch["source"])}

    def generator_losses(self, batch, images):
        return {"l1": l1(images["target"], batch["target"])}


@pixlate.hookimpl
def pixlate_methods():
    yield pixlate.Method(name="idea", summary="An idea", data=pixlate.paired, options=Options, build=Idea)
'''
SECOND = '\n    yield pixlate.Method(name="second", summary="Another", data=pixlate.paired, options=Options, build=Idea)\n'
SMALL = ["--lines", "1", "--patch", "8", "--batch", "2", "--hold-out", "1", "--device", "cpu", "--workers", "1"]
Run = Callable[..., int]
pytestmark = pytest.mark.usefixtures("plugins_as_before")


@pytest.fixture
def method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A method's file in the working directory, beside ``photos/``."""
    monkeypatch.chdir(tmp_path)
    make_photographs(tmp_path / "photos", 3, 24, 28)
    path = tmp_path / "my_method.py"
    path.write_text(METHOD)
    return path


@pytest.fixture
def pixlate(monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, arguments)])
        try:
            return main()
        except SystemExit as left:
            return int(left.code or 0)

    return run


def executed(method: Path) -> int:
    log = method.with_suffix(".log")
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_method_of_a_file_is_trained_resumed_exported_and_its_file_recorded(method: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "./my_method.py", "photos", "--out", "run", "--steps", 2, *SMALL) == 0
    assert f"pixlate export run model.onnx --plugin {method}" in " ".join(capsys.readouterr().err.split())
    stored = {"path": str(method), "sha256": sha256(method.read_bytes()).hexdigest()}
    content = tomllib.loads(Path("run/options.toml").read_text())
    assert content["plugin"] == stored and content["train"]["idea"]["kernel"] == 3
    checkpoint = newest(Path("run/checkpoints"))
    assert checkpoint is not None and Checkpoint.load(checkpoint).state["options"]["plugin"] == stored
    method.rename("moved.py")
    assert pixlate("train", "--resume", "run", "--plugin", "moved.py") == 0
    assert pixlate("export", "run", "model.onnx", "--plugin", "moved.py") == 0
    assert pixlate("convert", "photos", "out", "--model", "model.onnx") == 0
    assert len(list(Path("out").glob("*.png")) + list(Path("out").glob("*.jpg"))) == 3


def test_options_of_a_run_of_a_file_start_the_same_training(method: Path, pixlate: Run) -> None:
    assert pixlate("train", "my_method.py", "photos", "--out", "run", "--steps", 1, "--kernel", 5, *SMALL) == 0
    assert pixlate("--config", "run/options.toml", "train", "my_method.py", "--out", "again") == 0
    assert Path("run/options.toml").read_text() == Path("again/options.toml").read_text()


def test_help_of_a_file_shows_its_options(method: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "./my_method.py", "--help") == 0
    text = capsys.readouterr().out
    assert "pixlate train ./my_method.py" in text and "--kernel" in text and "Side of the kernel of the idea." in text


def test_method_without_presets_takes_none(method: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", method, "--help") == 0
    assert "--preset" not in capsys.readouterr().out
    assert pixlate("train", method, ".", "--preset", "real") == 2
    assert "has none, got 'real'; leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("train", "--resume", "run"), ("export", "run", "model.onnx")])
def test_nothing_is_executed_unless_it_is_named_and_unchanged(command: tuple[str, ...], method: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "my_method.py", "photos", "--out", "run", "--steps", 1, *SMALL) == 0
    before = executed(method)
    capsys.readouterr()
    assert pixlate(*command) == 2
    sentence = f"pixlate: run was trained by the single file {method}, which is executed only where it is named; add: --plugin {method}\n"
    assert capsys.readouterr().err == sentence
    method.write_text(METHOD + "# changed\n")
    assert pixlate(*command, "--plugin", "my_method.py") == 2
    error = capsys.readouterr().err
    assert "expected my_method.py as it was when the run began, but its SHA-256 is another" in error and error.count("\n") == 1
    assert executed(method) == before


def test_a_digest_changed_in_the_run_folder_is_refused_by_its_checkpoint(method: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", "my_method.py", "photos", "--out", "run", "--steps", 1, *SMALL) == 0
    options = Path("run/options.toml")
    old = sha256(method.read_bytes()).hexdigest()
    method.write_text(METHOD + "# changed\n")
    options.write_text(options.read_text().replace(old, sha256(method.read_bytes()).hexdigest()))
    assert pixlate("train", "--resume", "run", "--plugin", "my_method.py") == 2
    assert "expected the plugin that run was trained with, but its SHA-256 is another" in capsys.readouterr().err


def test_of_several_methods_one_is_named(method: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    method.write_text(METHOD + SECOND)
    assert pixlate("train", "my_method.py", "photos", "--out", "run", *SMALL) == 2
    assert "expected one of the methods idea, second, but my_method.py offers them all; write: my_method.py:idea" in capsys.readouterr().err
    assert pixlate("train", "my_method.py:third", "photos", "--out", "run", *SMALL) == 2
    assert "expected a method of my_method.py (idea, second), got 'third'" in capsys.readouterr().err
    assert pixlate("train", "my_method.py:second", "photos", "--out", "run", "--steps", 1, *SMALL) == 0
    assert "second" in tomllib.loads(Path("run/options.toml").read_text())["train"]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (None, "but it cannot be read (No such file or directory); check its path"),
        ("x = 1\ny = nothing\n", "but it fails to import at line 2 (NameError: name 'nothing' is not defined); fix it"),
        ("def f(:\n", "but it fails to import at line 1 (SyntaxError: "),
        ("raise SystemExit(0)", "but it fails to import at line 1 (SystemExit: 0)"),
        ("raise GeneratorExit(0)", "but it fails to import at line 1 (GeneratorExit: 0)"),
        ("x = 1\n", "but it offers none; mark a function pixlate_methods with @pixlate.hookimpl"),
        ("import pixlate\n@pixlate.hookimpl\ndef pixlate_methods():\n    yield 1 / 0\n", "failed in pixlate_methods (ZeroDivisionError: division by zero)"),
    ],
)
@pytest.mark.filterwarnings("ignore:the plugin bad")
def test_a_file_without_a_method_is_refused(code: str | None, sentence: str, method: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    if code is not None:
        Path("bad.py").write_text(code)
    assert pixlate("train", "bad.py", "photos", "--out", "run") == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_plugin_of_a_run_of_an_installed_method_is_refused(method: Path, pixlate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run").mkdir()
    Path("run/options.toml").write_text('[train.srgan]\nfolders = ["photos"]\n')
    assert pixlate("train", "--resume", "run", "--plugin", "my_method.py") == 2
    assert "expected a run of a single file for --plugin, but run was trained by the installed method srgan; leave out --plugin" in capsys.readouterr().err
    assert executed(method) == 0


LAUNCHERS = {"devices": ["pixlate"], "torchrun": ["torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "pixlate"]}


@pytest.mark.parametrize("launcher", ["devices", pytest.param("torchrun", marks=pytest.mark.slow)])
def test_processes_that_share_a_batch_all_find_the_file(launcher: str, method: Path, start: Callable[..., Process]) -> None:
    asked = ["--devices", "2"] if launcher == "devices" else []
    process = start(*LAUNCHERS[launcher], "train", "./my_method.py", "photos", "--out", "run", "--steps", "2", *SMALL, *asked)
    _, printed = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert executed(method) == 2
    assert [json.loads(line)["step"] for line in Path("run/log.jsonl").read_text().splitlines()][-1] == 2
