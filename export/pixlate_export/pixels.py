"""Puts what surrounds a network into the file: uint8 pixels in and out, range, padding, cropping and rounding.

The nodes are written in ONNX's text syntax; their names begin with ``_``, as no condition's does.
"""

from collections.abc import Iterable, Mapping

import onnx
from onnx import TensorProto, helper
from onnx.parser import parse_node

from pixlate.plugin.spec import ModelSpec
from pixlate_export.graph import INPUT, OUTPUT

LEVELS = 255


def take_pixels(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Make a float file's graph one of uint8 (batch, height, width, channels), in and out, of any height and width.

    The image and masks are padded up to what the network takes, as :mod:`pixlate.inference.sizes` does, and what was made of the padding is cut away
    again.
    """
    graph = model.graph
    resized = spec.takes_image and (spec.multiple > 1 or spec.minimum > 1)
    own = {each.name for each in spec.conditions if each.kind == "reference"}  # of a size of their own
    names = [*([INPUT] if spec.takes_image else []), *(each.name for each in spec.conditions if each.pictured)]
    lines = [*(_indices(spec) if resized else []), *(line for name in names for line in _before(name, resized and name not in own))]
    _put_before(graph, names, lines, TensorProto.UINT8, spec, "given")
    rename(graph, {OUTPUT: "_made"})
    graph.node.extend(map(parse_node, _after(spec, resized)))
    sides = [side.dim_param or side.dim_value for side in graph.output[0].type.tensor_type.shape.dim]
    shape = ("batch", "height_out", "width_out", spec.channels_out) if spec.takes_image else (sides[0], *sides[2:], sides[1])
    graph.output[0].CopyFrom(helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, shape))


def take_masks(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Make the masks and references of a traced graph (batch, height, width, channels), as float files take them."""
    names = [each.name for each in spec.conditions if each.pictured]
    _put_before(model.graph, names, [f"_{name}_network = Transpose<perm = [0, 3, 1, 2]>({name})" for name in names], TensorProto.FLOAT, spec, "network")


def _put_before(graph: onnx.GraphProto, names: list[str], lines: Iterable[str], kind: int, spec: ModelSpec, last: str) -> None:
    """Put nodes that make ``_NAME_LAST`` of each input NAME before a graph, and give these inputs their new type and shape."""
    rename(graph, {name: f"_{name}_{last}" for name in names})
    nodes = [*map(parse_node, lines), *graph.node]
    del graph.node[:], graph.value_info[:]  # sides as they were named outside, which are others now
    graph.node.extend(nodes)
    for value in graph.input:
        if value.name in names:
            condition = next((each for each in spec.conditions if each.name == value.name and each.kind == "reference"), None)
            sides = ("height", "width", spec.channels_in if value.name == INPUT else 1)
            shape = ("batch", *(sides if condition is None else (condition.side, condition.side, condition.channels)))
            value.CopyFrom(helper.make_tensor_value_info(value.name, kind, shape))


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give values new names wherever nodes use them; inputs and outputs of the graph keep theirs."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _before(name: str, resized: bool) -> list[str]:
    """Return the nodes from uint8 (batch, height, width, channels) to what a float file takes: the image as planes in [0, 1], a mask as it is in [0, 1]."""
    gathered = [f"_{name}_taller = Gather<axis = 1>({name}, _shown_1)", f"_{name}_padded = Gather<axis = 2>(_{name}_taller, _shown_2)"]
    found = f"_{name}_padded" if resized else name
    turned = [f"_{name}_planes = Transpose<perm = [0, 3, 1, 2]>({found})"] if name == INPUT else []
    return [
        *(gathered if resized else []),
        *turned,
        f"_{name}_float = Cast<to = {TensorProto.FLOAT}>({f'_{name}_planes' if turned else found})",
        f"_{name}_level = Constant<value_float = {1 / LEVELS}>()",
        f"_{name}_given = Mul(_{name}_float, _{name}_level)",
    ]


def _indices(spec: ModelSpec) -> list[str]:
    """Return the nodes that find which row, and which column, of the image is shown at each place of the padded one: ``padding_indices`` in ONNX."""
    numbers = {"zero": 0, "one": 1, "two": 2, "multiple": spec.multiple, "more": spec.multiple - 1, "minimum": spec.minimum}
    lines = [f"_{name} = Constant<value_int = {number}>()" for name, number in numbers.items()]
    lines.append(f"_sides = Shape<start = 1, end = 3>({INPUT})")
    for axis, place in ((1, "_zero"), (2, "_one")):
        lines += [
            f"_side_{axis} = Gather(_sides, {place})",
            f"_least_{axis} = Max(_side_{axis}, _minimum)",
            f"_reached_{axis} = Add(_least_{axis}, _more)",
            f"_count_{axis} = Div(_reached_{axis}, _multiple)",
            f"_raised_{axis} = Mul(_count_{axis}, _multiple)",
            f"_places_{axis} = Range(_zero, _raised_{axis}, _one)",
            f"_last_{axis} = Sub(_side_{axis}, _one)",
        ]
        if spec.padding == "edge":
            lines.append(f"_shown_{axis} = Min(_places_{axis}, _last_{axis})")
            continue
        lines += [
            f"_twice_{axis} = Mul(_last_{axis}, _two)",
            f"_mirrored_{axis} = Sub(_twice_{axis}, _places_{axis})",
            f"_nearer_{axis} = Min(_places_{axis}, _mirrored_{axis})",
            f"_shown_{axis} = Max(_nearer_{axis}, _zero)",
        ]
    return lines


def _after(spec: ModelSpec, resized: bool) -> list[str]:
    """Return the nodes from planes of [0, 1], cut to the size of the image, to uint8 (batch, height, width, channels)."""
    cut = [
        f"_scale = Constant<value_ints = [{spec.scale}, {spec.scale}]>()",
        "_ends = Mul(_sides, _scale)",
        "_starts = Constant<value_ints = [0, 0]>()",
        "_axes = Constant<value_ints = [2, 3]>()",
        "_cut = Slice(_made, _starts, _ends, _axes)",
    ]
    return [
        *(cut if resized else []),
        f"_levels = Constant<value_float = {float(LEVELS)}>()",
        f"_scaled = Mul({'_cut' if resized else '_made'}, _levels)",
        "_rounded = Round(_scaled)",
        f"_bytes = Cast<to = {TensorProto.UINT8}>(_rounded)",
        f"{OUTPUT} = Transpose<perm = [0, 2, 3, 1]>(_bytes)",
    ]
