"""Who may import whom, and what stays out of the run-time path."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHELVES = ("translate", "plugins", "export")
PACKAGES = {path.parent.name: path.parent for shelf in SHELVES for path in sorted((ROOT / shelf).glob("*/__init__.py"))}
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
"""Packages of extras, which are imported lazily."""


def test_imports_follow_the_contracts_of_the_project() -> None:
    """Core, plugins and export; the layers of the core; PyTorch: see ``tool.importlinter`` in pyproject.toml."""
    script = "from importlinter.cli import lint_imports\nraise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", script], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_contracts_name_every_package() -> None:
    linted = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert sorted(linted["root_packages"]) == sorted(PACKAGES)
    core, independent = linted["contracts"][1:3]
    assert sorted(core["forbidden_modules"]) == sorted(independent["modules"]) == sorted(PACKAGES.keys() - {"pixlate"})


def test_every_package_name_starts_with_the_name_of_the_project() -> None:
    assert all(name.startswith("pixlate") for name in PACKAGES)


def loaded_after(code: str) -> set[str]:
    """Return which heavy packages a fresh process holds after running some code."""
    script = f"import sys\nsys.argv = ['pixlate', '--help']\n{code}\nprint('LOADED', *sorted({{name for name in sys.modules if name in {HEAVY | EXTRAS!r} or name.startswith(('pixlate_fsspec.', 'pixlate_ray.'))}}))"
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


def test_wheel_lists_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(listed) == sorted(str(path.relative_to(ROOT)) for path in PACKAGES.values())
