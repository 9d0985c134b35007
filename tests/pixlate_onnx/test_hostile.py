"""ONNX files that never end, or ask for more than any picture needs, are ended or refused in a sentence."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tests.pixlate.conftest import noise

from pixlate.errors import PixlateError
from pixlate.inference.batcher import in_order
from pixlate.inference.executor import Executor
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate_onnx.runner import OnnxTranslator

Side = int | str | None


def enlarging(path: Path, sides: list[Side], factor: int, out: list[Side] | None = None) -> Path:
    """Write a model without metadata that repeats pixels."""
    graph = helper.make_graph(
        [helper.make_node("Resize", ["image", "", "factors"], ["translated"], mode="nearest")],
        "enlarging",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("translated", TensorProto.FLOAT, out or ["b", 3, "h", "w"])],
        [numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), "factors")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("sides", "factor", "sentence"),
    [
        (["b", 3, 0, 0], 2, "expected images of at least 1 and at most 268,435,456 numbers"),
        (["b", 3, 100_000, 100_000], 1, "expected images of at least 1 and at most 268,435,456 numbers"),
        ([1_000_000, 3, "h", "w"], 2, "expected a fixed batch of 1 to 1024 images, got 1000000"),
        ([0, 3, "h", "w"], 2, "expected a fixed batch of 1 to 1024 images, got 0"),
        (["b", 3, "h", "w"], 200, "expected a model that enlarges at most by 64, got one that enlarges by 200"),
        (["b", 3, 64, 64], 200, "expected images of at least 1 and at most"),
    ],
)
def test_sizes_beyond_any_picture_are_refused_before_memory_is_taken(sides: list[Side], factor: int, sentence: str, tmp_path: Path) -> None:
    out: list[Side] | None = [sides[0], 3, *(side * factor for side in sides[2:] if isinstance(side, int))] if isinstance(sides[2], int) else None
    path = enlarging(tmp_path / "a.onnx", sides, factor, out)
    runs: list[tuple[int, ...]] = []
    run = OnnxTranslator._tried

    def recorded(self: OnnxTranslator, channels: int, height: int, width: int) -> tuple[int, ...]:
        runs.append((channels, height, width))
        return run(self, channels, height, width)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(PixlateError, match=sentence):
        patched.setattr(OnnxTranslator, "_tried", recorded)
        OnnxTranslator(path, "cpu")
    assert all(height <= 8 for _, height, _ in runs)


def endless(path: Path) -> Path:
    """Write a model whose loop never ends."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["going_on"]), helper.make_node("Sqrt", ["value"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("index", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info("going_on", TensorProto.BOOL, []), helper.make_tensor_value_info("next", TensorProto.FLOAT, None)],
    )
    sides: list[Side] = ["b", 3, "h", "w"]
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "true", "image"], ["translated"], body=body)],
        "endless",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("translated", TensorProto.FLOAT, sides)],
        [numpy_helper.from_array(np.array(True), "true")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: ModelSpec().to_json()})
    onnx.save(model, path)
    return path


def nested(path: Path, depth: int = 27) -> Path:
    """Write a model of functions that each call the one before twice: 2 to the power of the depth nodes in a few kilobytes."""
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("nested", 1)]
    functions = [helper.make_function("nested", "f0", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], domains)]
    for number in range(depth):
        calls = [helper.make_node(f"f{number}", [given], [made], domain="nested") for given, made in (("x", "half"), ("half", "y"))]
        functions.append(helper.make_function("nested", f"f{number + 1}", ["x"], ["y"], calls, domains))
    sides: list[Side] = ["b", 3, "h", "w"]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("image", "translated")]
    graph = helper.make_graph([helper.make_node(f"f{depth}", ["image"], ["translated"], domain="nested")], "nested", values[:1], values[1:])
    onnx.save(helper.make_model(graph, functions=functions, opset_imports=domains, ir_version=9), path)
    return path


def test_a_model_that_never_ends_is_ended_from_outside(tmp_path: Path) -> None:
    translator = OnnxTranslator(endless(tmp_path / "a.onnx"), "cpu")
    raised: list[Exception] = []

    def run() -> None:
        try:
            translator(noise(4, 4)[None])
        except PixlateError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not translator._run._active:
        time.sleep(0.01)
    while thread.is_alive():  # the flag may be set before the run looks at it for the first time
        translator.terminate()
        thread.join(0.05)
    assert len(raised) == 1


def test_an_evaluation_that_is_left_ends_its_model(tmp_path: Path) -> None:
    executor = Executor(OnnxTranslator(endless(tmp_path / "a.onnx"), "cpu"), "off", 1)
    outputs = in_order(executor, ((noise(4, 4), {}) for _ in range(1)))

    def leave() -> None:
        executor.terminate()

    timer = threading.Timer(0.5, leave)
    timer.start()
    assert isinstance(next(outputs), PixlateError)
    outputs.close()  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("stage", ["converting", "opening", "nested"])
def test_ctrl_c_ends_a_conversion_whose_model_never_ends(stage: str, tmp_path: Path) -> None:
    path = nested(tmp_path / "a.onnx") if stage == "nested" else endless(tmp_path / "a.onnx")
    if stage == "opening":  # without metadata the model runs while it is opened
        model = onnx.load(path)
        del model.metadata_props[:]
        onnx.save(model, path)
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    code = "import sys; from pixlate.cli import main; sys.exit(main())"
    command: list[str | Path] = [sys.executable, "-c", code, "convert", tmp_path / "a.png", tmp_path / "out", "--model", path, "--device", "cpu"]
    watch = "import pixlate_onnx.session as s; r = s.Running._running; s.Running._running = lambda *a: (print('runs', flush=True), r(*a))[1]; "
    if stage == "nested":  # ONNX Runtime is in the middle of its work when the signal comes
        watch = "import threading, pixlate_onnx.session as s; o = s._session; say = lambda: print('runs', flush=True); "
        watch += "s._session = lambda *a: (threading.Timer(0.5, say).start(), o(*a))[1]; "
    command[2] = watch + code
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "runs" in line:
                break
        process.send_signal(signal.SIGINT)
        if stage == "converting":
            process.send_signal(signal.SIGTERM)  # the second ends it at once
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
