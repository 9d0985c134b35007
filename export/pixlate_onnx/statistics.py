"""Norms that measure each image, in an ONNX file: read what they measure, and run them with statistics given instead.

A file is edited as the bytes it is (protocol buffers, https://protobuf.dev/programming-guides/encoding; field numbers are those of onnx.proto),
so that the ``onnx`` package is not needed to run models, and files of any exporter profit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

NORM = b"InstanceNormalization"
"""Of a file in which this is not written, nothing is read."""
PREFIX = "pixlate."
"""Of the names of values that are added."""
_GRAPH, _NODE, _INPUT, _OUTPUT = 7, 1, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_KIND = 1, 2, 3, 4
_NAME, _TYPE, _TENSOR, _ELEMENT = 1, 2, 1, 1
Part = bytes | memoryview
FLOAT, FLOAT16 = 1, 10
"""Element types."""


@dataclass(frozen=True)
class _Field:
    """One field of a message."""

    number: int
    raw: memoryview
    """All of it."""
    value: memoryview
    """Its bytes, where it has a length; else none."""


def _fields(message: memoryview) -> Iterator[_Field]:
    """Yield the fields of a message.

    Raises:
        ValueError: The bytes are no message.
    """
    place = 0
    while place < len(message):
        start = place
        tag, place = _number(message, place)
        kind, value = tag & 7, place
        if kind == 0:
            _, place = _number(message, place)
            value = place
        elif kind == 2:
            length, value = _number(message, place)
            place = value + length
        elif kind in (1, 5):
            place = value = place + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"expected a field of wire type 0, 1, 2 or 5, got {kind}")
        if place > len(message):
            raise ValueError("expected a whole message, got one that is cut")
        yield _Field(tag >> 3, message[start:place], message[value:place])


def _number(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number of seven bits a byte at a place, and the place after it."""
    found = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        place += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, place
    raise ValueError("expected a number of at most ten bytes, got none")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _field(number: int, value: "bytes | str") -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    parts = [*(_field(_NODE_INPUT, name) for name in inputs), _field(_NODE_OUTPUT, output), _field(_NODE_NAME, output), _field(_NODE_KIND, kind)]
    return _field(_NODE, b"".join(parts))


def _value(name: str, element: int | None = None) -> bytes:
    """Return a value of a graph, of a type where it is known."""
    kind = b"" if element is None else _field(_TYPE, _field(_TENSOR, _varint(_ELEMENT << 3) + _varint(element)))
    return _field(_NAME, name) + kind


def _is_norm(node: memoryview) -> bool:
    return any(part.number == _NODE_KIND and part.value == NORM for part in _fields(node))


def _names(index: int) -> tuple[str, str]:
    """Return the names of mean and variance of a norm."""
    return f"{PREFIX}mean.{index}", f"{PREFIX}variance.{index}"


def measuring(model: bytes) -> bytes | None:
    """Return a model whose outputs are mean and variance of each channel at each norm, in their order, each (batch, channels, 1, ...); None without norms.

    Raises:
        ValueError: The bytes are no model.
    """
    count = 0

    def rewritten(field: _Field) -> list[Part]:
        nonlocal count
        if field.number == _OUTPUT:
            return []
        if field.number != _NODE or not _is_norm(field.value):
            return [field.raw]
        source = next(bytes(part.value).decode() for part in _fields(field.value) if part.number == _NODE_INPUT)
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

    return _with_graph(model, rewritten, lambda: [_field(_OUTPUT, _value(name)) for index in range(count) for name in _names(index)])


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

    def rewritten(field: _Field) -> list[Part]:
        nonlocal count
        if field.number != _NODE or not _is_norm(field.value):
            return [field.raw]
        parts = [bytes(part.raw) for part in _fields(field.value) if part.number != _NODE_KIND]
        parts += [_field(_NODE_INPUT, name) for name in _names(count)]
        count += 1
        return [_field(_NODE, b"".join(parts) + _field(_NODE_KIND, "BatchNormalization"))]

    return _with_graph(model, rewritten, lambda: [_field(_INPUT, _value(name, element)) for index in range(count) for name in _names(index)])


def _with_graph(model: bytes, rewritten: Callable[[_Field], list[Part]], added: Callable[[], list[bytes]]) -> bytes | None:
    """Return a model with its graph's fields rewritten, and others added after them; None where none are to be added."""
    parts: list[Part] = []
    for field in _fields(memoryview(model)):
        if field.number != _GRAPH:
            parts.append(field.raw)
            continue
        graph = [part for inner in _fields(field.value) for part in rewritten(inner)]
        more = added()
        if not more:
            return None
        graph += more
        parts += [_varint(_GRAPH << 3 | 2), _varint(sum(map(len, graph))), *graph]
    return b"".join(parts)
