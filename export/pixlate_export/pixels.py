"""Puts what surrounds a network into the file: uint8 pixels in and out, range, padding, cropping and rounding."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from pixlate.plugin.spec import ModelSpec
from pixlate_export.graph import INPUT, OUTPUT, constant, rename

LEVELS = 255


def take_pixels(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Make a graph of (batch, channels, height, width) in [0, 1] one of uint8 (batch, height, width, channels), in and out, of any height and width.

    The image and masks are padded up to what the network takes, as :mod:`pixlate.inference.sizes` does, and what was made of the padding is cut away
    again.
    """
    graph = model.graph
    resized = spec.takes_image and (spec.multiple > 1 or spec.minimum > 1)
    names = [*([INPUT] if spec.takes_image else []), *(each.name for each in spec.conditions if each.kind == "mask")]
    outer = f"{OUTPUT}.network"
    rename(graph, {name: f"{name}.network" for name in names} | {OUTPUT: outer})
    del graph.value_info[:]  # sides as they were named outside, which are others now
    before = [node for name in names for node in _before(graph, name, f"{name}.network", resized)]
    nodes = [*(_indices(graph, spec) if resized else []), *before, *graph.node, *_after(graph, outer, spec, resized)]
    del graph.node[:]
    graph.node.extend(nodes)
    for value in graph.input:
        if value.name in names:
            shape = ("batch", "height", "width", spec.channels_in if value.name == INPUT else 1)
            value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.UINT8, shape))
    sides = [side.dim_param or side.dim_value for side in graph.output[0].type.tensor_type.shape.dim]
    shape = ("batch", "height_out", "width_out", spec.channels_out) if spec.takes_image else (sides[0], *sides[2:], sides[1])
    graph.output[0].CopyFrom(helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, shape))


def take_masks(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Make the masks of a float graph (batch, height, width, 1), as files take them."""
    graph = model.graph
    names = [each.name for each in spec.conditions if each.kind == "mask"]
    rename(graph, {name: f"{name}.network" for name in names})
    nodes = [*(helper.make_node("Transpose", [name], [f"{name}.network"], perm=[0, 3, 1, 2]) for name in names), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for value in graph.input:
        if value.name in names:
            value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, ("batch", "height", "width", 1)))


def _before(graph: onnx.GraphProto, name: str, inner: str, resized: bool) -> list[onnx.NodeProto]:
    """Return the nodes from uint8 (batch, height, width, channels) to planes of [0, 1] as the network takes them."""
    scale = constant(graph, f"{name}.level", 1 / LEVELS, np.float32)
    padded = f"{name}.padded" if resized else name
    gathered = [
        helper.make_node("Gather", [name, f"{INPUT}.rows.1"], [f"{name}.taller"], axis=1),
        helper.make_node("Gather", [f"{name}.taller", f"{INPUT}.rows.2"], [padded], axis=2),
    ]
    return [
        *(gathered if resized else []),
        helper.make_node("Transpose", [padded], [f"{name}.planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", [f"{name}.planes"], [f"{name}.float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.float", scale], [inner]),
    ]


def _indices(graph: onnx.GraphProto, spec: ModelSpec) -> list[onnx.NodeProto]:
    """Return the nodes that find which row, and which column, of the image is shown at each place of the padded one: ``padding_indices`` in ONNX."""
    numbers = {"none": 0, "one": 1, "two": 2, "multiple": spec.multiple, "more": spec.multiple - 1, "minimum": spec.minimum}
    names = {key: constant(graph, f"{INPUT}.{key}", value, np.int64) for key, value in numbers.items()}
    nodes = [helper.make_node("Shape", [INPUT], [f"{INPUT}.sides"], start=1, end=3)]
    for axis in (1, 2):
        where = constant(graph, f"{INPUT}.place.{axis}", axis - 1, np.int64)

        def add(kind: str, made: str, *given: str, axis: int = axis) -> str:
            nodes.append(helper.make_node(kind, given, [f"{INPUT}.{made}.{axis}"]))
            return f"{INPUT}.{made}.{axis}"

        side = add("Gather", "side", f"{INPUT}.sides", where)
        reached = add("Add", "reached", add("Max", "least", side, names["minimum"]), names["more"])
        raised = add("Mul", "raised", add("Div", "count", reached, names["multiple"]), names["multiple"])
        places = add("Range", "places", names["none"], raised, names["one"])
        last = add("Sub", "last", side, names["one"])
        mirrored = add("Sub", "mirrored", add("Mul", "twice", last, names["two"]), places)
        if spec.padding == "edge":
            add("Min", "rows", places, last)
        else:
            add("Max", "rows", add("Min", "nearer", places, mirrored), names["none"])
    return nodes


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
