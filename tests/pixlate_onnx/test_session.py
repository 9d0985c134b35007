"""Model files that cannot be run, and devices that fail, each in one sentence; and runs through bound memory."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import pixlate
from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate_onnx import providers
from pixlate_onnx.providers import Chosen
from pixlate_onnx.runner import OnnxTranslator
from pixlate_onnx.session import Running, _require_on_gpu, _with_engines


def negative(opset: int = 17, ir: int = 8, weights: int = 3) -> onnx.ModelProto:
    """Return a model of the negative of a picture."""
    image, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", weights, "h", "w"]) for name in ("x", "y"))
    ones = onnx.numpy_helper.from_array(np.ones((1, weights, 1, 1), np.float32), "ones")
    graph = helper.make_graph([helper.make_node("Sub", ["ones", "x"], ["y"])], "negative", [image], [output], [ones])
    return helper.make_model(graph, ir_version=ir, opset_imports=[helper.make_opsetid("", opset)])


def rounding(opset: int) -> onnx.ModelProto:
    """Return a model of a node that there is from opset 11 on."""
    model = negative(opset)
    model.graph.node[0].CopyFrom(helper.make_node("Round", ["x"], ["y"]))
    return model


def with_external(path: Path, location: str) -> Path:
    """Write the model with its weights in an external file."""
    model = negative(weights=512)
    tensor = model.graph.initializer[0]
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(content)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    (path.parent / "weights.bin").write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (negative(opset=99), r"uses opset 99, which ONNX Runtime [\d.]+ does not know; update ONNX Runtime, or export it with an earlier --opset"),
        (negative(ir=99), r"is of a newer ONNX than ONNX Runtime [\d.]+ reads; update ONNX Runtime"),
        (rounding(opset=3), r"uses round of opset 3, which ONNX Runtime [\d.]+ does not know; export it with --opset 18"),
    ],
    ids=["opset", "IR version", "old opset"],
)
def test_file_of_a_newer_onnx_is_refused(model: onnx.ModelProto, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(PixlateError, match=sentence):
        OnnxTranslator(path, "cpu")


def test_weights_in_a_file_beside_the_model_are_found(tmp_path: Path) -> None:
    translator = OnnxTranslator(with_external(tmp_path / "model.onnx", "weights.bin"), "cpu")
    assert translator(np.zeros((1, 2, 2, 512), np.uint8)).min() == 255


@pytest.mark.parametrize("location", ["gone.bin", "../weights.bin", "/etc/hostname", "sub/../../weights.bin"])
def test_weights_that_are_missing_or_outside_the_models_folder_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    path = with_external(tmp_path / "inner/model.onnx", location)
    (path.parent / "weights.bin").rename(tmp_path / "weights.bin")
    with pytest.raises(PixlateError, match=r"are in a file beside it, which is missing, cut short or outside its folder \(.*\); copy it there"):
        OnnxTranslator(path, "cpu")


def test_weights_of_another_folder_are_not_taken_from_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    path = with_external(tmp_path / "inner/model.onnx", "weights.bin")
    (path.parent / "weights.bin").rename(tmp_path / "weights.bin")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PixlateError, match="are in a file beside it, which is missing"):
        OnnxTranslator(path, "cpu")


@pytest.mark.parametrize("name", ["a model, [odd] {name} %s $HOME ünïcode 模型", "line\nbreak", "\udcff undecodable", "-rf", "x" * 200])
def test_model_of_a_strange_name_runs(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.onnx"
    path.write_bytes(negative().SerializeToString())
    assert OnnxTranslator(path, "cpu")(np.zeros((1, 2, 2, 3), np.uint8)).min() == 255


def test_path_that_is_hostile_is_an_error_of_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / ("y" * 300 + ".onnx"), tmp_path, tmp_path / "no/such/model.onnx"):
        with pytest.raises(PixlateError, match="cannot be read"):
            OnnxTranslator(path, "cpu")
    with pytest.raises(PixlateError) as caught:
        pixlate.load("../../etc/passwd\0")
    assert "\0" not in str(caught.value)


def test_metadata_that_says_another_input_than_the_file_has_is_refused(tmp_path: Path) -> None:
    model = negative()
    helper.set_model_props(model, {METADATA_KEY: ModelSpec(io="uint8").to_json()})
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(PixlateError, match=r"expected an input of uint8, as its metadata says, got tensor\(float\); export the model again"):
        OnnxTranslator(tmp_path / "model.onnx", "cpu")


def test_file_of_uint8_without_metadata_is_opened_with_a_spec_from_its_shapes(tmp_path: Path) -> None:
    image, output = (helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", f"{name}h", f"{name}w", 3]) for name in ("x", "y"))
    resize = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest")
    scales = onnx.numpy_helper.from_array(np.array([1, 2, 2, 1], np.float32), "scales")
    graph = helper.make_graph([resize], "enlarge", [image], [output], [scales])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "model.onnx")
    assert OnnxTranslator(tmp_path / "model.onnx", "cpu").spec == ModelSpec(scale=2, io="uint8")


def test_opening_a_model_sends_no_telemetry_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "model.onnx").write_bytes(negative().SerializeToString())
    script = f"import pixlate; assert pixlate.load({str(tmp_path / 'model.onnx')!r}, 'cpu').device == 'cpu'"
    environment = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")} | {"TMPDIR": str(tmp_path / "tmp")}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=environment)
    assert not any((tmp_path / "tmp").iterdir()), "ONNX Runtime's telemetry keeps a session file there"


@pytest.mark.parametrize(("spec", "sentence"), [(ModelSpec(channels_in=1), "takes 3"), (ModelSpec(channels_out=1), "gives 3")])
def test_metadata_that_says_other_channels_than_the_file_has_is_refused_at_once(spec: ModelSpec, sentence: str, tmp_path: Path) -> None:
    model = negative()
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(PixlateError, match=f"expected 1 channels, as its metadata says, but the model {sentence}; export the model again"):
        OnnxTranslator(tmp_path / "model.onnx", "cpu")


@pytest.fixture
def session() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(negative().SerializeToString(), providers=["CPUExecutionProvider"])


def test_runs_through_bound_memory_give_the_same_for_every_shape_and_thread(session: onnxruntime.InferenceSession) -> None:
    running = Running(Path("model.onnx"), session, Chosen("cpu", ()))
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        generator = np.random.default_rng(seed)
        try:
            kept: list[tuple[Any, Any]] = []
            for _ in range(30):
                images = generator.random((generator.integers(1, 3), 3, generator.integers(1, 4), 5), np.float32)
                kept.append((running.bound(images), 1 - images))
            for found, expected in kept:  # a later run has not written into what an earlier one gave
                np.testing.assert_array_equal(found, expected)
        except BaseException as error:  # noqa: BLE001 - reported by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def failing(text: str) -> Callable[..., None]:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError(text)

    return fail


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("CUDA failure 719: unspecified launch failure ; GPU=0", DeviceLost, "cuda:0 answers no more .*; check it with nvidia-smi, or use another --device"),
        ("CUDNN_STATUS_EXECUTION_FAILED ; GPU=0", DeviceLost, "cuda:0 answers no more"),
        ("CUDNN_STATUS_NOT_SUPPORTED ; GPU=0", PixlateError, "the model cannot take an image of 4x2"),
        ("CUDA failure 2: out of memory ; GPU=0", OutOfDeviceMemory, "cuda:0 has no memory for"),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", OutOfDeviceMemory, "cuda:0 has no memory for"),
        ("CUDNN failure 4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", OutOfDeviceMemory, "cuda:0 has no memory for"),
        ("CUDA failure 9: invalid configuration argument ; GPU=0", PixlateError, "the model cannot take an image of 4x2"),
        ("Got invalid dimensions", PixlateError, "the model cannot take an image of 4x2"),
    ],
)
def test_gpu_errors_are_distinguished_by_kind(
    text: str, kind: type[Exception], sentence: str, session: onnxruntime.InferenceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(Path("model.onnx"), session, Chosen("cuda:0", ()))
    monkeypatch.setattr(running, "bound", failing(text))
    with pytest.raises(kind, match=sentence) as caught:
        running(np.zeros((1, 3, 2, 4), np.float32))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", "cpu has no memory for the model .*; close what else uses it"),
        ("CUDA failure 100: no CUDA-capable device is detected", "cpu cannot be used .*; check it with `pixlate doctor`"),
        ("Protobuf parsing failed.", "is damaged or no ONNX model"),
    ],
)
def test_a_device_that_is_full_or_gone_is_told_from_a_damaged_file(text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.onnx").write_bytes(negative().SerializeToString())
    monkeypatch.setattr(onnxruntime, "InferenceSession", failing(text))
    with pytest.raises(PixlateError, match=sentence):
        OnnxTranslator(tmp_path / "model.onnx", "cpu")


def test_gpu_that_vanishes_stops_the_conversion_which_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from pixlate.inference import models

    for index in range(6):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), index, np.uint8)).save(tmp_path / f"in/{index}.png")
    model = tmp_path / "model.onnx"
    model.write_bytes(negative().SerializeToString())
    translator = OnnxTranslator(model, "cpu")
    calls = 0

    class Vanishing:
        spec, device = translator.spec, "cpu"

        def __call__(self, pixels: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise DeviceLost("cuda:0 answers no more (CUDA failure 719); check it with nvidia-smi, or use another --device")
            return translator(pixels)

    with monkeypatch.context() as patched:
        patched.setattr(models, "load", lambda model, device, *_, **__: Vanishing())
        summary = pixlate.convert(tmp_path / "in", tmp_path / "out", model)
    assert (summary.converted, summary.failed, summary.not_reached, summary.exit_code) == (2, 0, 4, 1)
    assert summary.stopped.endswith("or use another --device; the same command continues")
    assert pixlate.convert(tmp_path / "in", tmp_path / "out", model).converted == 4


def test_expensive_nodes_that_run_on_the_cpu_are_named_and_cheap_ones_allowed(tmp_path: Path) -> None:
    def on(device: str, *ops: str) -> Any:
        nodes = [SimpleNamespace(op_type=op) for op in ops]
        return SimpleNamespace(ep_name=device, get_nodes=lambda: nodes)

    strayed = SimpleNamespace(
        get_provider_graph_assignment_info=lambda: [on(providers.CUDA, "Conv", "Relu"), on(providers.CPU, "Shape", "ConvTranspose", "InstanceNormalization")]
    )
    with pytest.raises(PixlateError, match=r"expected cuda:0 to run all of model\.onnx, but ONNX Runtime has no kernel there for ConvTranspose, InstanceNorm"):
        _require_on_gpu(Path("model.onnx"), strayed, "cuda:0")
    fine = SimpleNamespace(get_provider_graph_assignment_info=lambda: [on(providers.CUDA, "Conv"), on(providers.CPU, "Shape", "Concat")])
    _require_on_gpu(Path("model.onnx"), fine, "cuda:0")
    _require_on_gpu(Path("model.onnx"), SimpleNamespace(), "cuda:0")  # an older ONNX Runtime does not report them


def test_tensorrt_says_that_it_builds_an_engine_and_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    model = negative()
    helper.set_model_props(model, {METADATA_KEY: ModelSpec(precision="float16").to_json()})
    path.write_bytes(model.SerializeToString())
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "cache"))
    asked: list[tuple[Any, ...]] = []

    def choose(*arguments: Any) -> Chosen:
        asked.append(arguments)
        return Chosen("tensorrt:0", (("TensorrtExecutionProvider", {}), (providers.CPU, {})))

    monkeypatch.setattr(providers, "choose", choose)
    with pytest.warns(
        UserWarning, match=re.escape(f"TensorRT builds an engine for each new size of model.onnx; this takes minutes, once, and is kept in {tmp_path}")
    ):
        _with_engines(path, "tensorrt")
    device, precision, folder = asked[-1]
    assert (device, precision) == ("tensorrt", "float16") and folder.is_dir()
    (folder / "x.engine").write_bytes(b"")
    _with_engines(path, "tensorrt")  # says nothing now: a warning would be an error
