"""Norms that measure each image, in an ONNX file: read what they measure, and run them with statistics given instead.

A file is edited as the bytes it is, so that the ``onnx`` package is not needed to run models, and files of any exporter profit.
"""

from collections.abc import Callable

from pixlate_onnx.protobuf import Field, Part, encoded, fields, varint

NORM = b"InstanceNormalization"
"""Of a file in which this is not written, nothing is read."""
PREFIX = "pixlate."
"""Of the names of values that are added."""
_GRAPH, _NODE, _INPUT, _OUTPUT = 7, 1, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_KIND = 1, 2, 3, 4
_NAME, _TYPE, _TENSOR, _ELEMENT = 1, 2, 1, 1
FLOAT, FLOAT16 = 1, 10
"""Element types."""


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    parts = [*(encoded(_NODE_INPUT, name) for name in inputs), encoded(_NODE_OUTPUT, output), encoded(_NODE_NAME, output), encoded(_NODE_KIND, kind)]
    return encoded(_NODE, b"".join(parts))


def _value(name: str, element: int | None = None) -> bytes:
    """Return a value of a graph, of a type where it is known."""
    kind = b"" if element is None else encoded(_TYPE, encoded(_TENSOR, varint(_ELEMENT << 3) + varint(element)))
    return encoded(_NAME, name) + kind


def _is_norm(node: memoryview) -> bool:
    return any(part.number == _NODE_KIND and part.value == NORM for part in fields(node))


def _names(index: int) -> tuple[str, str]:
    """Return the names of mean and variance of a norm."""
    return f"{PREFIX}mean.{index}", f"{PREFIX}variance.{index}"


def measuring(model: bytes) -> bytes | None:
    """Return a model whose outputs are mean and variance of each channel at each norm, in their order, each (batch, channels, 1, ...); None without norms.

    Raises:
        ValueError: The bytes are no model.
    """
    count = 0

    def rewritten(field: Field) -> list[Part]:
        nonlocal count
        if field.number == _OUTPUT:
            return []
        if field.number != _NODE or not _is_norm(field.value):
            return [field.raw]
        source = next(bytes(part.value).decode() for part in fields(field.value) if part.number == _NODE_INPUT)
        mean, variance = _names(count)
        apart, squared = f"{PREFIX}apart.{count}", f"{PREFIX}squared.{count}"
        count += 1
        nodes = [
            _node("GlobalAveragePool", [source], mean),
            _node("Sub", [source, mean], apart),
            _node("Mul", [apart, apart], squared),
            _node("GlobalAveragePool", [squared], variance),
        ]
        return [*nodes, field.raw]

    return _with_graph(model, rewritten, lambda: [encoded(_OUTPUT, _value(name)) for index in range(count) for name in _names(index)])


def fixed(model: bytes, element: int = FLOAT) -> bytes | None:
    """Return a model that takes mean and variance of each norm, (channels,) each, as further inputs, in their order; None without norms.

    A norm with given statistics is a batch norm.

    Args:
        model: The file.
        element: Type of the values that the norms see.

    Raises:
        ValueError: The bytes are no model.
    """
    count = 0

    def rewritten(field: Field) -> list[Part]:
        nonlocal count
        if field.number != _NODE or not _is_norm(field.value):
            return [field.raw]
        parts = [bytes(part.raw) for part in fields(field.value) if part.number != _NODE_KIND]
        parts += [encoded(_NODE_INPUT, name) for name in _names(count)]
        count += 1
        return [encoded(_NODE, b"".join(parts) + encoded(_NODE_KIND, "BatchNormalization"))]

    return _with_graph(model, rewritten, lambda: [encoded(_INPUT, _value(name, element)) for index in range(count) for name in _names(index)])


def _with_graph(model: bytes, rewritten: Callable[[Field], list[Part]], added: Callable[[], list[bytes]]) -> bytes | None:
    """Return a model with its graph's fields rewritten, and others added after them; None where none are to be added."""
    parts: list[Part] = []
    for field in fields(memoryview(model)):
        if field.number != _GRAPH:
            parts.append(field.raw)
            continue
        graph = [part for inner in fields(field.value) for part in rewritten(inner)]
        more = added()
        if not more:
            return None
        graph += more
        parts += [varint(_GRAPH << 3 | 2), varint(sum(map(len, graph))), *graph]
    return b"".join(parts)
