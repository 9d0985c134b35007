"""Running model files: of our own and of others, right and damaged."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from tests.pixlate.conftest import write_conditional, write_sampler

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.models import load
from pixlate.plugin.spec import METADATA_KEY, ModelInput, ModelSpec
from pixlate_onnx.providers import Chosen
from pixlate_onnx.runner import OnnxTranslator

Side = int | str | None
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a model of some nodes, from ``x`` to ``y``, and return its path."""

    def write(
        nodes: list[onnx.NodeProto],
        shape: tuple[Side, ...] = ("n", 3, "h", "w"),
        out: tuple[Side, ...] = ("n", 3, "h2", "w2"),
        spec: ModelSpec | None = None,
        kind: int = TensorProto.FLOAT,
        constants: dict[str, Any] | None = None,
        more_inputs: int = 0,
        name: str = "model.onnx",
    ) -> Path:
        inputs = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", *(f"x{index}" for index in range(more_inputs)))]
        initial = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
        graph = helper.make_graph(nodes, "test", inputs, [helper.make_tensor_value_info("y", kind, out)], initial)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        if spec is not None:
            helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
        path = tmp_path / name
        onnx.save(model, path)
        return path

    return write


def node(kind: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, ["x", *inputs], ["y"], **attributes)


def enlarge(scale: int, shape: tuple[Side, ...] = ("n", 3, "h", "w")) -> dict[str, Any]:
    """Return a model that repeats every pixel ``scale`` times."""
    return {
        "nodes": [node("Resize", "", "scales", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        "shape": shape,
        "constants": {"scales": np.array([1, 1, scale, scale], np.float32)},
    }


def noise(*shape: int, dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> Pixels:
    drawn: Pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True).astype(dtype, copy=False)
    return drawn


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_come_back_as_those_of_pytorch_within_one_level(dtype: type[np.uint8] | type[np.uint16], save: Save) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 3, 3, padding=1)
    pixels, peak = noise(3, 9, 13, 3, dtype=dtype), np.iinfo(dtype).max
    weights = {"weight": layer.weight.detach().numpy(), "bias": layer.bias.detach().numpy()}  # type: ignore[union-attr]
    translator = OnnxTranslator(save([node("Conv", "weight", "bias", pads=[1, 1, 1, 1])], constants=weights), "cpu")
    with torch.no_grad():
        expected = layer(torch.from_numpy(pixels.astype(np.float32) / peak).permute(0, 3, 1, 2)).clamp(0, 1).permute(0, 2, 3, 1).numpy().astype(np.float64)
    actual = translator(pixels)
    assert actual.dtype == dtype and actual.shape == pixels.shape and actual.flags.c_contiguous
    assert np.abs(actual - np.round(expected * peak)).max() <= 1
    assert actual.std() > peak / 20


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives_a_model_that_changes_nothing(dtype: type[np.uint8] | type[np.uint16], save: Save) -> None:
    levels: Pixels = np.arange(np.iinfo(dtype).max + 1).reshape(1, 16, -1, 1).astype(dtype)
    translator = OnnxTranslator(save([node("Identity")], ("n", 1, "h", "w")), "cpu")
    assert np.array_equal(translator(levels), levels)


def test_values_beyond_the_range_are_clamped(save: Save) -> None:
    translator = OnnxTranslator(save([node("Mul", "three")], constants={"three": np.float32(3)}), "cpu")
    assert translator(np.array([[[[10, 100, 255]]]], np.uint8)).tolist() == [[[[30, 255, 255]]]]
    translator = OnnxTranslator(save([node("Neg")]), "cpu")
    assert not translator(noise(1, 4, 4, 3)).any()


@pytest.mark.parametrize(("size", "padded"), [((1, 1), (8, 8)), ((8, 12), (8, 12)), ((9, 4), (12, 8)), ((13, 27), (16, 28))])
def test_image_is_padded_with_its_edge_to_what_the_network_takes_and_cropped_again(size: tuple[int, int], padded: tuple[int, int], save: Save) -> None:
    spec = ModelSpec(scale=2, multiple=4, minimum=8)
    translator = OnnxTranslator(save(**enlarge(2), spec=spec), "cpu")
    given: list[Any] = []
    run = translator._run
    translator._run = lambda images: (given.append(images), run(images))[1]  # type: ignore[assignment,func-returns-value]
    pixels = noise(2, *size, 3)
    assert np.array_equal(translator(pixels), pixels.repeat(2, 1).repeat(2, 2))
    assert given[0].shape == (2, 3, *padded)
    assert (given[0][:, :, size[0] - 1 :, : size[1]] == given[0][:, :, size[0] - 1 : size[0], : size[1]]).all()
    assert (given[0][:, :, :, size[1] - 1 :] == given[0][:, :, :, size[1] - 1 : size[1]]).all()


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_spec_of_a_foreign_model_is_read_from_its_shapes(scale: int, save: Save) -> None:
    translator = OnnxTranslator(save(**enlarge(scale)), "cpu")
    assert translator.spec == ModelSpec(scale=scale)
    grey = OnnxTranslator(save(**enlarge(scale, (None, 1, None, None)), out=(None, 1, None, None)), "cpu")
    assert (grey.spec.channels_in, grey.spec.channels_out) == (1, 1)


def test_spec_of_a_model_with_metadata_is_taken_from_there(save: Save) -> None:
    spec = ModelSpec(method="toy", scale=2, halo=5, tiling_exact=True, multiple=2)
    assert OnnxTranslator(save(**enlarge(2), spec=spec), "cpu").spec == spec
    assert load(save(**enlarge(2), spec=spec), "cpu").spec == spec


def test_metadata_that_contradicts_the_network_is_noticed(save: Save) -> None:
    translator = OnnxTranslator(save(**enlarge(2), spec=ModelSpec(scale=4)), "cpu")
    with pytest.raises(PixlateError, match=r"to give \(1, 3, 20, 20\), as its metadata says, got \(1, 3, 10, 10\)"):
        translator(noise(1, 5, 5, 3))


def test_fixed_size_of_a_foreign_model_is_kept_and_another_refused(save: Save) -> None:
    translator = OnnxTranslator(save(**enlarge(2, (1, 3, 6, 10))), "cpu")
    assert translator.spec.scale == 2 and translator(noise(1, 6, 10, 3)).shape == (1, 12, 20, 3)
    with pytest.raises(PixlateError, match=r"the model cannot take an image of 7x5 \(.*\); use another size or model"):
        translator(noise(1, 5, 7, 3))


@pytest.mark.parametrize("fixed", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_model_of_a_fixed_batch_size_receives_batches_of_that_size(fixed: int, batch: int, save: Save) -> None:
    pixels = noise(batch, 5, 7, 3)
    assert np.array_equal(OnnxTranslator(save(**enlarge(2, (fixed, 3, "h", "w"))), "cpu")(pixels), pixels.repeat(2, 1).repeat(2, 2))


def test_float16_model_runs_within_one_level(save: Save) -> None:
    translator = OnnxTranslator(save([node("Identity")], kind=TensorProto.FLOAT16), "cpu")
    pixels = noise(2, 9, 9, 3)
    assert translator.spec.precision == "float16"
    assert np.abs(translator(pixels).astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_nan_values_are_an_error_instead_of_a_black_picture(kind: int, save: Save) -> None:
    translator = OnnxTranslator(save([node("Log")], kind=kind, spec=ModelSpec()), "cpu")
    assert translator._run(np.full((1, 3, 2, 2), -1, translator._type)).dtype == translator._type
    translator = OnnxTranslator(
        save([helper.make_node("Sub", ["x", "two"], ["low"]), helper.make_node("Sqrt", ["low"], ["y"])], kind=kind, spec=ModelSpec(),
             constants={"two": np.asarray(2, helper.tensor_dtype_to_np_dtype(kind))}),
        "cpu",
    )  # fmt: skip
    for size in ((1, 1), (9, 9)):
        with pytest.raises(PixlateError, match="values that are not numbers, as float32 can; use a model of higher precision"):
            translator(noise(1, *size, 3))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"nodes": [node("Identity")], "shape": ("n", 3, "h"), "out": ("n", 3, "h")}, r"got tensor\(float\)\['n', 3, 'h'\]; export it with"),
        ({"nodes": [node("Identity")], "kind": TensorProto.INT64}, r"of one image, float .* got tensor\(int64\)"),
        ({"nodes": [helper.make_node("Add", ["x", "x0"], ["y"])], "more_inputs": 1}, r"of one image, float .* got tensor\(float\).*, tensor\(float\)"),
        ({"nodes": [node("Identity")], "shape": ("n", "c", "h", "w"), "out": ("n", "c", "h", "w")}, "a fixed number of channels, got the free dimension 'c'"),
        ({"nodes": [node("GlobalAveragePool")], "out": ("n", 3, 1, 1)}, r"a whole multiple of the input's 64x64, got the shape \(1, 3, 1, 1\)"),
        ({"nodes": [node("Flatten")], "out": ("n", "m")}, r"got the shape \(1, 12288\); use a model for images"),
        ({"nodes": [node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])]}, r"got the shape \(1, 3, 32, 32\)"),
    ],
)
def test_model_that_is_not_for_images_is_refused(model: dict[str, Any], sentence: str, save: Save) -> None:
    with pytest.raises(PixlateError, match=sentence):
        OnnxTranslator(save(**model), "cpu")


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "missing", "metadata"])
def test_damaged_file_is_refused_with_its_path(damage: str, save: Save) -> None:
    path = save(**enlarge(2), spec=ModelSpec(scale=2))
    content = path.read_bytes()
    changes = {
        "empty": b"",
        "cut": content[: len(content) // 2],
        "noise": bytes(range(256)) * 4,
        "metadata": content.replace(b'"scale": 2', b'"scale": 0'),
    }
    sentence = {
        "empty": r"model\.onnx is empty",
        "cut": r"model\.onnx of [\d,]+ bytes is damaged or no ONNX model",
        "noise": r"model\.onnx of 1,024 bytes is damaged or no ONNX model",
        "missing": r"model\.onnx cannot be read \(No such file or directory\); check its path",
        "metadata": "scale to be a whole number of at least 1, got 0; export the model again",
    }[damage]
    path.unlink() if damage == "missing" else path.write_bytes(changes[damage])
    with pytest.raises(PixlateError, match=sentence):
        OnnxTranslator(path, "cpu")


@pytest.mark.parametrize(
    "pixels",
    [
        noise(4, 4, 3),
        noise(1, 4, 4, 1),
        noise(1, 4, 4, 3).astype(np.float32),
        noise(1, 4, 4, 3).astype(np.int16),
        noise(1, 4, 4, 3).tolist(),
        [[[[1, 2, 3]], [[4]]]],
    ],
)
def test_pixels_of_another_shape_or_type_are_refused(pixels: Any, save: Save) -> None:
    translator = OnnxTranslator(save(**enlarge(2)), "cpu")
    with pytest.raises(PixlateError, match=r"expected uint8 or uint16 pixels \(batch, height, width, 3\), got .*; add a batch axis or convert them"):
        translator(pixels)


@pytest.mark.parametrize(
    "message",
    [
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. bfc_arena.cc:376 void* "
        "onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 30000000000",
        "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0 ; hostname=x",
        "bfc_arena.cc:342 Available memory of 524288 is smaller than requested bytes of 4194304",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
        "std::bad_alloc",
    ],
)
def test_out_of_memory_is_distinguished_so_that_the_batch_can_be_halved(message: str, save: Save) -> None:
    translator = OnnxTranslator(save(**enlarge(2)), "cpu")

    class Full:
        def run(self, *arguments: object) -> None:
            raise RuntimeError(message)

    translator._run.session = Full()
    with pytest.raises(OutOfDeviceMemory, match=r"cpu has no memory for \(2, 3, 4, 4\)"):
        translator(noise(2, 4, 4, 3))


def test_other_errors_are_not_out_of_memory(save: Save) -> None:
    translator = OnnxTranslator(save(**enlarge(2)), "cpu")

    class Broken:
        def run(self, *arguments: object) -> None:
            raise RuntimeError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid\n dimensions")

    translator._run.session = Broken()
    with pytest.raises(PixlateError, match=r"cannot take an image of 4x4 \(Got invalid dimensions\)"):
        translator(noise(2, 4, 4, 3))


def test_silent_fall_back_to_the_cpu_is_detected(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(**enlarge(2))
    asked = Chosen("cuda:0", (("CUDAExecutionProvider", {}), ("CPUExecutionProvider", {})))
    monkeypatch.setattr("pixlate_onnx.providers.choose", lambda device: asked)
    session = onnxruntime.InferenceSession

    def on_the_cpu(data: bytes, options: object, **more: object) -> object:
        return session(data, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", on_the_cpu)
    with pytest.raises(PixlateError, match=r"to run on cuda:0, but it fell back to \['CPUExecutionProvider'\]; run `pixlate doctor`, or use --device cpu"):
        OnnxTranslator(path, "cuda")


def test_onnx_runtime_prints_nothing(save: Save, tmp_path: Path) -> None:
    path = save(**enlarge(2))
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"damaged")
    script = f"""
import numpy as np
from dataclasses import replace
from pathlib import Path
from pixlate.errors import PixlateError
from pixlate_onnx.runner import OnnxTranslator
translator = OnnxTranslator(Path({str(path)!r}), "auto")
translator(np.zeros((1, 5, 5, 3), np.uint8))
fixed = OnnxTranslator(Path({str(save(**enlarge(2, (1, 3, 6, 6)), name="fixed.onnx"))!r}), "cpu")
for wrong in (lambda: fixed(np.zeros((1, 5, 5, 3), np.uint8)), lambda: OnnxTranslator(Path({str(damaged)!r}), "cpu")):
    try:
        wrong()
    except PixlateError:
        continue
    raise SystemExit("not refused")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_runner_imports_neither_pytorch_nor_onnx(save: Save) -> None:
    script = f"""
import sys
from dataclasses import replace
from pathlib import Path
from pixlate_onnx.runner import OnnxTranslator
import numpy as np
OnnxTranslator(Path({str(save(**enlarge(2)))!r}), "cpu")(np.zeros((1, 5, 5, 3), np.uint8))
assert not {{"torch", "onnx", "onnxscript", "safetensors", "lightning_fabric"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


HAIR = ModelInput("hair", "label", choices=("black", "grey", "blond"), default="grey")
STYLE = ModelInput("style", "vector", length=2)


def test_conditions_are_inputs_by_their_names(tmp_path: Path) -> None:
    translator = OnnxTranslator(write_conditional(tmp_path / "model.onnx", [HAIR, STYLE]), "cpu")
    output = translator(np.full((2, 3, 4, 3), 51, np.uint8), hair=np.array([0, 2]), style=np.array([[0, 9], [0.2, 9]]))
    assert output[:, 0, 0, 0].tolist() == [51, 51 + 128 + 51] and output.shape == (2, 3, 4, 3)
    defaulted = translator(np.zeros((1, 3, 4, 3), np.uint8), style=np.zeros((1, 2)))
    assert defaulted[0, 0, 0, 0] == 64
    with pytest.raises(PixlateError, match=r"expected float \(1, 2\) for style, got none; pass style=\.\.\."):
        translator(np.zeros((1, 3, 4, 3), np.uint8))


def test_mask_is_padded_with_its_image(tmp_path: Path) -> None:
    path = write_conditional(tmp_path / "model.onnx", [ModelInput("hole", "mask"), HAIR], multiple=4, minimum=8, padding="reflect")
    translator = OnnxTranslator(path, "cpu")
    pixels, mask = noise(2, 5, 9, 3), (noise(2, 5, 9, 1) > 128).astype(np.uint8) * np.uint8(255)
    output = translator(pixels, hole=mask, hair=np.array([1, 2]))
    expected = np.where(mask == 255, np.array([64, 128]).reshape(2, 1, 1, 1), pixels)
    assert np.abs(output.astype(int) - expected).max() <= 1


def test_sampler_takes_no_image_and_gives_an_output_for_each_entry(tmp_path: Path) -> None:
    translator = OnnxTranslator(write_sampler(tmp_path / "sampler.onnx"), "cpu")
    output = translator(None, z=np.array([[0, 0], [0.2, 0], [1, 0]], np.float32))
    assert output.dtype == np.uint8 and output[:, 0, 0, 0].tolist() == [0, 51, 255] and output.shape == (3, 4, 4, 3)
    with pytest.raises(PixlateError, match="expected None in place of pixels, since this model takes no image"):
        translator(np.zeros((1, 4, 4, 3), np.uint8))
    with pytest.raises(PixlateError, match="expected None in place of pixels, since this model takes no image"):
        translator([[1], [2, 3]])  # type: ignore[arg-type]
    with pytest.raises(PixlateError, match=r"expected float \(2, 2\) for z, got a list of lists of different lengths; change it"):
        translator(None, z=[[1, 2], [3]])  # type: ignore[arg-type]
    with pytest.raises(PixlateError, match="expected conditions with one entry for each output, got none entries"):
        translator(None)


def test_image_may_not_be_left_out_of_other_models(save: Save) -> None:
    with pytest.raises(PixlateError, match="expected pixels, got None; change the first argument"):
        OnnxTranslator(save([node("Identity")]), "cpu")(None)


@pytest.mark.parametrize(
    ("condition", "said", "sentence"),
    [
        (ModelInput("v", "label", choices=("a", "b")), ModelInput("v", "vector", length=2), "expected tensor(float)['batch', 2] for v"),
        (ModelInput("v", "vector", length=2), ModelInput("v", "label", choices=("a", "b")), "expected tensor(int64)['batch'] for v"),
        (ModelInput("v", "vector", length=5), ModelInput("v", "vector", length=2), "expected tensor(float)['batch', 2] for v"),
        (ModelInput("v", "vector", length=5), ModelInput("v", "mask"), "expected tensor(float)['batch', 'height', 'width', 1] for v"),
    ],
)
def test_condition_of_another_type_or_shape_than_the_spec_says_is_refused_at_once(
    condition: ModelInput, said: ModelInput, sentence: str, tmp_path: Path
) -> None:
    path = write_conditional(tmp_path / "model.onnx", [condition])
    model = onnx.load(path)
    spec = ModelSpec.from_json(model.metadata_props[0].value)
    onnx.helper.set_model_props(model, {METADATA_KEY: replace(spec, inputs=(spec.inputs[0], said)).to_json()})
    onnx.save(model, path)
    with pytest.raises(PixlateError, match=re.escape(sentence) + ", as its metadata says, got tensor.*; export the model again"):
        OnnxTranslator(path, "cpu")


def test_file_of_other_inputs_than_its_spec_is_refused(tmp_path: Path) -> None:
    path = write_conditional(tmp_path / "model.onnx", [HAIR, STYLE])
    model = onnx.load(path)
    helper.set_model_props(model, {METADATA_KEY: ModelSpec(inputs=(ModelInput("image", "image"), HAIR)).to_json()})
    onnx.save(model, path)
    with pytest.raises(PixlateError, match="expected the inputs image, hair, as its metadata says, got image, hair, style; export the model again"):
        OnnxTranslator(path, "cpu")
    helper.set_model_props(
        model, {METADATA_KEY: ModelSpec(inputs=(ModelInput("image", "image"), HAIR, STYLE, ModelInput("age", "label", choices=("x",)))).to_json()}
    )
    onnx.save(model, path)
    with pytest.raises(PixlateError, match="expected the inputs image, age, hair, style, as its metadata says"):
        OnnxTranslator(path, "cpu")
