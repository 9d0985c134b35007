"""TIFF directories, as they stand in TIFF files and in EXIF blocks: read, and changed without moving anything else.

Makers' notes hold offsets counted from the start of the block. A directory that must grow is therefore written again at the end of the block,
and all else stays where it was. Layout: TIFF 6.0, section 2; BigTIFF is read, not written.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal

ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Field type -> bytes a value."""
Order = Literal["<", ">"]
"""Byte order: little or big endian."""
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}


@dataclass(frozen=True)
class Field:
    """A tag's value: field type, number of values, and their bytes in the byte order of the block."""

    kind: int
    count: int
    data: bytes


@dataclass(frozen=True)
class Entry:
    """A line of a directory: field type, number of values, and the value itself where it is short, else its offset."""

    kind: int
    count: int
    raw: bytes


class Directory:
    """The tags at one offset of a stream; values are fetched when asked for."""

    def __init__(self, stream: BinaryIO, order: Order, offset: int, big: bool = False) -> None:
        """Read the directory at ``offset``; ``order`` is ``<`` or ``>``. Raises ValueError where the stream ends too soon."""
        self.stream, self.order, self.offset, self.big = stream, order, offset, big
        stream.seek(offset)
        (count,) = struct.unpack(order + ("Q" if big else "H"), _exactly(stream, 8 if big else 2))
        width, room = (20, 8) if big else (12, 4)
        table = _exactly(stream, count * width)
        self.entries: dict[int, Entry] = {}
        for start in range(0, count * width, width):
            tag, kind, values = struct.unpack(order + ("HHQ" if big else "HHI"), table[start : start + width - room])
            self.entries[tag] = Entry(kind, values, table[start + width - room : start + width])
        self.room = room
        self.slots = count
        self.table = stream.tell() - count * width
        (self.next,) = struct.unpack(order + ("Q" if big else "I"), stream.read(room).ljust(room, b"\0"))

    def field(self, tag: int) -> Field | None:
        """Return the value of a tag as bytes, or None where it is missing. Raises ValueError where it lies outside the stream."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in SIZES:
            return None
        size = SIZES[entry.kind] * entry.count
        if size <= self.room:
            return Field(entry.kind, entry.count, entry.raw[:size])
        (offset,) = struct.unpack(self.order + ("Q" if self.big else "I"), entry.raw)
        self.stream.seek(offset)
        return Field(entry.kind, entry.count, _exactly(self.stream, size))

    def data(self, tag: int) -> bytes:
        """Return the bytes of a tag, empty where it is missing."""
        found = self.field(tag)
        return b"" if found is None else found.data

    def numbers(self, tag: int, default: tuple[float, ...] = ()) -> tuple[float, ...]:
        """Return the values of a numeric tag, rationals as quotients (0 over a zero denominator), or ``default`` where it is missing."""
        found = self.field(tag)
        if found is None:
            return default
        if found.kind in (RATIONAL, 10):
            values = struct.unpack(f"{self.order}{2 * found.count}{'I' if found.kind == RATIONAL else 'i'}", found.data)
            return tuple(over / under if under else 0.0 for over, under in zip(values[::2], values[1::2], strict=True))
        if found.kind not in _CODES:
            return default
        return struct.unpack(f"{self.order}{found.count}{_CODES[found.kind]}", found.data)

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a numeric tag as a whole number."""
        values = self.numbers(tag)
        return int(values[0]) if values else default

    def directory(self, tag: int) -> "Directory | None":
        """Return the directory a tag points to, or None where it is missing or unreadable."""
        try:
            return Directory(self.stream, self.order, self.number(tag), self.big) if tag in self.entries else None
        except (ValueError, struct.error):
            return None


def first_directory(stream: BinaryIO) -> Directory:
    """Return the first directory of a TIFF file or EXIF block. Raises ValueError where there is none."""
    stream.seek(0)
    head = stream.read(16)
    orders: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
    order = orders.get(head[:2])
    if order is None or len(head) < 8:
        raise ValueError("no TIFF header")
    version = struct.unpack(order + "H", head[2:4])[0]
    if version not in (42, 43) or (version == 43 and len(head) < 16):
        raise ValueError(f"unknown TIFF version {version}")
    big = version == 43
    (offset,) = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])
    return Directory(stream, order, offset, big)


def short(order: Order, *values: int) -> Field:
    """Return whole numbers below 65,536 as a field."""
    return Field(SHORT, len(values), struct.pack(f"{order}{len(values)}H", *values))


def long(order: Order, *values: int) -> Field:
    """Return whole numbers below 2^32 as a field."""
    return Field(LONG, len(values), struct.pack(f"{order}{len(values)}I", *values))


def rational(order: Order, value: float) -> Field:
    """Return a positive number as a fraction: thousandths, or as much as 32 bits hold."""
    scale = 1000 if value < 4_000_000 else 1
    return Field(RATIONAL, 1, struct.pack(order + "II", min(round(value * scale), 2**32 - 1), scale))


def changed(block: bytearray, directory: Directory, changes: Mapping[int, Field | None], *, following: int | None = None) -> int:
    """Set and remove tags of a directory of ``block``, in place where there is room, else in a new directory at the end; return its offset.

    Args:
        block: The file or EXIF block, changed.
        directory: One of its directories.
        changes: Tag -> new value, or None to remove it.
        following: Offset of the directory that comes next, where it is to change.
    """
    order = directory.order
    lines = dict(directory.entries)
    for tag, value in changes.items():
        lines.pop(tag, None)
        if value is not None:
            raw = value.data
            if len(raw) > 4:
                raw = struct.pack(order + "I", _append(block, value.data))
            lines[tag] = Entry(value.kind, value.count, raw.ljust(4, b"\0"))
    table = struct.pack(order + "H", len(lines))
    for tag in sorted(lines):
        table += struct.pack(order + "HHI", tag, lines[tag].kind, lines[tag].count) + lines[tag].raw
    table += struct.pack(order + "I", directory.next if following is None else following)
    if len(lines) <= directory.slots and directory.offset + len(table) <= len(block):
        block[directory.offset : directory.offset + len(table)] = table
        return directory.offset
    return _append(block, table)


def _append(block: bytearray, data: bytes) -> int:
    block.extend(b"\0" * (len(block) % 2))
    offset = len(block)
    if offset + len(data) >= 2**32:
        raise ValueError("more than 4 GiB, which TIFF cannot hold")
    block.extend(data)
    return offset


def _exactly(stream: BinaryIO, size: int) -> bytes:
    if size > 1 << 20:  # before a damaged count makes Python set so much memory aside
        here = stream.tell()
        size_of_stream = stream.seek(0, 2)
        stream.seek(here)
        if here + size > size_of_stream:
            raise ValueError(f"expected {size} bytes, got {max(0, size_of_stream - here)}")
    data = stream.read(size)
    if len(data) != size:
        raise ValueError(f"expected {size} bytes, got {len(data)}")
    return data
