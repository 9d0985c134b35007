"""TIFF directories, of TIFF files and of EXIF blocks: read, and changed without moving anything else.

Makers' notes hold offsets counted from the start of the block. A directory that must grow is therefore written again at the end of the block,
and all else stays where it was. Layout: TIFF 6.0, section 2, and of BigTIFF, which is read here.
"""

import struct
from collections.abc import Mapping
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixlate.images.limits import DIRECTORY_ENTRIES, PAGES

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 2, 3, 4, 5, 7, 16
XMP, IPTC, ICC = 700, 33723, 34675
"""Tags of TIFF files that hold blocks of their own."""
_LETTERS = {1: "B", 2: "c", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
"""Field type -> one value in the letters of ``struct``; rationals are two numbers."""
SIZES = {kind: struct.calcsize(f"<{letters}") for kind, letters in _LETTERS.items()}
"""Field type -> bytes a value."""
_WHOLE = (1, SHORT, LONG, 13, 16, 18)
"""Field types of unsigned whole numbers."""
Order = Literal["<", ">"]
"""Byte order: little or big endian."""


class Field(NamedTuple):
    """A tag's value: field type, number of values, and their bytes in the byte order of the block; in a line of a directory, their offset where they are long."""

    kind: int
    length: int
    data: bytes


class Directory:
    """The tags at one offset of a stream; values are fetched when asked for."""

    def __init__(self, stream: BinaryIO, order: Order, offset: int, big: bool = False) -> None:
        """Read the directory at ``offset``; ``order`` is ``<`` or ``>``. Raises ValueError where the stream ends too soon or the entries are too many."""
        self.stream, self.order, self.offset, self.big = stream, order, offset, big
        self.room = 8 if big else 4
        head = 8 if big else 2
        self.slots = _whole(order, _exactly(stream, offset, head))
        if self.slots > DIRECTORY_ENTRIES:
            raise ValueError(f"a directory of {self.slots} entries")
        line = struct.Struct(f"{order}HH{'Q8s' if big else 'I4s'}")
        table = _exactly(stream, offset + head, self.slots * line.size)
        self.entries: dict[int, Field] = {}
        for tag, kind, length, raw in line.iter_unpack(table):
            self.entries.setdefault(tag, Field(kind, length, raw))  # of a tag that comes twice the first counts, as for libtiff
        stream.seek(offset + head + len(table))
        self.next = _whole(order, stream.read(self.room))

    def field(self, tag: int) -> Field | None:
        """Return the value of a tag as bytes, or None where it is missing. Raises ValueError where it is outside the stream."""
        return self._first(tag, None)

    def size(self, tag: int) -> int:
        """Return the bytes of a tag's value as its entry says them, without reading it; 0 where it is missing or of an unknown type."""
        entry = self.entries.get(tag)
        return 0 if entry is None else SIZES.get(entry.kind, 0) * entry.length

    def data(self, tag: int) -> bytes:
        """Return the bytes of a tag, empty where it is missing."""
        found = self.field(tag)
        return b"" if found is None else found.data

    def numbers(self, tag: int, default: tuple[float, ...] = (), most: int = 64) -> tuple[float, ...]:
        """Return the first values of a numeric tag, rationals as quotients (0 over a zero denominator), or ``default`` where it is missing."""
        found = self._first(tag, most)
        if found is None or found.kind == ASCII:
            return default
        values = struct.iter_unpack(self.order + _LETTERS[found.kind], found.data)
        return tuple(value[0] if len(value) == 1 else value[0] / value[1] if value[1] else 0.0 for value in values)

    def table(self, tag: int, most: int) -> NDArray[np.uint64]:
        """Return the first ``most`` values of a tag of whole numbers, such as the offsets of strips; empty where it is missing."""
        found = self._first(tag, most)
        if found is None or found.kind not in _WHOLE:
            return np.empty(0, np.uint64)
        return np.frombuffer(found.data, f"{self.order}u{SIZES[found.kind]}").astype(np.uint64)

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a numeric tag as a whole number."""
        values = self.numbers(tag, most=1)
        return int(values[0]) if values else default

    def directory(self, tag: int) -> "Directory | None":
        """Return the directory a tag points to, or None where it is missing or unreadable."""
        try:
            return Directory(self.stream, self.order, self.number(tag), self.big) if tag in self.entries else None
        except (ValueError, struct.error):
            return None

    def chain(self) -> list[int]:
        """Return the offsets of this directory and of those that come next, PAGES at most; it ends where one is unreadable, comes again or lies in others."""
        head, line = (8, 20) if self.big else (2, 12)
        offsets, seen, following = [self.offset], {self.offset}, self.next
        left = self.stream.seek(0, 2) - self.slots * line
        while following and following not in seen and len(offsets) < PAGES:
            try:
                slots = _whole(self.order, _exactly(self.stream, following, head))
                after = _whole(self.order, _exactly(self.stream, following + head + slots * line, self.room))
            except ValueError:
                break
            left -= slots * line
            if left < 0:
                break
            offsets.append(following)
            seen.add(following)
            following = after
        return offsets

    def at(self, offset: int) -> "Directory":
        """Return the directory at another offset of the same stream."""
        return Directory(self.stream, self.order, offset, self.big)

    def _first(self, tag: int, most: int | None) -> Field | None:
        """Return the value of a tag, of that many numbers at most."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in SIZES:
            return None
        count = entry.length if most is None else min(entry.length, most)
        size = SIZES[entry.kind] * count
        if SIZES[entry.kind] * entry.length <= self.room:
            return Field(entry.kind, count, entry.data[:size])
        return Field(entry.kind, count, _exactly(self.stream, _whole(self.order, entry.data), size))


def first_directory(stream: BinaryIO) -> Directory:
    """Return the first directory of a TIFF file or EXIF block. Raises ValueError where there is none."""
    stream.seek(0)
    head = stream.read(16)
    orders: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
    order = orders.get(head[:2])
    if order is None or len(head) < 8:
        raise ValueError("no TIFF header")
    version = _whole(order, head[2:4])
    big = version == 43
    if version not in (42, 43) or (big and len(head) < 16):
        raise ValueError(f"unknown TIFF version {version}")
    return Directory(stream, order, _whole(order, head[8:16] if big else head[4:8]), big)


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
    """Set tags of a directory of ``block``, or remove them (None), in place where there is room, else in a new directory at the end; return its offset.

    ``following`` is the offset of the directory that comes next, where it is to change.
    """
    order = directory.order
    lines = dict(directory.entries)
    for tag, value in changes.items():
        lines.pop(tag, None)
        if value is not None:
            long = len(value.data) > 4
            lines[tag] = value._replace(data=struct.pack(order + "I", append(block, value.data))) if long else value
    table = struct.pack(order + "H", len(lines)) + b"".join(struct.pack(order + "HHI4s", tag, *lines[tag]) for tag in sorted(lines))
    table += struct.pack(order + "I", directory.next if following is None else following)
    if len(lines) <= directory.slots and directory.offset + len(table) <= len(block):
        block[directory.offset : directory.offset + len(table)] = table
        return directory.offset
    return append(block, table)


def rewritten(block: bytearray, main: Directory, changes: Mapping[int, Field | None]) -> bytes:
    """Return a block whose main directory is changed, without the directory that came next; see :func:`changed`."""
    offset = changed(block, main, changes, following=0)
    block[4:8] = struct.pack(main.order + "I", offset)
    return bytes(block)


def append(block: bytearray, data: bytes) -> int:
    """Put data at the end of a block, at an even offset, which is returned; ValueError beyond the 4 GiB that TIFF holds."""
    block.extend(b"\0" * (len(block) % 2))
    offset = len(block)
    if offset + len(data) >= 2**32:
        raise ValueError("more than 4 GiB, which TIFF cannot hold")
    block.extend(data)
    return offset


def _exactly(stream: BinaryIO, offset: int, size: int) -> bytes:
    left = max(0, stream.seek(0, 2) - offset)
    if size > left:  # before a damaged count makes Python allocate that much memory
        raise ValueError(f"expected {size} bytes, got {left}")
    if not size:
        return b""
    stream.seek(offset)
    return stream.read(size)


def _whole(order: Order, data: bytes) -> int:
    return int.from_bytes(data, "little" if order == "<" else "big")
