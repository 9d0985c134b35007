"""Protocol buffers as the bytes they are, read field by field and written again, without the ``onnx`` package.

https://protobuf.dev/programming-guides/encoding; field numbers are those of onnx.proto.
"""

from collections.abc import Iterator
from dataclasses import dataclass

Part = bytes | memoryview


@dataclass(frozen=True)
class Field:
    """One field of a message."""

    number: int
    raw: memoryview
    """All of it."""
    value: memoryview
    """Its bytes, where it has a length; else none."""

    @property
    def integer(self) -> int:
        """Its number, where it is one of seven bits a byte."""
        return _number(self.raw, _number(self.raw, 0)[1])[0]

    @property
    def integers(self) -> list[int]:
        """Its numbers, where it may be repeated: packed into bytes, or one."""
        found, place = [], 0
        while place < len(self.value):
            number, place = _number(self.value, place)
            found.append(number)
        return found or ([self.integer] if self.raw[0] & 7 == 0 else [])

    @property
    def text(self) -> str:
        """Its bytes as a text.

        Raises:
            ValueError: They are none.
        """
        return bytes(self.value).decode()


def fields(message: memoryview) -> Iterator[Field]:
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
        yield Field(tag >> 3, message[start:place], message[value:place])


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


def varint(value: int) -> bytes:
    """Return a number of at least 0, seven bits a byte."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def encoded(number: int, value: "bytes | str | int") -> bytes:
    """Return a field: of a length for bytes and texts, else a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data
