"""Norms that measure each image: what they measure is read from an ONNX file, and tiles share it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image
from tests.pixlate.conftest import noise

from pixlate.convert import ConvertOptions, convert
from pixlate.errors import OutOfDeviceMemory
from pixlate.images.picture import Pixels
from pixlate.inference import executor as executors
from pixlate.inference.executor import Executor
from pixlate.inference.statistics import RATIO, reduced
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate.plugin.translator import Measuring
from pixlate_onnx.runner import OnnxTranslator
from pixlate_onnx.statistics import fixed, measuring

SPEC = ModelSpec(norm="per-image", halo=8)


def network(path: Path, spec: ModelSpec = SPEC, *, groups: int = 0, batch: int | str = "batch", half: bool = False) -> Path:
    """Write a network of three instance norms between convolutions; ``groups`` normalises the second over so many groups of its 8 channels."""
    generator = np.random.default_rng(3)
    kind, number = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    weights: dict[str, NDArray[np.generic]] = {"shape": np.array([0, groups, -1], np.int64)}
    nodes, last = [], "image"
    for layer, (inner, outer) in enumerate(((3, 8), (8, 8), (8, 8))):
        width = groups if groups and layer == 1 else outer
        weights |= {f"w{layer}": generator.normal(0, 0.3, (outer, inner, 3, 3)).astype(number), f"s{layer}": generator.uniform(0.5, 2, width).astype(number)}
        weights[f"b{layer}"] = generator.normal(0, 0.5, width).astype(number)
        nodes.append(helper.make_node("Conv", [last, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        seen = f"c{layer}"
        if groups and layer == 1:
            nodes.append(helper.make_node("Reshape", [seen, "shape"], ["flat"]))
            nodes.append(helper.make_node("InstanceNormalization", ["flat", f"s{layer}", f"b{layer}"], ["flat_normal"], epsilon=1e-5))
            nodes += [helper.make_node("Shape", [seen], ["size"]), helper.make_node("Reshape", ["flat_normal", "size"], [f"n{layer}"])]
        else:
            nodes.append(helper.make_node("InstanceNormalization", [seen, f"s{layer}", f"b{layer}"], [f"n{layer}"], epsilon=1e-5))
        nodes.append(helper.make_node("Relu", [f"n{layer}"], [f"r{layer}"]))
        last = f"r{layer}"
    weights |= {"w": generator.normal(0, 0.4, (3, 8, 1, 1)).astype(number)}
    nodes += [helper.make_node("Conv", [last, "w"], ["sum"]), helper.make_node("Sigmoid", ["sum"], ["translated"])]
    sides = [batch, 3, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", kind, sides)],
        [helper.make_tensor_value_info("translated", kind, sides)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.save(model, path)
    return path


def lit_from_the_right(height: int, width: int) -> Pixels:
    """Return a picture of soft shapes and grain whose left is dark."""
    shapes = np.asarray(Image.fromarray(noise(height // 12, width // 12)).resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    lit = shapes * np.clip(np.linspace(-0.5, 1.4, width), 0.06, 1)[None, :, None] + np.random.default_rng(1).normal(0, 3, shapes.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def difference(first: Pixels, second: Pixels) -> float:
    """Return the mean difference in levels."""
    return float(np.abs(first.astype(float) - second).mean())


@pytest.mark.parametrize("groups", [0, 2])
def test_statistics_are_mean_and_variance_of_what_each_norm_sees(groups: int, tmp_path: Path) -> None:
    path = network(tmp_path / "a.onnx", groups=groups)
    translator = OnnxTranslator(path, "cpu")
    assert isinstance(translator, Measuring)
    assert translator.measures
    image = noise(20, 30)
    found = translator.statistics(image[None])
    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in ("c0", "flat" if groups else "c1", "c2"))
    seen = ReferenceEvaluator(model).run(None, {"image": image.transpose(2, 0, 1)[None].astype(np.float32) / 255})
    assert len(found) == 3
    for (mean, variance), values in zip(found, seen, strict=True):
        flat = np.asarray(values, np.float64).reshape(*values.shape[:2], -1)[0]
        np.testing.assert_allclose(mean, flat.mean(axis=1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(variance, flat.var(axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("groups", [0, 2])
def test_a_model_with_the_statistics_of_an_image_translates_it_as_before(groups: int, tmp_path: Path) -> None:
    translator = OnnxTranslator(network(tmp_path / "a.onnx", groups=groups), "cpu")
    image = noise(20, 30)[None]
    given = translator.with_statistics(translator.statistics(image))
    assert np.abs(given(image).astype(int) - translator(image)).max() <= 1
    cut = image[:, :, 20:]  # it keeps them for another image, and for several
    assert np.abs(given(np.concatenate([cut, cut]))[1].astype(int) - given(cut)[0]).max() <= 1
    assert difference(given(cut), translator(cut)) > 1


def test_tiles_share_the_statistics_of_the_whole(tmp_path: Path) -> None:
    translator = OnnxTranslator(network(tmp_path / "a.onnx"), "cpu")
    image = lit_from_the_right(150, 240)[None]
    whole = Executor(translator, "off", 1)(image)
    assert difference(Executor(translator, 64, 2)(image), whole) < 0.5

    class Own:
        """The same without a way to share them."""

        spec, device = translator.spec, "cpu"

        def __call__(self, pixels: Pixels | None, **conditions: NDArray[np.generic]) -> Pixels:
            return translator(pixels, **conditions)

    assert difference(Executor(Own(), 64, 2)(image), whole) > 10


@pytest.mark.parametrize("share", [0.7, 0.4])
def test_statistics_of_reduced_copies_are_near_those_of_the_whole(share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = OnnxTranslator(network(tmp_path / "a.onnx"), "cpu")
    image = lit_from_the_right(300, 480)
    whole = Executor(translator, "off", 1)(image[None])
    monkeypatch.setattr(executors, "MOST_MEASURED", int(300 * 480 * share**2))
    shapes: list[tuple[int, ...]] = []
    statistics = OnnxTranslator.statistics

    def recorded(self: OnnxTranslator, pixels: Pixels, **conditions: NDArray[np.generic]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        shapes.append(pixels.shape)
        return statistics(self, pixels, **conditions)

    monkeypatch.setattr(OnnxTranslator, "statistics", recorded)
    assert difference(Executor(translator, 64, 1)(image[None]), whole) < 3
    expected = [(1, round(300 * times), round(480 * times), 3) for times in (share, share * RATIO)]
    assert np.abs(np.array(shapes) - expected).max() <= 1


def test_copies_that_do_not_fit_into_memory_are_made_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = OnnxTranslator(network(tmp_path / "a.onnx"), "cpu")
    image = lit_from_the_right(300, 480)
    whole = Executor(translator, "off", 1)(image[None])
    statistics = OnnxTranslator.statistics

    def limited(self: OnnxTranslator, pixels: Pixels, **conditions: NDArray[np.generic]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        if pixels.shape[1] * pixels.shape[2] > 80_000:
            raise OutOfDeviceMemory("none left")
        return statistics(self, pixels, **conditions)

    monkeypatch.setattr(OnnxTranslator, "statistics", limited)
    monkeypatch.setattr(executors, "MOST_MEASURED", 300 * 480)
    assert difference(Executor(translator, 64, 1)(image[None]), whole) < 3


def test_file_of_16_bits_shares_statistics(tmp_path: Path) -> None:
    translator = OnnxTranslator(network(tmp_path / "a.onnx", replace(SPEC, precision="float16"), half=True), "cpu")
    image = lit_from_the_right(100, 160)[None]
    assert difference(Executor(translator, 64, 1)(image), Executor(translator, "off", 1)(image)) < 1


def test_file_without_such_norms_measures_nothing(tmp_path: Path) -> None:
    model = onnx.load(network(tmp_path / "a.onnx"))
    kept = [node for node in model.graph.node if node.op_type != "InstanceNormalization"]
    for node in kept:
        node.input[:] = [name.replace("n", "c") if name in ("n0", "n1", "n2") else name for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, tmp_path / "b.onnx")
    assert not OnnxTranslator(tmp_path / "b.onnx", "cpu").measures
    assert measuring(model.SerializeToString()) is None
    assert fixed(model.SerializeToString(), []) is None


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    model = network(tmp_path / "a.onnx").read_bytes()
    for cut in range(1, len(model), 97):
        try:
            edited = measuring(model[:cut])
        except ValueError:
            continue
        assert edited is None or b"pixlate.mean.0" in edited
    with pytest.raises(ValueError, match="wire type 0, 1, 2 or 5"):
        measuring(b"\x3b\x00")
    with pytest.raises(ValueError, match="ten bytes"):
        measuring(b"\xff" * 12)


def test_summary_and_report_say_that_tiles_were_used_and_what_was_measured(tmp_path: Path) -> None:
    Image.fromarray(lit_from_the_right(60, 96)).save(tmp_path / "a.png")
    Image.fromarray(noise(40, 40)).save(tmp_path / "b.png")
    path = network(tmp_path / "a.onnx")
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").rename(tmp_path / "in" / f"{name}.png")
    sentence = (
        "cut into tiles that share the statistics of the whole picture, measured on reduced copies of it, which changes it a little; --tile off runs it whole"
    )
    summary = convert(tmp_path / "in", tmp_path / "out", path, ConvertOptions(tile=48, device="cpu", report=tmp_path / "report.json"))
    assert summary.notes == {sentence: 1}
    assert sentence in json.dumps(json.loads((tmp_path / "report.json").read_text()))
    assert not convert(tmp_path / "in", tmp_path / "whole", path, ConvertOptions(tile="off", device="cpu")).notes


@pytest.mark.parametrize(("height", "width"), [(75, 120), (30, 48), (150, 241), (149, 240)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_reduced_pictures_keep_mean_and_place(height: int, width: int, kind: type[np.uint8] | type[np.uint16]) -> None:
    y, x = np.mgrid[:300, :480]
    image: Pixels = ((np.dstack([y / 299, x / 479, (y + x) / 778])) * np.iinfo(kind).max).astype(kind)
    small = reduced(image, height, width)
    assert small.shape == (height, width, 3)
    assert small.dtype == kind
    expected = np.asarray(Image.fromarray((image / np.iinfo(kind).max * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BOX)) / 255
    assert np.abs(small / np.iinfo(kind).max - expected).max() < 0.02
    assert reduced(image, 300, 480) is image
