"""The wheel as users get it, and a plugin of somebody else's installed beside it."""

import json
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixlate import ModelCard
from pixlate.plugin.manager import installed

ROOT = Path(__file__).parent.parent
SHELVES = ("translate", "plugins", "export")
THIRD_PARTY = ROOT / "tests/third_party/pixlate_negative"


def build_wheel(project: Path, out: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, project], check=True, capture_output=True, text=True, timeout=300
    )
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and the third-party plugin; the packages they depend on are those of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    (library,) = folder.glob("lib/python*/site-packages")
    borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]  # several where this environment borrows as well
    (library / "borrowed.pth").write_text("\n".join(borrowed))
    plugin = build_wheel(THIRD_PARTY, tmp_path_factory.mktemp("plugin"))
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", folder / "bin/python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel, plugin], check=True, capture_output=True, timeout=300)
    return folder


def run(environment: Path, *arguments: str | Path) -> str:
    done = subprocess.run([environment / "bin/pixlate", *arguments], capture_output=True, text=True, timeout=120, cwd=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_holds_every_file_of_every_package(wheel: Path) -> None:
    packages = [path.parent for shelf in SHELVES for path in (ROOT / shelf).glob("*/__init__.py")]
    expected = {
        str(file.relative_to(package.parent)) for package in packages for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected


def test_wheel_holds_the_models_with_their_cards_and_py_typed(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for scale in (2, 4):
        assert {f"pixlate_srgan/models/upscale-x{scale}.onnx", f"pixlate_srgan/models/upscale-x{scale}.md"} <= held
    assert {"pixlate/py.typed", "pixlate_srgan/py.typed", "pixlate_onnx/py.typed"} <= held


def test_wheel_holds_each_version_of_each_model_that_is_named(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    shipped = [card for card in installed().offered(ModelCard).values() if card.make is None]
    files = [path for card in shipped for path in (card.path, *card.earlier.values())]
    assert any(path.parent.name == "earlier" for path in files)
    assert {path.relative_to(ROOT / "plugins").as_posix() for path in files} <= held


def test_shipped_models_are_at_most_8_mb() -> None:
    sizes = {path.name: path.stat().st_size for path in ROOT.glob("plugins/*/models/**/*.onnx")}
    assert sizes
    assert max(sizes.values()) <= 8_000_000, sizes


def test_run_time_dependencies_name_no_training_package(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    required = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    run_time = [line for line in required if "extra ==" not in line]
    assert run_time
    assert not [line for line in run_time if line.startswith(("torch", "kornia", "albumentations", "lightning", "onnx>", "onnxscript"))]
    assert all(">=" in line or "[" in line for line in required), "every dependency has a lower bound"


def test_lowest_versions_tested_are_the_bounds_of_the_run_time_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in ("openvino", "watch") for line in project["optional-dependencies"][extra])]
    bounds = {name: bound for name, _, bound in (line.partition(";")[0].partition(">=") for line in lines) if name != "onnxruntime"}
    pinned = dict(line.split("==") for line in (ROOT / "tests/lowest.txt").read_text().splitlines() if not line.startswith("#"))
    assert bounds.keys() == pinned.keys()
    assert all(pinned[name] == bound or pinned[name] == f"{bound}.0" for name, bound in bounds.items()), (bounds, pinned)


def test_plugins_lists_a_third_party_plugin_with_distribution_and_version(environment: Path) -> None:
    listed = {plugin["name"]: plugin for plugin in json.loads(run(environment, "plugins", "--json"))}
    assert (listed["negative"]["distribution"], listed["negative"]["version"]) == ("pixlate-negative", "1.2.3")
    assert "negative  pixlate-negative 1.2.3  API 1: commands, models, open_model" in run(environment, "plugins")


def test_demo_works_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    printed = run(environment, "demo", tmp_path / "shown")
    assert "small pictures in " in printed and "next, with pictures of your own: pixlate convert PICTURES/ out/ --model upscale-x4" in printed
    with Image.open(tmp_path / "shown" / "before-after.png") as sheet:
        assert sheet.width == 756
    assert len(list((tmp_path / "shown" / "large").glob("*.*g"))) == len(list((tmp_path / "shown" / "small").iterdir())) > 2


def test_installed_plugins_are_those_of_the_wheel(environment: Path) -> None:
    done = subprocess.run([environment / "bin/python", "-c", "import pixlate; print(pixlate.__file__)"], check=True, capture_output=True, text=True)
    assert str(environment) in done.stdout


def test_models_lists_the_third_party_model(environment: Path) -> None:
    assert {"negative", "upscale-x2", "upscale-x4"} <= {model["name"] for model in json.loads(run(environment, "models", "--json"))}


def test_model_of_a_third_party_plugin_converts_an_image(environment: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    run(environment, "convert", tmp_path / "a.png", tmp_path / "out", "--model", "negative")
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out/a.png")), 255 - pixels)


def test_command_of_a_third_party_plugin_runs(environment: Path) -> None:
    assert "hello from a plugin" in run(environment, "hello")
    assert "hello" in run(environment, "--help")
