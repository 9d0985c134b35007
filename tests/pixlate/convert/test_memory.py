"""A large picture is held in memory as few times as possible, and of many pictures few at once."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from tests.pixlate.conftest import Nearest, folder

from pixlate.convert import ConvertOptions, convert, pipeline
from pixlate.images import Pixels, write_picture
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate.plugin.translator import Translator

CHILD = """
import sys
from pathlib import Path
from pixlate.convert import ConvertOptions, convert

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

model, small, large, out = sys.argv[1:]
options = ConvertOptions(device="cpu", tile=256, threads=1)
convert(small, out, model, options)
Path("/proc/self/clear_refs").write_text("5")  # the peak is measured from here
before = kilobytes("VmRSS")
assert convert(large, out, model, options).converted == 1
print(kilobytes("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(("suffix", "exact"), [("png", True), ("jpg", False)])
def test_a_model_of_scale_1_needs_at_most_eight_bytes_for_each_pixel(suffix: str, exact: bool, tmp_path: Path) -> None:
    """Three as read and three as translated, and one to two for what Pillow holds besides: 20,000 x 20,000 pixels stay under 4 GB."""
    height, width = 2400, 4000
    ramp = np.add.outer(np.arange(height), np.arange(width)) // 64
    Image.fromarray(np.dstack([ramp, ramp + 80, ramp + 160]).astype(np.uint8)).save(tmp_path / f"large.{suffix}")
    Image.fromarray(np.zeros((300, 300, 3), np.uint8)).save(tmp_path / f"small.{suffix}")
    model = tmp_path / "model.onnx"
    sides: list[str | int | None] = ["batch", 3, "height", "width"]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("image", "translated")]
    made = helper.make_model(
        helper.make_graph([helper.make_node("Identity", ["image"], ["translated"])], "identity", values[:1], values[1:]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    helper.set_model_props(made, {METADATA_KEY: ModelSpec(tiling_exact=exact).to_json()})
    onnx.save(made, model)
    command: list[str | Path] = [sys.executable, "-c", CHILD, model, tmp_path / f"small.{suffix}", tmp_path / f"large.{suffix}", tmp_path / "out"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert int(run.stdout) * 1024 < 8 * height * width + 24_000_000  # the tiles of the model


def test_outputs_do_not_pile_up_where_writing_is_slow(use: Callable[[Translator], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, changed, count, most = Nearest(), threading.Condition(), 60, 12
    written = 0
    backlogs = []

    def begun(pixels: Pixels) -> None:
        with changed:
            backlogs.append(len(model.shapes) - written)
            changed.notify_all()

    def slow(*words: Any, **options: Any) -> tuple[str, ...]:
        nonlocal written
        with changed:  # until the model can go no further
            assert changed.wait_for(lambda: len(model.shapes) >= min(count, written + most), timeout=60)
            written += 1
        return write_picture(*words, **options)

    model.before = begun
    monkeypatch.setattr(pipeline, "write_picture", slow)
    assert convert(folder(tmp_path / "in", count), tmp_path / "out", use(model), ConvertOptions(threads=2)).converted == count
    assert max(backlogs) == most
