"""16-bit arithmetic: which nodes compute in half precision, and how to see on a CPU what a GPU makes of them."""

from typing import Any, Literal

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pixlate.errors import PixlateError
from pixlate.plugin.spec import MEASURED

Half = Literal["float16", "bfloat16"]
_MATRIX = frozenset({"Conv", "Gemm", "MatMul"})
_FOLLOWING = frozenset({"ConvTranspose", "Relu", "LeakyRelu", "PRelu", "Add", "Concat", "Pad", "DepthToSpace"})
_OPS: dict[Half, frozenset[str]] = {"float16": _MATRIX | _FOLLOWING, "bfloat16": _MATRIX}
"""Nodes that compute in half precision. Norms, and whatever else sums or divides, stay in 32 bits. ONNX Runtime's CUDA kernels take bfloat16 in
matrix products and convolutions, not in transposed ones."""
_KINDS: dict[Half, tuple[int, type]] = {"float16": (TensorProto.FLOAT16, np.float16), "bfloat16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16)}


def halve(model: onnx.ModelProto, half: Half) -> None:
    """Compute matrix products, convolutions and the operators between them in 16 bits; norms, input and output stay in 32.

    Raises:
        PixlateError: A weight is beyond the range of 16 bits.
    """
    kind, number = _KINDS[half]
    graph = model.graph
    if half == "bfloat16":
        _spell_out_norms(graph)
    factors = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    floats = {name for name, known in _types(model).items() if known == TensorProto.FLOAT} - factors
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    in_half: dict[str, str] = {}  # names of 32-bit values -> their names in 16 bits
    nodes: list[onnx.NodeProto] = []

    def wanted(name: str) -> str:
        """Return the name in 16 bits of a value."""
        if name not in floats:
            return name
        if name not in in_half:
            in_half[name] = f"{name}.{half}"
            if name in weights:
                graph.initializer.append(_converted(weights[name], in_half[name], number, half))
            else:
                nodes.append(helper.make_node("Cast", [name], [in_half[name]], to=kind))
        return in_half[name]

    for node in graph.node:
        if node.op_type not in _OPS[half] or floats.isdisjoint(node.output):
            nodes.append(node)
            continue
        node.input[:] = [wanted(name) for name in node.input]
        made = list(node.output)
        node.output[:] = [f"{name}.{half}" for name in made]
        in_half |= dict(zip(made, node.output, strict=True))
        nodes += [node, *(helper.make_node("Cast", [in_half[name]], [name], to=TensorProto.FLOAT) for name in made)]
    used = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
    del graph.node[:]
    graph.node.extend(node for node in nodes if node.op_type != "Cast" or node.output[0] in used)
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that any CPU runs, which rounds to 16 bits wherever the given one does and sums in 32, as the matrix units of GPUs do."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    types = _types(model)
    halves = {kind for kind, _ in _KINDS.values()}
    nodes: list[onnx.NodeProto] = []
    full: dict[str, str] = {}
    for node in copy.graph.node:
        if node.op_type == "Cast" or not any(types.get(name) in halves for name in node.output):
            nodes.append(node)
            continue
        for index, name in enumerate(node.input):
            if types.get(name) in halves:
                if name not in full:
                    full[name] = f"{name}.full"
                    nodes.append(helper.make_node("Cast", [name], [full[name]], to=TensorProto.FLOAT))
                node.input[index] = full[name]
        rounded = list(node.output)
        node.output[:] = [f"{name}.unrounded" for name in rounded]
        nodes.append(node)
        nodes += [helper.make_node("Cast", [f"{name}.unrounded"], [name], to=types[name]) for name in rounded]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _spell_out_norms(graph: onnx.GraphProto) -> None:
    """Replace instance norms by the arithmetic they stand for.

    Of opset 22, the first whose convolutions take bfloat16, ONNX Runtime has no instance norm for CUDA, and would compute each on the CPU. Mean and variance
    get the names by which tiles of a large picture share them.
    """
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "InstanceNormalization":
            nodes.append(node)
            continue
        (image, scale, bias), (output,) = node.input, node.output
        epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), 1e-5)
        constants = {"axes": np.array([2, 3]), "planes": np.array([-1, 1, 1]), "epsilon": np.float32(epsilon)}
        graph.initializer.extend(numpy_helper.from_array(np.asarray(value), f"{output}.{name}") for name, value in constants.items())
        axes, planes, least = (f"{output}.{name}" for name in constants)
        mean, variance = f"{MEASURED}{output}.mean", f"{MEASURED}{output}.variance"
        for kind, inputs, made in (
            ("ReduceMean", [image, axes], mean),
            ("Sub", [image, mean], f"{output}.centred"),
            ("Mul", [f"{output}.centred", f"{output}.centred"], f"{output}.squares"),
            ("ReduceMean", [f"{output}.squares", axes], variance),
            ("Add", [variance, least], f"{output}.raised"),
            ("Sqrt", [f"{output}.raised"], f"{output}.deviation"),
            ("Reshape", [scale, planes], f"{output}.scale"),
            ("Reshape", [bias, planes], f"{output}.bias"),
            ("Div", [f"{output}.scale", f"{output}.deviation"], f"{output}.factor"),
            ("Mul", [f"{output}.centred", f"{output}.factor"], f"{output}.scaled"),
            ("Add", [f"{output}.scaled", f"{output}.bias"], output),
        ):
            nodes.append(helper.make_node(kind, inputs, [made], made))
    del graph.node[:]
    graph.node.extend(nodes)


def _converted(tensor: onnx.TensorProto, name: str, number: type, half: Half) -> onnx.TensorProto:
    with np.errstate(over="ignore"):
        values: NDArray[Any] = numpy_helper.to_array(tensor).astype(number)
    if not np.isfinite(values.astype(np.float32)).all():
        raise PixlateError(f"expected weights within the range of {half}, but {tensor.name} is not; use --precision float32 or bfloat16")
    return numpy_helper.from_array(values, name)


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every value."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input, *graph.output)}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}
