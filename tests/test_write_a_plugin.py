"""The code of ``docs/write_a_plugin.md``, exactly as written there, is installed, tested, trained, exported and used."""

import ast
import dataclasses
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.commands import run_modules

from pixlate.cli import main
from pixlate.plugin.testing import check_method, make_photographs, small_options

PAGE = (Path(__file__).parent.parent / "docs/write_a_plugin.md").read_text()
FILES = re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SHELL = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
MOST_LINES = 44


def test_page_needs_no_more_lines_of_python_than_it_says() -> None:
    sources = [text for name, text in FILES if name.endswith(".py") and not Path(name).name.startswith(("test_", "adversarial", "smooth"))]
    lines = sum(len([line for line in text.splitlines() if line.strip()]) for text in sources)
    (said,) = re.findall(r"in (\d+) lines of Python", PAGE)
    assert lines == int(said) <= MOST_LINES
    assert all(ast.parse(text) for text in sources)


def test_discriminator_example_of_the_page_keeps_the_contract(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(workplace / "pixlate-regression")
    package, adversarial = (importlib.import_module(name) for name in ("pixlate_regression", "pixlate_regression.adversarial"))
    (method,) = package.pixlate_methods()
    judged = dataclasses.replace(method, build=adversarial.Adversarial)
    check_method(judged)
    gan = adversarial.Adversarial(small_options(judged))
    batch = {name: torch.rand(1, 3, 32, 32) for name in ("source", "target")}
    real, generated = gan.verdicts(batch, gan.generate(batch))["target"]
    assert real.shape == generated.shape == (1, 1, 6, 6)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pixlate_regression"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``photos/`` and the package of the page in it."""
    folder = tmp_path_factory.mktemp("workplace")
    make_photographs(folder / "photos", 5, 60, 70)
    for name, text in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_commands_of_the_page_make_a_model_that_converts(workplace: Path) -> None:
    install, *commands = SHELL[0].splitlines()
    site = workplace / "site"  # a folder of its own, beside the installed Pixlate
    words = ["-m", *install.split()[:-1], "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site), install.split()[-1]]
    subprocess.run([sys.executable, *words], cwd=workplace, check=True, capture_output=True, timeout=300)
    test = ["pytest", "-q", "-p", "no:cacheprovider", "pixlate-regression/test_regression.py"]
    *done, tested = run_modules(*(command.split(" --licence ")[0].split() for command in commands), test, site=site, folder=workplace)
    printed = "".join(command.require().out for command in done)
    assert "pixlate-regression 1.0.0" in printed
    for path in sorted((workplace / "photos").iterdir()):
        with Image.open(path) as photograph, Image.open(workplace / "out" / path.name) as translated:
            assert translated.size == photograph.size and translated.mode == "RGB" and translated.tobytes() != photograph.tobytes()
    assert "1 passed" in tested.require().out


@pytest.mark.usefixtures("plugins_as_before")
def test_single_file_of_the_page_is_trained_resumed_and_exported(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    for command in SHELL[1].splitlines():
        monkeypatch.setattr(sys, "argv", command.split())
        assert main() == 0, command
    assert (workplace / "smooth.onnx").is_file()
