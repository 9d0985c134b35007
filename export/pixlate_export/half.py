"""16-bit arithmetic: which nodes compute in half precision, and how to see on a CPU what a GPU makes of them."""

from typing import Any, Literal

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pixlate.errors import PixlateError

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
