"""The arrows of the house: who may import whom, and what stays out of the run-time path."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHELVES = ("translate", "plugins", "export")
PACKAGES = {path.parent.name: path.parent for shelf in SHELVES for path in sorted((ROOT / shelf).glob("*/__init__.py"))}
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").is_file())
EXPORT = sorted(path.name for path in (ROOT / "export").iterdir() if (path / "__init__.py").is_file())
HEAVY = {
    "torch",
    "torchvision",
    "kornia",
    "albumentations",
    "lightning_fabric",
    "safetensors",
    "onnx",
    "onnxscript",
    "tensorboard",
    "torchmetrics",
    "torch_fidelity",
    "cv2",
    "spandrel",
}
EXTRAS = {"fastapi", "fsspec", "prometheus_client", "ray", "uvicorn"}
"""Packages of extras, which come in only where they are asked for."""
RUN_TIME = [
    *(f"translate/pixlate/{room}" for room in ("cli", "convert", "images", "inference", "places", "system")),
    *(f"export/{package}" for package in ("pixlate_onnx", "pixlate_serve", "pixlate_triton")),
]


def imported(path: Path) -> Iterator[str]:
    """Yield the modules a file imports anywhere but under TYPE_CHECKING."""
    for node in _outside_type_checking(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _outside_type_checking(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _outside_type_checking(child)


def packages_imported(folder: Path) -> set[str]:
    return {module.partition(".")[0] for path in folder.rglob("*.py") for module in imported(path)}


def test_core_imports_neither_plugins_nor_export() -> None:
    assert packages_imported(PACKAGES["pixlate"]) & (PACKAGES.keys() - {"pixlate"}) == set()


@pytest.mark.parametrize("name", PLUGINS)
def test_plugin_imports_no_other_package_of_the_house_but_the_core(name: str) -> None:
    assert packages_imported(PACKAGES[name]) & PACKAGES.keys() <= {"pixlate", name}


@pytest.mark.parametrize("name", EXPORT)
def test_package_of_the_export_shelf_imports_no_other_package_but_the_core(name: str) -> None:
    assert packages_imported(PACKAGES[name]) & PACKAGES.keys() <= {"pixlate", name}


def test_every_package_carries_the_name_of_the_project() -> None:
    assert all(name.startswith("pixlate") for name in PACKAGES)


@pytest.mark.parametrize("place", RUN_TIME)
def test_run_time_path_names_no_heavy_package(place: str) -> None:
    path = ROOT / place
    files = path.rglob("*.py") if path.is_dir() else [path]
    found = {(file.name, module) for file in files for module in imported(file) if module.partition(".")[0] in HEAVY}
    assert found <= {("doctor.py", "torch"), ("doctor.py", "torchvision")}, "only doctor may look at them, when it is called"


def test_networks_know_nothing_of_devices_options_or_files() -> None:
    known = {module for path in (PACKAGES["pixlate"] / "networks").glob("*.py") for module in imported(path) if module.startswith("pixlate")}
    assert all(module.startswith("pixlate.networks") for module in known)


def loaded_after(code: str) -> set[str]:
    """Return which heavy packages a fresh process holds after running some code."""
    script = f"import sys\nsys.argv = ['pixlate', '--help']\n{code}\nprint('LOADED', *sorted(sys.modules.keys() & {HEAVY | EXTRAS!r}))"
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120).stdout
    return set(printed.rpartition("LOADED")[2].split())


def test_help_loads_no_heavy_package() -> None:
    assert loaded_after("from pixlate.cli import main\nassert main() == 0") == set()


def test_convert_loads_no_heavy_package(tmp_path: Path) -> None:
    code = (
        f"import numpy, pathlib, pixlate\nfrom PIL import Image\n"
        f"Image.fromarray(numpy.zeros((8, 9, 3), 'uint8')).save({str(tmp_path / 'a.png')!r})\n"
        f"assert pixlate.convert({str(tmp_path / 'a.png')!r}, {str(tmp_path / 'out')!r}, model='upscale-x2').converted == 1"
    )
    assert loaded_after(code) == set()


def test_importing_pixlate_loads_neither_numpy_nor_pillow() -> None:
    script = "import sys, pixlate\nprint(*sorted(sys.modules.keys() & {'numpy', 'PIL', 'onnxruntime'}))"
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60).stdout
    assert printed.split() == []


def test_wheel_lists_every_package_of_the_shelves() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(listed) == sorted(str(path.relative_to(ROOT)) for path in PACKAGES.values())
