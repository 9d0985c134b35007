"""What is measured on each image, in an ONNX file, by norms and by what Pixlate named: read it, and run the file with it given instead.

A file is edited as the bytes it is, so that the ``onnx`` package is not needed to run models, and files of any exporter profit.
"""

from collections.abc import Callable, Sequence

from pixlate.plugin.spec import MEASURED
from pixlate_onnx.protobuf import Field, Part, encoded, fields, varint

NORM = b"InstanceNormalization"
"""Kind of the nodes that measure; a file in which neither this nor ``MEASURED`` is written is not read."""
PREFIX = "pixlate."
"""Of the names of values that are added."""
_GRAPH, _NODE, _INPUT, _OUTPUT = 7, 1, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_KIND = 1, 2, 3, 4
_NAME, _TYPE, _TENSOR, _ELEMENT, _SHAPE, _SIDE = 1, 2, 1, 1, 2, 1
FLOAT, FLOAT16 = 1, 10
"""Element types."""


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    parts = [*(encoded(_NODE_INPUT, name) for name in inputs), encoded(_NODE_OUTPUT, output), encoded(_NODE_NAME, output), encoded(_NODE_KIND, kind)]
    return encoded(_NODE, b"".join(parts))


def _output(name: str) -> bytes:
    """Return an output of a graph, whose type is that of the node that makes it."""
    return encoded(_OUTPUT, encoded(_NAME, name))


def _input(name: str, element: int, rank: int) -> bytes:
    """Return an input of a graph, whose sides are free."""
    shape = encoded(_SHAPE, encoded(_SIDE, b"") * rank)
    return encoded(_INPUT, encoded(_NAME, name) + encoded(_TYPE, encoded(_TENSOR, varint(_ELEMENT << 3) + varint(element) + shape)))


def _is_norm(node: memoryview) -> bool:
    return any(part.number == _NODE_KIND and part.value == NORM for part in fields(node))


def _measured_by(node: memoryview) -> str:
    """Return the name of what a node measures, if it is one that Pixlate named."""
    outputs = [bytes(part.value) for part in fields(node) if part.number == _NODE_OUTPUT]
    return next((name.decode() for name in outputs if name.startswith(MEASURED.encode())), "")


def _names(index: int) -> tuple[str, str]:
    """Return the names of mean and variance of a norm."""
    return f"{PREFIX}mean.{index}", f"{PREFIX}variance.{index}"


def _all(norms: int, others: list[str]) -> list[str]:
    return [name for index in range(norms) for name in _names(index)] + others


def measuring(model: bytes) -> bytes | None:
    """Return a model whose outputs are what it measures on images; None where that is nothing.

    First mean and variance of each channel at each norm, in their order, each (batch, channels, 1, ...), then the rest, (batch, numbers).

    Raises:
        ValueError: The bytes are no model.
    """
    count, others = 0, list[str]()

    def rewritten(field: Field) -> list[Part]:
        nonlocal count
        if field.number == _OUTPUT:
            return []
        if field.number == _NODE and (other := _measured_by(field.value)):
            others.append(other)
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

    return _with_graph(model, rewritten, lambda: [_output(name) for name in _all(count, others)])


def fixed(model: bytes, elements: Sequence[int]) -> bytes | None:
    """Return a model that takes what it measures on images as further inputs; None where that is nothing.

    First mean and variance of each norm, (channels,) each, in their order, then the rest, (1, numbers). A norm with given statistics is a batch norm.

    Args:
        model: The file.
        elements: Types of these inputs, which are those of the outputs of :func:`measuring`.

    Raises:
        ValueError: The bytes are no model.
    """
    count, others = 0, list[str]()

    def rewritten(field: Field) -> list[Part]:
        nonlocal count
        if field.number == _NODE and (other := _measured_by(field.value)):
            others.append(other)
            return []
        if field.number != _NODE or not _is_norm(field.value):
            return [field.raw]
        parts = [bytes(part.raw) for part in fields(field.value) if part.number != _NODE_KIND]
        parts += [encoded(_NODE_INPUT, name) for name in _names(count)]
        count += 1
        return [encoded(_NODE, b"".join(parts) + encoded(_NODE_KIND, "BatchNormalization"))]

    def added() -> list[bytes]:
        ranks = [1] * 2 * count + [2] * len(others)
        return [_input(*each) for each in zip(_all(count, others), elements, ranks, strict=True)]

    return _with_graph(model, rewritten, added)


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
