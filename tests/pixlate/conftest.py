"""Stand-in models, folders of images, and ways to convert them, for the tests of the core and of what runs models."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.report import Report, Summary
from pixlate.images.picture import Pixels
from pixlate.inference import models
from pixlate.plugin.spec import METADATA_KEY, ModelInput, ModelSpec
from pixlate.plugin.translator import Translator

NEAREST = ModelSpec(method="nearest", scale=2, tiling_exact=True, halo=0)


@dataclass
class Nearest:
    """Enlarges by repeating pixels; the shapes it received are in ``shapes``."""

    spec: ModelSpec = NEAREST
    device: str = "cpu"
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    before: Callable[[Pixels], None] = lambda pixels: None

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        assert pixels is not None
        self.shapes.append(pixels.shape)
        self.before(pixels)
        return nearest(pixels, self.spec.scale)


def nearest(pixels: Pixels, scale: int) -> Pixels:
    """Return (batch, height, width, channels) with each pixel repeated."""
    return pixels.repeat(scale, axis=1).repeat(scale, axis=2)


def noise(height: int, width: int, channels: int = 3, seed: int = 0, dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> Pixels:
    """Return random samples, (height, width, channels)."""
    drawn: Pixels = (
        np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, channels), dtype=dtype, endpoint=True).astype(dtype, copy=False)
    )
    return drawn


def save(path: Path, height: int = 6, width: int = 9, seed: int = 0) -> Path:
    """Write a small picture; the suffix names the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(height, width, seed=seed)).save(path)
    return path


def load(path: Path) -> Image.Image:
    """Decode a file whole."""
    with Image.open(path) as image:
        image.load()
        return image


def folder(root: Path, count: int, height: int = 6, width: int = 9) -> Path:
    """Write ``count`` pictures into a folder and folders below it."""
    for number in range(count):
        save(root / f"{number % 3}" / f"{number:03}.png", height, width, seed=number)
    return root


def tree(root: Path) -> dict[str, bytes | None]:
    """Return every file (bytes) and folder (None) below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))}


def outputs(root: Path) -> dict[str, Path]:
    """Return the files below an output folder that are not Pixlate's own."""
    return {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file() and ".pixlate" not in path.parts}


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of every output."""
    return {name: (path.stat().st_ino, path.stat().st_mtime_ns) for name, path in outputs(root).items()}


class Run(Protocol):
    """Converts with the stand-in model; keywords are fields of ConvertOptions."""

    def __call__(self, source: Path | str | list[Path], out: Path, **options: object) -> Summary: ...


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Translator], Path]:
    """Have conversions in this process run a translator; returns the file to name as the model."""

    def install(translator: Translator) -> Path:
        model = tmp_path / "stand-in.model"
        model.write_bytes(b"a model")
        monkeypatch.setattr(models, "load", lambda model, device, *_, **__: translator)
        return model

    return install


@pytest.fixture
def run(use: Callable[[Translator], Path]) -> Run:
    """Convert with nearest-neighbour enlarging in this process, quietly."""
    model = use(Nearest())

    def start(source: Path | str | list[Path], out: Path, watch: Callable[[Report], None] | None = None, model: Path = model, **options: object) -> Summary:
        values: Mapping[str, object] = {"threads": 2, **options}
        return convert(source, out, model, ConvertOptions(**values), watch)  # type: ignore[arg-type]

    return start  # type: ignore[return-value]


@pytest.fixture(scope="session")
def onnx_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real model file: one convolution and a depth-to-space, which together repeat every pixel 2 x 2."""
    return write_onnx(tmp_path_factory.mktemp("model") / "nearest.onnx", NEAREST)


def write_onnx(path: Path, spec: ModelSpec | None, channels: int = 3) -> Path:
    """Write the model; with ``channels`` other than 3 for pictures of so many."""
    kernel = np.zeros((4 * channels, channels, 3, 3), np.float32)
    for channel in range(channels):
        kernel[4 * channel : 4 * channel + 4, channel, 1, 1] = 1
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["source", "kernel"], ["features"], pads=[1, 1, 1, 1]),
            helper.make_node("DepthToSpace", ["features"], ["target"], blocksize=2, mode="CRD"),
        ],
        "nearest",
        [helper.make_tensor_value_info("source", TensorProto.FLOAT, ["batch", channels, "height", "width"])],
        [helper.make_tensor_value_info("target", TensorProto.FLOAT, ["batch", channels, "height2", "width2"])],
        [helper.make_tensor("kernel", TensorProto.FLOAT, kernel.shape, kernel.ravel().tolist())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if spec is not None:
        helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def write_conditional(path: Path, inputs: Sequence[ModelInput], **fields: Any) -> Path:
    """Write a float model whose output is the image where the mask is 0, else the label times 0.25 + the first number of each vector, noise and reference."""
    spec = ModelSpec(inputs=(*([ModelInput("image", "image")] if fields.pop("image", True) else []), *inputs), tiling_exact=True, halo=0, **fields)
    side: dict[str, list[str | int]] = {"image": ["batch", 3, "height", "width"], "mask": ["batch", "height", "width", 1], "label": ["batch"]}
    side |= {each.name: ["batch", each.side, each.side, each.channels] for each in inputs if each.kind == "reference"}
    given = [
        helper.make_tensor_value_info(
            each.name, TensorProto.INT64 if each.kind == "label" else TensorProto.FLOAT, side.get(each.kind, side.get(each.name, ["batch", each.length]))
        )
        for each in spec.inputs
    ]
    constants = {
        "zero": np.array([0]),
        "sides": np.array([-1, 1, 1, 1]),
        "quarter": np.float32(0.25),
        "one": np.float32(1),
        "many": np.zeros((1, 3, *(spec.output_size or (4, 4))), np.float32),
    }
    nodes, values, mask = [], [], None
    for each in spec.conditions:
        if each.kind == "mask":
            nodes.append(helper.make_node("Transpose", [each.name], ["mask.planes"], perm=[0, 3, 1, 2]))
            mask = "mask.planes"
            continue
        if each.kind == "label":
            nodes += [
                helper.make_node("Cast", [each.name], [f"{each.name}.float"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{each.name}.float", "quarter"], [f"{each.name}.1"]),
            ]
        else:
            nodes.append(helper.make_node("Flatten", [each.name], [f"{each.name}.flat"]))
            nodes.append(helper.make_node("Gather", [f"{each.name}.flat", "zero"], [f"{each.name}.1"], axis=1))
        nodes.append(helper.make_node("Reshape", [f"{each.name}.1", "sides"], [f"{each.name}.value"]))
        values.append(f"{each.name}.value")
    nodes.append(helper.make_node("Sum", values, ["value"]) if values else helper.make_node("Identity", ["one"], ["value"]))
    if not spec.takes_image:
        nodes.append(helper.make_node("Add", ["value", "many"], ["made"]))
    elif mask is None:
        nodes.append(helper.make_node("Add", ["value", "image"], ["made"]))
    else:
        nodes += [
            helper.make_node("Sub", ["one", mask], ["kept"]),
            helper.make_node("Mul", ["kept", "image"], ["background"]),
            helper.make_node("Mul", [mask, "value"], ["filling"]),
            helper.make_node("Add", ["background", "filling"], ["made"]),
        ]
    nodes.append(helper.make_node("Identity", ["made"], ["translated"]))
    target = helper.make_tensor_value_info("translated", TensorProto.FLOAT, ["batch", 3, "height2", "width2"])
    used = {name for node in nodes for name in node.input}
    initial = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used]
    model = helper.make_model(helper.make_graph(nodes, "conditional", given, [target], initial), opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def write_sampler(path: Path) -> Path:
    """Write a model of 4 x 4 pixels without an image input, whose levels are the first number of its noise."""
    return write_conditional(path, [ModelInput("z", "noise", length=2)], image=False)


def command(*arguments: object) -> subprocess.Popen[str]:
    """Start ``pixlate convert`` in a process of its own."""
    words = [sys.executable, "-m", "pixlate", "convert", *map(str, arguments), "--device", "cpu"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
