"""The pages are current, and their examples run."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image

from pixlate.cli import build_app, main

pytestmark = pytest.mark.usefixtures("operators_read_once")

ROOT = Path(__file__).parent.parent
GUIDES = [
    ROOT / "README.md",
    ROOT / "docs/convert.md",
    ROOT / "docs/train.md",
    ROOT / "docs/sample.md",
    ROOT / "docs/export.md",
    ROOT / "docs/evaluate.md",
    ROOT / "docs/models.md",
    ROOT / "docs/films.md",
]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``photos/``, ``other/`` and ``drawings/`` in it, as the guides suppose."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("chelsea", "coffee", "astronaut"):
        with Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png") as photograph:
            small = photograph.resize((64, 48))
        small.save(folder / f"{name}.jpg")
        small.save(folder / ("cat.png" if name == "chelsea" else f"{name}-copy.png"))
        (tmp_path / "other").mkdir(exist_ok=True)
        small.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "other" / f"{name}.png")
    (tmp_path / "drawings").mkdir()
    small.convert("1").save(tmp_path / "drawings" / "astronaut.png")
    frames = [small.rotate(angle) for angle in (0, 20, 40)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=40)
    (tmp_path / "clips").mkdir()
    for film in ("holiday.mp4", "clips/film.mkv"):
        write_film(tmp_path / film, frames)
    small.save(tmp_path / "clips" / "still.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_film(path: Path, frames: list[Image.Image]) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = frames[0].size
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode(None))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_commands_of_the_guides_run(page: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("pixlate ")]
    assert commands
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
        assert main() == 0, command


@pytest.mark.parametrize("page", [page for page in (*GUIDES, ROOT / "docs/cluster.md") if blocks(page, "python")], ids=lambda page: page.name)
def test_python_of_the_guides_runs(page: Path, workplace: Path) -> None:
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), {})


def test_examples_of_the_hooks_are_valid_python() -> None:
    examples = blocks(ROOT / "docs/hooks.md", "python")
    assert len(examples) >= 6
    for example in examples:
        compile(example, "hooks.md", "exec")


def test_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_every_command_is_in_the_page_of_commands() -> None:
    def walk(app: Any, words: str) -> Iterator[str]:
        inner = [name for name in app if not name.startswith("-")]
        for name in inner:
            yield from walk(app[name], f"{words} {name}")
        if not inner or words == "pixlate data preview":  # whose methods have the options of pixlate train
            yield words

    commands = {command for command in walk(build_app(()), "pixlate") if not command.startswith("pixlate data preview ")}
    assert len(commands) > 15
    assert commands <= set(re.findall(r"^## (.+)$", (ROOT / "docs/cli.md").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    "page",
    [
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "benchmarks/README.md",
        *sorted((ROOT / "plugins").glob("*/models/*.md")),
    ],
    ids=lambda page: page.name,
)
def test_links_of_the_pages_exist(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
        assert (page.parent / target).exists(), target


def test_every_recipe_is_an_options_file_of_the_method(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for recipe in (ROOT / "plugins").glob("*/recipes/**/*.toml"):
        method = recipe.relative_to(ROOT / "plugins").parts[0].removeprefix("pixlate_")
        monkeypatch.setattr(sys, "argv", ["pixlate", "--config", str(recipe), "train", method, "--out", "nowhere"])
        assert main() == 2, recipe
        assert "expected folders of images, got none" in capsys.readouterr().err


def test_no_page_holds_the_marks_of_a_merge() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        assert not re.search(r"^(<{7} |>{7} |={7}$)", page.read_text(), re.MULTILINE), page


def test_rooms_of_the_architecture_page_are_those_of_the_code() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rooms = {path.parent.name for path in (ROOT / "translate/pixlate").glob("*/__init__.py")}
    packages = {path.parent.name for shelf in ("plugins", "export") for path in (ROOT / shelf).glob("*/__init__.py")}
    methods = {"pixlate_cyclegan", "pixlate_pix2pix", "pixlate_srgan", "pixlate_stargan"}
    assert {room for room in rooms if f"`{room}/`" not in page and f"/{room}/`" not in page} == set()
    assert {package for package in packages - methods if package not in page} == set()


def test_files_that_the_architecture_page_names_exist() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`((?:translate|plugins|export|tests|[a-z]+)/[\w/.]*\.py)`", page))
    assert len(named) > 5
    assert {name for name in named if not (ROOT / name).is_file() and not (ROOT / "translate/pixlate" / name).is_file()} == set()


def test_sentences_of_the_troubleshooting_page_are_those_of_the_code() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    sources = "".join(path.read_text() for shelf in ("translate", "plugins", "export") for path in (ROOT / shelf).rglob("*.py"))
    sentences = [sentence for heading in re.findall(r"^### (.*)$", page, re.MULTILINE) for sentence in re.findall(r"`([^`]+)`", heading)]
    assert len(sentences) >= 15
    for sentence in sentences:
        for part in (part.strip(" ,;:") for part in sentence.split("...")):
            assert part in sources, f"{part!r} of {sentence!r}"


@pytest.fixture
def docs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules that make the pages can be imported."""
    monkeypatch.syspath_prepend(ROOT / "docs")


@pytest.mark.usefixtures("docs")
def test_a_picture_on_the_page_of_scale_is_timed_without_the_start() -> None:
    row = {"model": "upscale-x4", "runtime": "openvino", "arithmetic": "bfloat16", "images": 5, "one": [2.0, 2.0, 9.0], "some": [6.0, 6.0, 6.0]}
    assert import_module("scale_page").seconds_per_picture({"seconds": [row]}) == {"`upscale-x4`, OpenVINO in bfloat16": 1.0}


@pytest.mark.usefixtures("docs")
def test_table_of_training_speed_replaces_what_is_between_its_marks_alone() -> None:
    module = import_module("speed_table")
    made = module.filled(f"before\n{module.BEGIN}\nold\n{module.END}\nafter\n")
    assert made.startswith(f"before\n{module.BEGIN}\n")
    assert made.endswith(f"\n{module.END}\nafter\n")
    assert "old" not in made
    assert module.filled(made) == made
