"""Ready models and ONNX files that are exported again: other precisions and inputs, the same pictures, no PyTorch."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import pixlate
from pixlate.cli import main
from pixlate.errors import PixlateError
from pixlate.plugin.spec import METADATA_KEY, ModelInput, ModelSpec, Precision, Provenance
from pixlate.plugin.testing import make_photographs
from pixlate_export import from_onnx
from pixlate_export.from_onnx import export_model
from pixlate_export.graph import store_in_half
from pixlate_export.options import ExportOptions

SPEC = ModelSpec(method="mine", scale=2, multiple=4, minimum=8, padding="reflect", provenance=Provenance("photographs", 7, 3, "CC0", "0"))
FLOAT = ExportOptions("float")
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a file of three convolutions that doubles the sides, with names of its own."""

    def write(spec: ModelSpec | None = SPEC, opset: int = 18, half: bool = False, sides: tuple[str | int, ...] = ("b", 3, "h", "w"), gain: float = 1.0) -> Path:
        generator = np.random.default_rng(0)
        shapes = {"one": (8, 3, 3, 3), "two": (8, 8, 3, 3), "three": (12, 8, 3, 3)}
        tensors = [
            numpy_helper.from_array((generator.standard_normal(shape) * gain / shape[1] ** 0.5 / 4).astype(np.float32), name) for name, shape in shapes.items()
        ]
        tensors.append(numpy_helper.from_array(np.full(12, 0.5, np.float32), "bias"))
        nodes = [
            helper.make_node("Conv", ["input", "one"], ["first"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["first"], ["image"]),  # a name that files of Pixlate have for something else
            helper.make_node("Conv", ["image", "two"], ["second"], pads=[1, 1, 1, 1]),
            helper.make_node("Conv", ["second", "three", "bias"], ["third"], pads=[1, 1, 1, 1]),
            helper.make_node("DepthToSpace", ["third"], ["wide"], blocksize=2),
        ]
        bounds = [numpy_helper.from_array(np.array(bound, np.float32), f"bound{bound}") for bound in (0, 1)] if spec else []
        if spec:
            nodes.append(helper.make_node("Clip", ["wide", "bound0", "bound1"], ["output"]))
        gives = "output" if spec else "wide"
        ends = [helper.make_tensor_value_info("input", TensorProto.FLOAT, sides), helper.make_tensor_value_info(gives, TensorProto.FLOAT, ("b", 3, "H", "W"))]
        graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [*tensors, *bounds])
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])
        if half:
            for tensor in model.graph.initializer:
                if tensor.dims:
                    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32), tensor.name))
            store_in_half(model)
        helper.set_model_props(model, {"author": "somebody"} | ({METADATA_KEY: spec.to_json()} if spec else {}))
        onnx.checker.check_model(model)
        path = tmp_path / "source.onnx"
        onnx.save(model, path)
        return path

    return write


def pixels(*size: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (2, *size, 3), np.uint8)


def types(path: Path, op: str) -> set[int]:
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    found = {value.name: value.type.tensor_type.elem_type for value in graph.value_info} | {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {found[name] for node in graph.node if node.op_type == op for name in (*node.input, *node.output) if name in found}


@pytest.mark.parametrize("known", [True, False], ids=["of Pixlate", "of others"])
@pytest.mark.parametrize(("precision", "levels"), [("float32", 1), ("float16", 2)])
def test_a_file_that_takes_uint8_gives_the_pictures_of_the_float_file(precision: Precision, levels: int, known: bool, make: Make, tmp_path: Path) -> None:
    source = make(SPEC if known else None, opset=18 if known else 13, gain=2.0)
    exported = export_model(source, tmp_path / "new" / "out.onnx", ExportOptions(precision=precision), licence="MIT")
    first, second = (pixlate.load(path, "cpu") for path in (source, exported.path))
    provenance = replace(first.spec.provenance, licence="MIT", version=pixlate.__version__)
    assert second.spec == exported.spec == replace(first.spec, io="uint8", precision=precision, provenance=provenance)
    assert str(exported.parity).startswith("parity with ONNX Runtime's run of source.onnx (allowed: max ")
    graph = onnx.load(exported.path)
    assert {entry.key: entry.value for entry in graph.metadata_props}["author"] == "somebody"
    assert [value.name for value in (*graph.graph.input, *graph.graph.output)] == ["image", "translated"]
    assert exported.opset == graph.opset_import[0].version == 18
    assert types(exported.path, "Conv") == {TensorProto.FLOAT16 if precision == "float16" else TensorProto.FLOAT}
    for size in ((21, 27), (8, 12), (1, 2)):
        expected = first(pixels(*size)).astype(int)
        assert np.abs(second(pixels(*size)) - expected).max() <= levels
        assert len(np.unique(expected)) > 3
        assert {0, 255} <= set(first(pixels(21, 27)).flat), "values beyond the range are clamped"


def test_float_files_of_other_precisions_keep_their_input(make: Make, tmp_path: Path) -> None:
    source = make()
    for precision, opset in (("float16", 18), ("bfloat16", 22)):
        exported = export_model(source, tmp_path / f"{precision}.onnx", ExportOptions("float", precision))  # type: ignore[arg-type]
        assert (exported.spec.io, exported.spec.precision, exported.opset, exported.spec.scale) == ("float", precision, opset, 2)
    deep = np.random.default_rng(0).integers(0, 65536, (1, 9, 12, 3)).astype(np.uint16)
    assert np.abs(pixlate.load(tmp_path / "float16.onnx", "cpu")(deep).astype(int) - pixlate.load(source, "cpu")(deep)).max() < 200


@pytest.mark.parametrize("io", ["uint8", "float"])
def test_int8_computes_in_8_bits_and_is_judged_on_pictures(io: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate_export.parity.PICTURE_SIZES", ((48, 48), (33, 40)))
    photographs = make_photographs(tmp_path / "photographs", 4, 40, 48)
    source = make(gain=0.5) if io == "float" else export_model(make(gain=0.5), tmp_path / "bytes.onnx", ExportOptions()).path
    exported = export_model(source, tmp_path / "out.onnx", ExportOptions(io, "int8", photographs))  # type: ignore[arg-type]
    assert (exported.spec.precision, exported.spec.io) == ("int8", io) and exported.calibration.startswith("calibrated on 3 pictures of 4")
    assert [node.op_type for node in onnx.load(exported.path).graph.node].count("QuantizeLinear") >= 1
    assert np.abs(pixlate.load(exported.path, "cpu")(pixels(21, 27)).astype(int) - pixlate.load(source, "cpu")(pixels(21, 27))).mean() < 3


def test_weights_stored_in_half_stay_so_and_are_converted_as_any(make: Make, tmp_path: Path) -> None:
    source = make(half=True)
    same = export_model(source, tmp_path / "same.onnx", ExportOptions())
    assert {tensor.data_type for tensor in onnx.load(same.path).graph.initializer if len(tensor.dims) == 4} == {TensorProto.FLOAT16}
    half = export_model(source, tmp_path / "half.onnx", ExportOptions(precision="float16"))
    graph = onnx.load(half.path).graph
    assert types(half.path, "Conv") == {TensorProto.FLOAT16}
    weights = {tensor.name for tensor in graph.initializer}
    assert not [node for node in graph.node if node.op_type == "Cast" and node.input[0] in weights]


def test_masks_keep_their_shape(tmp_path: Path) -> None:
    spec = ModelSpec(multiple=4, minimum=8, inputs=(ModelInput("image", "image"), ModelInput("hole", "mask")))
    graph = onnx.parser.parse_graph(
        """filling (float[b,3,h,w] image, float[b,h,w,1] hole) => (float[b,3,h,w] translated) {
            _hole_network = Transpose<perm = [0, 3, 1, 2]>(hole)
            grey = Constant<value_float = 0.5>()
            less = Sub(grey, image)
            filled = Mul(less, _hole_network)
            translated = Add(image, filled)
        }"""
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.save(model, tmp_path / "source.onnx")
    exported = export_model(tmp_path / "source.onnx", tmp_path / "out.onnx", ExportOptions())
    hole = np.random.default_rng(0).integers(0, 2, (2, 5, 13, 1), np.uint8) * np.uint8(255)
    found = pixlate.load(exported.path, "cpu")(pixels(5, 13), hole=hole)
    assert np.abs(found - np.where(hole > 0, 127.5, pixels(5, 13))).max() <= 0.5


def test_a_ready_model_is_exported_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.onnx"
    monkeypatch.setattr(sys, "argv", ["pixlate", "export", "upscale-x2", str(out), "--io", "uint8", "--precision", "float16"])
    assert main() == 0
    printed = capsys.readouterr().out
    assert "parity with ONNX Runtime's run of upscale-x2.onnx" in printed and f"wrote {out}, " in printed and "float16, uint8 in and out" in printed
    ready = pixlate.load("upscale-x2", "cpu")
    photograph = make_photographs(tmp_path / "photographs", 1, 48, 56) / "000.png"
    from PIL import Image

    source = np.asarray(Image.open(photograph))[None]
    assert np.abs(pixlate.load(out, "cpu")(source).astype(int) - ready(source)).max() <= 2
    assert pixlate.load(out, "cpu").spec.provenance == replace(ready.spec.provenance, version=pixlate.__version__)


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        ({"half": True}, ExportOptions(norm="running"), r"--norm is for runs and weights, and .*source\.onnx has its norm \(none\) built in; leave it out"),
        (
            {"sides": (1, 3, 16, 16), "spec": None},
            ExportOptions(),
            r"free batch, height and width, got FLOAT\[1, 3, 16, 16\] in .*; export the run or the weights",
        ),
        ({"opset": 20}, ExportOptions(opset=19), "expected --opset of at least 20, which the file has, got 19"),
    ],
    ids=["norm", "fixed", "opset"],
)
def test_what_no_change_of_the_graph_can_give_is_refused(source: dict[str, object], options: ExportOptions, sentence: str, make: Make, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=sentence):
        export_model(make(**source), tmp_path / "out.onnx", options)
    assert not (tmp_path / "out.onnx").exists()


def test_files_that_have_been_converted_are_refused_or_kept(make: Make, tmp_path: Path) -> None:
    source = make()
    with pytest.raises(PixlateError, match=r"expected another file to write than .*source\.onnx, which is read"):
        export_model(source, source, ExportOptions())
    half = export_model(source, tmp_path / "half.onnx", ExportOptions("float", "float16")).path
    with pytest.raises(PixlateError, match=r"for --precision float32, got .*half\.onnx, which is float16 already; .*, or keep it with --precision float16"):
        export_model(half, tmp_path / "out.onnx", ExportOptions())
    with pytest.raises(PixlateError, match=r"expected a file of float32 for --precision bfloat16"):
        export_model(half, tmp_path / "out.onnx", ExportOptions(precision="bfloat16"))
    kept = export_model(half, tmp_path / "out.onnx", ExportOptions(precision="float16"))
    assert (kept.spec.io, kept.spec.precision) == ("uint8", "float16") and kept.parity.psnr > 55
    with pytest.raises(PixlateError, match=r"expected a file that takes float for --io float, got .*, which rounds to uint8 inside"):
        export_model(kept.path, tmp_path / "other.onnx", ExportOptions("float", "float16"))


def test_a_conversion_that_changes_the_pictures_is_not_written(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(model: onnx.ModelProto, *rest: object, **more: object) -> tuple[onnx.ModelProto, bool]:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        bias = next(tensor for tensor in copy.graph.initializer if tensor.name == "bias")
        bias.CopyFrom(numpy_helper.from_array(np.full(12, 0.5003, np.float32), "bias"))
        return copy, False

    monkeypatch.setattr(from_onnx, "_prepared", changed)
    (tmp_path / "out.onnx").write_bytes(b"the one before")
    with pytest.raises(PixlateError, match=r"expected the graph before its conversion to agree with ONNX Runtime's run of source\.onnx .*: export the run"):
        export_model(make(), tmp_path / "out.onnx", ExportOptions())
    assert (tmp_path / "out.onnx").read_bytes() == b"the one before"


def test_damaged_files_control_flow_and_weights_in_other_files_are_refused_before_anything_is_run(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_onnx, "load", None)  # not reached
    (tmp_path / "cut.onnx").write_bytes(make().read_bytes()[:-9])
    with pytest.raises(PixlateError, match=r"cut\.onnx is damaged or no ONNX model \(.*\); download or export it again"):
        export_model(tmp_path / "cut.onnx", tmp_path / "out.onnx", ExportOptions())
    model = onnx.load(make())
    model.graph.node[1].attribute.append(helper.make_attribute("body", helper.make_graph([], "inner", [], [])))
    onnx.save(model, tmp_path / "loops.onnx")
    with pytest.raises(PixlateError, match=r"expected a plain graph, got .*loops\.onnx with functions, loops or branches"):
        export_model(tmp_path / "loops.onnx", tmp_path / "out.onnx", ExportOptions())
    onnx.save(onnx.load(make()), tmp_path / "outside.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(PixlateError, match=r"expected weights inside .*outside\.onnx, got some in another file"):
        export_model(tmp_path / "outside.onnx", tmp_path / "out.onnx", ExportOptions())


@pytest.mark.parametrize("option", ["--best", "--generator=back", "--plugin=a.py"])
def test_options_of_runs_are_refused_for_models(option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["pixlate", "export", "upscale-x2", str(tmp_path / "out.onnx"), option])
    assert main() == 2
    assert f"{option.partition('=')[0]} is for runs, got upscale-x2, which is a model; leave it out" in capsys.readouterr().err


def test_pytorch_is_not_imported(make: Make, tmp_path: Path) -> None:
    script = "import sys\nfrom pixlate.cli import main\nmain()\nprint('torch' in sys.modules)"
    words = ["export", make(), tmp_path / "out.onnx", "--precision", "float16"]
    printed = subprocess.run([sys.executable, "-c", script, *map(str, words)], check=True, capture_output=True, text=True, timeout=60).stdout
    assert printed.splitlines()[-1] == "False" and (tmp_path / "out.onnx").exists()
