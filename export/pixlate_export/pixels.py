"""Puts what surrounds a network into the file: uint8 pixels in and out, range, padding, cropping and rounding."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from pixlate.plugin.spec import ModelSpec
from pixlate_export.graph import INPUT, OUTPUT, constant

LEVELS = 255


def take_pixels(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Make a graph of (batch, channels, height, width) in [0, 1] one of uint8 (batch, height, width, channels), in and out, of any height and width.

    The last row and column are repeated up to what the network takes, and what was made of them is cut away again.
    """
    graph = model.graph
    inner, outer = f"{INPUT}.network", f"{OUTPUT}.network"
    for node in graph.node:
        node.input[:] = [inner if name == INPUT else outer if name == OUTPUT else name for name in node.input]
        node.output[:] = [outer if name == OUTPUT else name for name in node.output]
    resized = spec.multiple > 1 or spec.minimum > 1
    del graph.value_info[:]  # sides as they were named outside, which are others now
    nodes = [*_before(graph, inner, spec, resized), *graph.node, *_after(graph, outer, spec, resized)]
    del graph.node[:]
    graph.node.extend(nodes)
    sides = ("batch", "height", "width", spec.channels_in), ("batch", "height_out", "width_out", spec.channels_out)
    for values, name, shape in ((graph.input, INPUT, sides[0]), (graph.output, OUTPUT, sides[1])):
        values[0].CopyFrom(helper.make_tensor_value_info(name, TensorProto.UINT8, shape))


def _before(graph: onnx.GraphProto, inner: str, spec: ModelSpec, resized: bool) -> list[onnx.NodeProto]:
    scale = constant(graph, f"{INPUT}.level", 1 / LEVELS, np.float32)
    last = f"{INPUT}.ranged" if resized else inner
    nodes = [
        helper.make_node("Transpose", [INPUT], [f"{INPUT}.planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", [f"{INPUT}.planes"], [f"{INPUT}.float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{INPUT}.float", scale], [last]),
    ]
    if not resized:
        return nodes
    multiple = constant(graph, f"{INPUT}.multiple", [spec.multiple] * 2, np.int64)
    more = constant(graph, f"{INPUT}.more", [spec.multiple - 1] * 2, np.int64)
    least = constant(graph, f"{INPUT}.minimum", [spec.minimum] * 2, np.int64)
    none = constant(graph, f"{INPUT}.no_pads", [0] * 6, np.int64)
    return [
        *nodes,
        helper.make_node("Shape", [INPUT], [f"{INPUT}.sides"], start=1, end=3),
        helper.make_node("Max", [f"{INPUT}.sides", least], [f"{INPUT}.least"]),
        helper.make_node("Add", [f"{INPUT}.least", more], [f"{INPUT}.reached"]),
        helper.make_node("Div", [f"{INPUT}.reached", multiple], [f"{INPUT}.count"]),
        helper.make_node("Mul", [f"{INPUT}.count", multiple], [f"{INPUT}.raised"]),
        helper.make_node("Sub", [f"{INPUT}.raised", f"{INPUT}.sides"], [f"{INPUT}.missing"]),
        helper.make_node("Concat", [none, f"{INPUT}.missing"], [f"{INPUT}.pads"], axis=0),
        helper.make_node("Pad", [last, f"{INPUT}.pads"], [inner], mode="edge"),
    ]


def _after(graph: onnx.GraphProto, outer: str, spec: ModelSpec, resized: bool) -> list[onnx.NodeProto]:
    nodes, last = [], outer
    if resized:
        starts = constant(graph, f"{OUTPUT}.starts", [0, 0], np.int64)
        axes = constant(graph, f"{OUTPUT}.axes", [2, 3], np.int64)
        scale = constant(graph, f"{OUTPUT}.scale", [spec.scale] * 2, np.int64)
        nodes = [
            helper.make_node("Mul", [f"{INPUT}.sides", scale], [f"{OUTPUT}.ends"]),
            helper.make_node("Slice", [outer, starts, f"{OUTPUT}.ends", axes], [f"{OUTPUT}.cut"]),
        ]
        last = f"{OUTPUT}.cut"
    levels = constant(graph, f"{OUTPUT}.levels", LEVELS, np.float32)
    return [
        *nodes,
        helper.make_node("Mul", [last, levels], [f"{OUTPUT}.scaled"]),
        helper.make_node("Round", [f"{OUTPUT}.scaled"], [f"{OUTPUT}.rounded"]),
        helper.make_node("Cast", [f"{OUTPUT}.rounded"], [f"{OUTPUT}.planes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", [f"{OUTPUT}.planes"], [OUTPUT], perm=[0, 2, 3, 1]),
    ]
