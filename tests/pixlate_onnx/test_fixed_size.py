"""A file that takes one size alone translates pictures of all sizes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tests.pixlate.conftest import nearest, noise

from pixlate.convert import ConvertOptions, convert
from pixlate.errors import PixlateError
from pixlate.evaluation.measure import evaluate
from pixlate.inference.executor import Executor
from pixlate_onnx.runner import OnnxTranslator

HEIGHT, WIDTH = 32, 48
TILED = "cut into tiles of 48x32 pixels, the one size that the model takes; export it with free sides for any other"
PADDED = "padded to 48x32 pixels, the one size that the model takes; export it with free sides for any other"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model without metadata that repeats pixels twice, of one size."""
    graph = helper.make_graph(
        [helper.make_node("Resize", ["image", "", "factors"], ["translated"], mode="nearest")],
        "fixed",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("translated", TensorProto.FLOAT, [1, 3, 2 * HEIGHT, 2 * WIDTH])],
        [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "factors")],
    )
    found = tmp_path_factory.mktemp("fixed") / "fixed.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), found)
    return found


@pytest.mark.parametrize("size", [(32, 48), (20, 30), (100, 130), (20, 200), (33, 20), (1, 1)])
def test_pictures_of_any_size_are_translated_in_the_one_there_is(size: tuple[int, int], path: Path) -> None:
    executor = Executor(OnnxTranslator(path, "cpu"), "auto", "auto")
    assert executor.spec.scale == 2
    images = np.stack([noise(*size, seed=seed) for seed in range(2)])
    reported: list[int] = []
    assert (executor(images, on_tile=reported.append) == nearest(images, 2)).all()
    assert sum(reported) == 2 * size[0] * size[1]
    assert executor.work(*size) >= HEIGHT * WIDTH


@pytest.mark.parametrize("tile", ["off", 64])
def test_other_tiles_are_refused(tile: str | int, path: Path) -> None:
    with pytest.raises(PixlateError, match=f"expected --tile auto for a model that takes images of 48x32 alone, got {tile}; leave it out"):
        Executor(OnnxTranslator(path, "cpu"), tile, 1)  # type: ignore[arg-type]


def test_conversion_and_evaluation_say_what_was_done(path: Path, tmp_path: Path) -> None:
    for name, size in (("large", (70, 90)), ("small", (10, 10)), ("fits", (HEIGHT, WIDTH))):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(noise(*size)).save(tmp_path / "in" / f"{name}.png")
    summary = convert(tmp_path / "in", tmp_path / "out", path, ConvertOptions(device="cpu"))
    assert summary.converted == 3
    assert summary.notes == {TILED: 1, PADDED: 1}
    for name in ("large", "small", "fits"):
        with Image.open(tmp_path / "in" / f"{name}.png") as source, Image.open(tmp_path / "out" / f"{name}.png") as output:
            assert (np.asarray(output) == nearest(np.asarray(source)[None], 2)[0]).all()
    found = evaluate(path, [tmp_path / "in", tmp_path / "out"], metrics=["psnr-luma"], device="cpu")
    assert [figure.value for figure in found.figures] == [float("inf")]
    assert set(found.notes) == {TILED, PADDED}
