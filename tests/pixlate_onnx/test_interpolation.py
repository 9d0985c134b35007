"""Weights between two files of one network: network interpolation, checked against ONNX's own reading of files and closed forms."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tests.pixlate.conftest import noise

import pixlate
from pixlate.convert import ConvertOptions, convert
from pixlate.convert.conversion import settings_digest
from pixlate.errors import PixlateError
from pixlate.inference.models import find
from pixlate.plugin.spec import METADATA_KEY, ModelSpec, Provenance
from pixlate_onnx.interpolation import interpolated
from pixlate_onnx.runner import OnnxTranslator

SPEC = ModelSpec(method="one", halo=1, tiling_exact=True)


def network(
    path: Path,
    seed: int,
    spec: ModelSpec = SPEC,
    *,
    width: int = 4,
    names: str = "",
    shared: bool = False,
    half: bool = False,
    pads: int = 1,
    kind: str = "Relu",
) -> Path:
    """Write two convolutions; ``names`` come before those of all values, ``shared`` biases are one weight, ``half`` stores weights in float16 with casts."""
    generator = np.random.default_rng(seed)
    weights = {f"w{layer}": generator.normal(0, 0.4, (outer, inner, 3, 3)) for layer, (inner, outer) in enumerate(((3, width), (width, 3)))}
    weights |= {"b0": generator.normal(0, 0.1, 3 if shared else width)} | ({} if shared else {"b1": generator.normal(0, 0.1, 3)})
    nodes, inside = [], {}
    for name, values in weights.items():
        inside[name] = numpy_helper.from_array(values.astype(np.float16 if half else np.float32), f"{names}{name}{'.half' if half else ''}")
        if half:
            nodes.append(helper.make_node("Cast", [f"{names}{name}.half"], [f"{names}{name}"], to=TensorProto.FLOAT))
    nodes += [
        helper.make_node("Conv", ["image", f"{names}w0", f"{names}b0"], [f"{names}c"], pads=[pads] * 4, name=f"{names}first"),
        helper.make_node(kind, [f"{names}c"], [f"{names}r"]),
        helper.make_node("Conv", [f"{names}r", f"{names}w1", f"{names}b{'0' if shared else '1'}"], [f"{names}out"], pads=[2 - pads] * 4),
    ]
    sides: list[str | int | None] = ["batch", 3, f"{names}height", f"{names}width"]
    given, made = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, sides)] for name in ("image", f"{names}out"))
    graph = helper.make_graph(nodes, f"{names}network", given, made, list(inside.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def weights_of(model: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the initialisers, by ONNX."""
    loaded = onnx.load_from_string(model)
    onnx.checker.check_model(loaded)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in loaded.graph.initializer}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two files of one network."""
    return network(tmp_path / "a.onnx", 1), network(tmp_path / "b.onnx", 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(strength=st.floats(0, 1))
def test_each_weight_is_between_those_of_the_two_files(strength: float, pair: tuple[Path, Path]) -> None:
    first, second = (weights_of(path.read_bytes()) for path in pair)
    found = weights_of(interpolated(*pair, strength))
    assert found.keys() == first.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, strength * first[name].astype(float) + (1 - strength) * second[name].astype(float), rtol=1e-6)


def test_ends_are_the_two_files(pair: tuple[Path, Path]) -> None:
    pixels = noise(20, 30)[None]
    for strength, path in ((1, pair[0]), (0, pair[1])):
        found = pixlate.load(pair[0], "cpu", blend_with=pair[1], strength=strength)
        np.testing.assert_array_equal(found(pixels), pixlate.load(path, "cpu")(pixels))


def test_middle_is_neither_a_mean_of_outputs_nor_an_end(pair: tuple[Path, Path], tmp_path: Path) -> None:
    mean = [(first + second) / 2 for first, second in zip(weights_of(pair[0].read_bytes()).values(), weights_of(pair[1].read_bytes()).values(), strict=True)]
    model = onnx.load(pair[0])
    for tensor, values in zip(model.graph.initializer, mean, strict=True):
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    onnx.save(model, tmp_path / "mean.onnx")
    pixels = noise(20, 30)[None]
    found = pixlate.load(pair[0], "cpu", blend_with=pair[1], strength=0.5)(pixels)
    np.testing.assert_array_equal(found, OnnxTranslator(tmp_path / "mean.onnx", "cpu")(pixels))
    ends = [pixlate.load(path, "cpu")(pixels).astype(float) for path in pair]
    assert all(np.abs(found - other).max() > 3 for other in (*ends, (ends[0] + ends[1]) / 2))


@pytest.mark.parametrize("other", [{"names": "export.7/"}, {"half": True}, {"names": "x", "half": True}])
def test_names_and_storage_may_differ(other: dict[str, str | bool], tmp_path: Path) -> None:
    first, second = network(tmp_path / "a.onnx", 1), network(tmp_path / "b.onnx", 2, **other)  # type: ignore[arg-type]
    pixels = noise(12, 9)[None]
    for one, two, strength in ((first, second, 0), (second, first, 1)):
        found = pixlate.load(one, "cpu", blend_with=two, strength=strength)
        np.testing.assert_array_equal(found(pixels), pixlate.load(second, "cpu")(pixels))


def test_file_that_says_it_keeps_grey_blends_with_an_older_one_that_does_not_say(tmp_path: Path) -> None:
    older, newer = network(tmp_path / "a.onnx", 1), network(tmp_path / "b.onnx", 2, spec=replace(SPEC, keeps_grey=True))
    assert pixlate.load(newer, "cpu", blend_with=older, strength=0.5).spec.keeps_grey


def test_weight_that_one_file_shares_and_the_other_has_twice_is_kept_apart(tmp_path: Path) -> None:
    shared, apart = network(tmp_path / "a.onnx", 1, width=3, shared=True), network(tmp_path / "b.onnx", 2, width=3)
    pixels = noise(12, 9)[None]
    for one, two in ((shared, apart), (apart, shared)):
        for strength, path in ((1, one), (0, two)):
            found = pixlate.load(one, "cpu", blend_with=two, strength=strength)(pixels)
            np.testing.assert_array_equal(found, pixlate.load(path, "cpu")(pixels))


@pytest.mark.parametrize("name", ["upscale-x4", "day-to-night", "sketch-to-photo"])
def test_ready_models_are_read(name: str) -> None:
    path = find(name)
    pixels = noise(64, 64)[None]
    np.testing.assert_array_equal(pixlate.load(name, "cpu", blend_with=path, strength=0.3)(pixels), pixlate.load(name, "cpu")(pixels))


def test_licence_data_and_teacher_are_those_of_both(tmp_path: Path) -> None:
    first = network(tmp_path / "a.onnx", 1, SPEC.with_provenance(Provenance("photos", licence="MIT")))
    second = network(tmp_path / "b.onnx", 2, replace(SPEC, method="two", provenance=Provenance("drawings", licence="CC BY-SA 4.0", teacher="large")))
    spec = pixlate.load(first, "cpu", blend_with=second, strength=0.5).spec
    assert (spec.method, spec.provenance.data, spec.provenance.licence) == ("one", "photos and drawings", "MIT and CC BY-SA 4.0")
    assert spec.provenance.teacher == "large"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: network(path, 2, width=5), r"weights of \[4, 3, 3, 3\] and \[5, 3, 3, 3\]"),
        (lambda path: network(path, 2, pads=0), "Conv with other settings"),
        (lambda path: network(path, 2, kind="Sigmoid"), "Relu in the place of Sigmoid"),
        (lambda path: network(path, 2, replace(SPEC, halo=8)), "halo 1 and 8"),
        (lambda path: network(path, 2, replace(SPEC, direction="target-to-source")), "direction 'source-to-target' and 'target-to-source'"),
    ],
)
def test_files_that_are_not_of_one_network_are_one_sentence(make: Callable[[Path], Path], sentence: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = make(tmp_path / "other.onnx")
    for one, two in ((pair[0], other),):
        with pytest.raises(
            PixlateError, match=f"expected two files of one network to blend, got .*a.onnx and .*other.onnx, which have {sentence}; name a file"
        ):
            pixlate.load(one, "cpu", blend_with=two, strength=0.5)


def of_half(path: Path) -> Path:
    """Compute in float16 between casts."""
    model = onnx.load(network(path, 2))
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    model.graph.node.insert(0, helper.make_node("Cast", ["image"], ["in.half"], to=TensorProto.FLOAT16))
    model.graph.node[1].input[0] = "in.half"
    model.graph.node[3].output[0] = "out.half"
    model.graph.node.append(helper.make_node("Cast", ["out.half"], ["out"], to=TensorProto.FLOAT))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("make", "precision"),
    [
        (of_half, "float16"),
        (lambda path: network(path, 2, replace(SPEC, precision="int8")), "int8"),
        (lambda path: network(path, 2, replace(SPEC, precision="bfloat16")), "bfloat16"),
    ],
)
def test_files_of_other_precision_are_refused_by_name(make: Callable[[Path], Path], precision: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = make(tmp_path / "other.onnx")
    for one, two in ((pair[0], other), (other, pair[0])):
        with pytest.raises(PixlateError, match=f"expected two files of float32 to blend, got .*other.onnx, which is {precision}; name the float32 file"):
            pixlate.load(one, "cpu", blend_with=two, strength=0.5)


@pytest.mark.parametrize("data", [b"", b"no model", b"\x0a\xff\xff\x03", bytes(40)])
def test_damaged_files_are_one_sentence(data: bytes, pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(data)
    with pytest.raises(PixlateError, match=r"expected two files of one network|is damaged or no ONNX model"):
        pixlate.load(pair[0], "cpu", blend_with=tmp_path / "other.onnx", strength=0.5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_files_with_a_changed_byte_are_blended_or_refused(place: float, value: int, cut: bool, pair: tuple[Path, Path], tmp_path: Path) -> None:
    data = bytearray(pair[1].read_bytes())
    position = int(place * len(data))
    data[position] = value
    (tmp_path / "other.onnx").write_bytes(data[:position] if cut else data)
    try:
        interpolated(pair[0], tmp_path / "other.onnx", 0.5)
    except PixlateError as error:
        assert "\n" not in str(error)


def test_second_file_without_a_strength_or_of_another_kind_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected --strength with .*b.onnx, the model to blend with, got none; give --strength 0.5"):
        ConvertOptions(blend_with=pair[1])
    with pytest.raises(PixlateError, match=r"expected strength with .*b.onnx"):
        pixlate.load(pair[0], blend_with=pair[1])
    (tmp_path / "b.pth").write_bytes(b"weights")
    with pytest.raises(PixlateError, match=r"expected two ONNX files of one network to blend, got .*a.onnx and .*b.pth; write other weights as ONNX"):
        pixlate.load(pair[0], blend_with=tmp_path / "b.pth", strength=0.5)
    with pytest.raises(PixlateError, match="expected a model's name"):
        pixlate.load(pair[0], blend_with="no-such-model", strength=0.5)


def test_conversion_blends_and_its_journal_knows_both_files_and_the_strength(pair: tuple[Path, Path], tmp_path: Path) -> None:
    Image.fromarray(noise(12, 15)).save(tmp_path / "a.png")
    options = ConvertOptions(blend_with=pair[1], strength=0.3, device="cpu")
    summary = convert(tmp_path / "a.png", tmp_path / "out", pair[0], options)
    assert summary.converted == 1 and summary.strength == f"blended with {pair[1]} at strength 0.3"
    expected = pixlate.load(pair[0], "cpu", blend_with=pair[1], strength=0.3)(noise(12, 15)[None])[0]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "a.png")), expected)
    assert convert(tmp_path / "a.png", tmp_path / "out", pair[0], options).finished_before == 1
    for other in (replace(options, strength=0.4), replace(options, blend_with=pair[0]), replace(options, blend_with=None), replace(options, strength=1)):
        assert settings_digest(pair[0], other) != settings_digest(pair[0], options)
        assert convert(tmp_path / "a.png", tmp_path / "out", pair[0], other).failed == 1
    with pytest.raises(PixlateError, match="would take the place of the model"):
        convert(tmp_path / "a.png", tmp_path / "new", pair[0], replace(options, report=pair[1]))


def test_same_file_twice_is_its_own_output_and_said(pair: tuple[Path, Path], tmp_path: Path) -> None:
    Image.fromarray(noise(12, 15)).save(tmp_path / "a.png")
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(pair[0].read_bytes())
    for other in (*pair, copy):
        summary = convert(tmp_path / "a.png", tmp_path / other.stem, pair[0], ConvertOptions(blend_with=other, strength=0.3, device="cpu"))
        assert any("each output is as without --blend-with" in caution for caution in summary.cautions) == (other != pair[1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "copy" / "a.png")), pixlate.load(pair[0], "cpu")(noise(12, 15)[None])[0])


def test_tiles_of_blended_norms_share_statistics(tmp_path: Path) -> None:
    from tests.pixlate_onnx.test_statistics import network as normed

    path = normed(tmp_path / "a.onnx")
    found, plain = pixlate.load(path, "cpu", blend_with=path, strength=0.5), OnnxTranslator(path, "cpu")
    assert isinstance(found, OnnxTranslator) and found.measures
    pixels = noise(40, 30)[None]
    for pair in zip(found.statistics(pixels), plain.statistics(pixels), strict=True):
        np.testing.assert_array_equal(*pair)


def test_blending_imports_neither_torch_nor_onnx(pair: tuple[Path, Path]) -> None:
    code = "import sys, pixlate; pixlate.load(sys.argv[1], 'cpu', blend_with=sys.argv[2], strength=0.5); print({'torch', 'onnx'} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", code, *map(str, pair)], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "set()"
