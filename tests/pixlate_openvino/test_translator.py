"""Running model files with OpenVINO: as ONNX Runtime runs them, in float32 and in bfloat16."""

import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tests.pixlate.conftest import noise, write_conditional
from tests.pixlate_onnx.test_statistics import difference, lit_from_the_right, network

import pixlate
from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.inference.executor import Executor
from pixlate.plugin.spec import ModelInput, ModelSpec
from pixlate.plugin.translator import Interruptible, Measuring
from pixlate_onnx.runner import OnnxTranslator
from pixlate_openvino import library
from pixlate_openvino.library import arithmetics, shortened
from pixlate_openvino.program import Running
from pixlate_openvino.translator import OpenvinoTranslator

HAS_BFLOAT16 = "bfloat16" in arithmetics()
needs_bfloat16 = pytest.mark.skipif(not HAS_BFLOAT16, reason="this CPU has no units for bfloat16")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "cache"))


def decibels(first: NDArray[Any], second: NDArray[Any]) -> float:
    return float(20 * np.log10(255) - 10 * np.log10(np.square(first.astype(float) - second).mean()))


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (64, 50), (33, 130)])
@pytest.mark.parametrize("model", ["upscale-x2", "day-to-night", "clean"])
def test_float32_agrees_with_onnx_runtime_at_any_size(model: str, size: tuple[int, int]) -> None:
    pixels = np.stack([noise(*size), noise(*size)[::-1]])
    found = pixlate.load(model, "cpu", runtime="openvino")(pixels)
    assert np.abs(found.astype(int) - pixlate.load(model, "cpu")(pixels)).max() <= 1


def test_a_file_of_uint8_is_run_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    values = [helper.make_tensor_value_info(name, TensorProto.UINT8, ["b", "h", "w", 3]) for name in ("image", "translated")]
    nodes = [helper.make_node("Sub", ["white", "image"], ["translated"])]
    graph = helper.make_graph(nodes, "negative", values[:1], values[1:], [onnx.numpy_helper.from_array(np.array(255, np.uint8), "white")])
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {"pixlate": ModelSpec(io="uint8").to_json()})
    onnx.save(model, path)
    translator = OpenvinoTranslator(path, "cpu")
    pixels = noise(5, 4)[None]
    first = translator(pixels)
    np.testing.assert_array_equal(first, 255 - pixels)
    translator(255 - pixels)  # which writes nothing into what was given before
    np.testing.assert_array_equal(first, 255 - pixels)
    assert translator.spec.io == "uint8"


def test_conditions_reach_the_model(tmp_path: Path) -> None:
    inputs = (ModelInput("hole", "mask"), ModelInput("hair", "label", choices=("blond", "red")), ModelInput("style", "vector", length=2))
    path = write_conditional(tmp_path / "a.onnx", inputs)
    given = {"hole": np.full((1, 6, 5, 1), 255, np.uint8), "hair": np.array([1]), "style": np.full((1, 2), 0.25, np.float32)}
    given["hole"][:, :3] = 0
    pixels = noise(6, 5)[None]
    found = OpenvinoTranslator(path, "cpu")(pixels, **given)
    np.testing.assert_array_equal(found, OnnxTranslator(path, "cpu")(pixels, **given))
    assert found[0, 5, 0, 0] != pixels[0, 5, 0, 0]


@needs_bfloat16
@pytest.mark.parametrize("model", ["upscale-x2", "day-to-night", "clean"])
def test_bfloat16_stays_near_float32(model: str, data: Path) -> None:
    from PIL import Image

    path = sorted((data / "photos/test").glob("*.jpg"))[3]
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))[None, 60:220, 60:250]
    found, expected = (pixlate.load(model, "cpu", arithmetic)(pixels).astype(int) for arithmetic in ("bfloat16", "auto"))
    assert 0 < np.abs(found - expected).max() <= 8
    assert decibels(found, expected) > 45


@needs_bfloat16
def test_pictures_of_16_bits_are_computed_in_float32() -> None:
    rough, exact = (pixlate.load("upscale-x2", "cpu", arithmetic, runtime="openvino") for arithmetic in ("bfloat16", "float32"))
    assert isinstance(rough, OpenvinoTranslator)
    pixels = noise(20, 30)[None].astype(np.uint16) * 257
    np.testing.assert_array_equal(rough(pixels), exact(pixels))
    assert (rough.arithmetic(np.dtype(np.uint16)), rough.arithmetic(np.dtype(np.uint8))) == ("float32", "bfloat16")


@pytest.mark.parametrize("arithmetic", arithmetics())
def test_tiles_share_the_statistics_of_the_whole(arithmetic: str, tmp_path: Path) -> None:
    path = network(tmp_path / "a.onnx")
    translator = OpenvinoTranslator(path, "cpu", arithmetic)
    assert isinstance(translator, Measuring)
    image = lit_from_the_right(150, 240)[None]
    whole = Executor(OnnxTranslator(path, "cpu"), "off", 1)(image)
    assert difference(Executor(translator, 64, 2)(image), whole) < (0.5 if arithmetic == "float32" else 1.5)  # with statistics of their own: 23
    deep = Executor(translator, 64, 2)(image.astype(np.uint16) * 257)
    assert difference(np.rint(deep / 257).astype(np.uint8), whole) < 0.5


def test_threads_share_one_compiled_model_and_keep_their_outputs_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    translator = pixlate.load("upscale-x2", "cpu", runtime="openvino")
    pictures = [np.full((1, 8 + index % 3, 9, 3), 10 * index, np.uint8) for index in range(12)]
    expected = [translator(picture) for picture in pictures]
    monkeypatch.setattr("pixlate_openvino.kept.compiled", None)  # nothing is compiled again
    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(translator, pictures), expected, strict=True):
            np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize(("given", "number"), [(None, "64"), ("500", "500")])
def test_onednn_keeps_few_kernels_and_pytorchs_own_is_left_alone(given: str | None, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Core:
        def compile_model(self, *_: object) -> None:
            asked.append(os.environ[library._KEPT])

    asked: list[str] = []
    monkeypatch.delenv(library._KEPT, raising=False)
    if given is not None:
        monkeypatch.setenv(library._KEPT, given)
    library._keep_few_kernels(Core())
    assert (asked, os.environ.get(library._KEPT)) == ([number], given)


AT_ONCE = """
import sys, threading
import numpy as np
import pixlate

def run():
    together.wait()
    translator = pixlate.load("upscale-x2", "cpu", runtime="openvino") if sys.argv[1] == "each" else shared
    ran.append(translator(np.zeros((1, 8, 8, 3), np.uint8)).shape)

shared = pixlate.load("upscale-x2", "cpu", runtime="openvino") if sys.argv[1] == "shared" else None
together, ran = threading.Barrier(6), []
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=run) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(ran.count((1, 16, 16, 3)))
"""


@pytest.mark.parametrize("model", ["shared", "each"])
def test_the_first_pictures_of_a_process_may_run_in_many_threads_at_once(model: str) -> None:
    done = subprocess.run([sys.executable, "-c", AT_ONCE, model], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "6\n"


def test_a_run_is_ended_from_outside(tmp_path: Path) -> None:
    translator = OpenvinoTranslator(network(tmp_path / "a.onnx"), "cpu")
    assert isinstance(translator, Interruptible) and isinstance(translator._run, Running)
    raised: list[Exception] = []

    def run() -> None:
        try:
            while True:
                translator(noise(400, 400)[None])
        except PixlateError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not translator._run._active:
        time.sleep(0.01)
    while thread.is_alive():
        translator.terminate()
        thread.join(0.01)
    assert len(raised) == 1
    translator(noise(4, 4)[None])  # what is called later runs as ever


def test_memory_that_runs_out_is_told_from_a_size_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = OpenvinoTranslator(network(tmp_path / "a.onnx"), "cpu")._run
    with pytest.raises(PixlateError, match=r"the model cannot take an image of 4x6 \(.*\); use another size or model"):
        running(np.zeros((1, 4, 6, 4), np.float32))
    assert isinstance(running, Running)
    for text, kind in (("std::bad_alloc", OutOfDeviceMemory), ("shapes differ", PixlateError)):
        assert type(running._explained(np.zeros((1, 3, 2, 2)), text)) is kind


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("gpu:7", r"expected --device gpu:7 for OpenVINO, which finds cpu.* here.*; use --device cpu or another runtime"),
        ("npu", r"expected --device npu for OpenVINO, which finds cpu(?!.*[A-Z]_)"),
        ("cuda", r"expected --device auto, cpu, gpu, gpu:N or npu with --runtime openvino, got 'cuda'"),
        ("CPU", r"expected --device auto, cpu, gpu, gpu:N or npu with --runtime openvino, got 'CPU'"),
        ("cpu:0", r"got 'cpu:0'"),
        ("gpu:x", r"got 'gpu:x'"),
    ],
)
def test_a_device_that_is_not_there_is_refused(device: str, sentence: str) -> None:
    with pytest.raises(PixlateError, match=sentence):
        pixlate.load("upscale-x2", device, runtime="openvino")


def test_a_gpu_of_intel_is_looked_for_without_naming_the_runtime() -> None:
    with pytest.raises(PixlateError, match="expected --device gpu:7 for OpenVINO"):
        pixlate.load("upscale-x2", "gpu:7")


class Plain:
    """OpenVINO on a CPU without units for bfloat16."""

    available_devices = ("CPU",)

    def get_property(self, device: str, name: str) -> object:
        return ["FP32", "INT8"]


def test_an_arithmetic_that_the_cpu_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pixlate_openvino.library.library", "pixlate_openvino.program.library"):
        monkeypatch.setattr(name, Plain)
    assert arithmetics() == ("float32",)
    for device in ("auto", "cpu"):
        with pytest.raises(PixlateError, match=r"expected units for bfloat16 in cpu, which has FP32, INT8; leave out --arithmetic, or use float32"):
            pixlate.load("upscale-x2", device, "bfloat16", runtime="openvino")
    with pytest.raises(
        PixlateError, match=r"expected --arithmetic that a runtime offers on this machine \(onnxruntime: float32; openvino: float32\), got bfloat16"
    ):
        pixlate.load("upscale-x2", "cpu", "bfloat16")


class Lacking:
    """OpenVINO whose part for CPUs is gone."""

    available_devices = ("GPU",)

    def get_property(self, device: str, name: str) -> object:
        raise RuntimeError(f"Exception from src/core.cpp:1:\n{device} is not registered\n")


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_where_its_part_for_cpus_is_gone_the_way_to_get_it_back_is_said(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pixlate_openvino.library.library", "pixlate_openvino.program.library"):
        monkeypatch.setattr(name, Lacking)
    sentence = (
        "expected --device cpu for OpenVINO, which finds gpu here (CPU is not registered); "
        "reinstall openvino (pip install --force-reinstall openvino), or use --runtime onnxruntime"
    )
    with pytest.raises(PixlateError, match=f"^{re.escape(sentence)}$"):
        pixlate.load("upscale-x2", device, runtime="openvino")


def test_an_arithmetic_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(PixlateError, match=r"expected --arithmetic auto, float32 or bfloat16 for OpenVINO, got 'float8'"):
        pixlate.load("upscale-x2", "cpu", "float8", runtime="openvino")


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("2024.6.0", r"expected OpenVINO 2025.0 or newer, got 2024.6.0"),
        (None, "^OpenVINO, which --runtime openvino and --device gpu and npu need, is not installed; run: pip install"),
    ],
)
def test_one_that_is_missing_or_too_old_is_refused(version: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def found(name: str) -> str:
        if version is None:
            raise PackageNotFoundError(name)
        return version

    monkeypatch.setattr(library, "version", found)
    library._library.cache_clear()
    with pytest.raises(PixlateError, match=sentence):
        pixlate.load("upscale-x2", "cpu", runtime="openvino")
    assert [check.status for check in library.checks()] == ["note" if version is None else "problem"]
    monkeypatch.undo()
    library._library.cache_clear()


def test_a_graph_that_it_does_not_take_is_refused_with_the_way_out(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 3, "h", "w"]) for name in ("image", "translated")]
    graph = helper.make_graph([helper.make_node("Nonesuch", ["image"], ["translated"], domain="of.others")], "strange", values[:1], values[1:])
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("of.others", 1)]), tmp_path / "a.onnx")
    with pytest.raises(PixlateError, match=r"OpenVINO does not take the model .*a\.onnx \(.*Nonesuch.*\); use --runtime onnxruntime, or export it again"):
        OpenvinoTranslator(tmp_path / "a.onnx", "cpu")


@pytest.mark.parametrize("content", [b"", b"<net>", b"\x80\x04\x95", bytes(1000)])
def test_a_file_that_is_no_onnx_model_is_refused(content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(PixlateError, match=r"OpenVINO does not take the model|is empty; download"):
        OpenvinoTranslator(tmp_path / "a.onnx", "cpu")
    assert capfd.readouterr() == ("", "")


def test_an_error_is_shortened_to_its_sentence() -> None:
    text = "Exception from src/a.cpp:84:\nCheck 'x' failed at src/b.cpp:1:\nFrontEnd API failed:\nno operator   Foo\n\n"
    assert shortened(text) == "no operator Foo"


def test_neither_telemetry_nor_pytorch_is_imported(tmp_path: Path) -> None:
    script = (
        "import sys, numpy, pixlate\n"
        "pixlate.load('upscale-x2', 'cpu', runtime='openvino')(numpy.zeros((1, 4, 4, 3), numpy.uint8))\n"
        "assert 'openvino' in sys.modules\n"
        "assert not {'openvino_telemetry', 'openvino.tools.ovc', 'torch', 'onnx', 'onnxruntime'} & {*sys.modules}, sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_doctor_says_what_the_cpu_computes_in() -> None:
    (check,) = library.checks()
    assert check.status == "ok"
    assert "the CPU computes in float32" in check.found
    assert ("bfloat16" in check.found) == HAS_BFLOAT16
