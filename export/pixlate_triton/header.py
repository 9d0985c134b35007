"""Inputs, outputs and metadata read from an ONNX file's own bytes, for operators that ONNX Runtime has no kernels for on CPUs."""

from collections.abc import Iterator
from typing import NamedTuple

_TYPES = {1: "tensor(float)", 2: "tensor(uint8)", 10: "tensor(float16)", 16: "tensor(bfloat16)"}


class Argument(NamedTuple):
    """An input or output, in ONNX Runtime's words."""

    name: str
    type: str
    shape: list[int | str | None]


class Header(NamedTuple):
    """What a file says of itself."""

    inputs: list[Argument]
    outputs: list[Argument]
    metadata: dict[str, str]


def read_header(model: bytes) -> Header:
    """Read a file that ONNX Runtime has found to be sound; numbers below are the fields of onnx.proto."""
    header = Header([], [], {})
    for number, value in _fields(memoryview(model)):
        if number == 7:
            for kind, item in _fields(_bytes(value)):
                if kind in (11, 12):
                    (header.inputs if kind == 11 else header.outputs).append(_argument(_bytes(item)))
        elif number == 14:
            entry = dict(_fields(_bytes(value)))
            header.metadata[_text(entry.get(1))] = _text(entry.get(2))
    return header


def _argument(value: memoryview) -> Argument:
    entry = dict(_fields(value))
    tensor = dict(_fields(_bytes(dict(_fields(_bytes(entry.get(2, b"")))).get(1, b""))))
    sizes: list[int | str | None] = []
    for _, size in _fields(_bytes(tensor.get(2, b""))):
        found = dict(_fields(_bytes(size)))
        fixed = found.get(1)
        sizes.append(fixed if isinstance(fixed, int) else _text(found[2]) if 2 in found else None)
    kind = tensor.get(1)
    return Argument(_text(entry.get(1)), _TYPES.get(kind if isinstance(kind, int) else 0, "another type"), sizes)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and value of each field of a protobuf message; numbers of fixed width are passed over."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield tag >> 3, value
        elif kind == 2:
            length, place = _varint(data, place)
            yield tag >> 3, data[place : place + length]
            place += length
        else:
            place += 8 if kind == 1 else 4


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place


def _bytes(value: int | bytes | memoryview) -> memoryview:
    return memoryview(b"") if isinstance(value, int) else memoryview(value)


def _text(value: int | bytes | memoryview | None) -> str:
    return "" if value is None else str(_bytes(value), "utf-8", "replace")
