"""Boxes of ISO base media files (ISO/IEC 14496-12): where the coded data of the pictures of an AVIF file are."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from pixlate.images import limits

_FULL = 4
"""Bytes of version and flags at the beginning of a box."""
_IN_ITEM_DATA = 1
"""Construction method of an item that is within the ``idat`` box."""
_PARENTS = (b"trak", b"mdia", b"minf", b"stbl")
_READ = {*_PARENTS, b"iinf", b"iloc", b"idat", b"stsz", b"stsc", b"stco", b"co64"}


@dataclass
class _Reader:
    """Whole numbers of a part of a file, one after another; ValueError at its end."""

    data: memoryview
    position: int = 0

    def number(self, size: int) -> int:
        """Return the next number of that many bytes."""
        self.position += size
        if self.position > len(self.data):
            raise ValueError("a box ends too soon")
        return int.from_bytes(self.data[self.position - size : self.position], "big")


@dataclass
class _Budget:
    """Bytes that may still be named: a file names each of its own at most a few times."""

    left: int

    def part(self, data: memoryview, offset: int, length: int) -> memoryview:
        """Return bytes of the file; raises ValueError where too many were named."""
        found = data[offset : offset + length]
        self.left -= len(found) + 1
        if self.left < 0:
            raise ValueError("its items name the same bytes many times")
        return found


@dataclass
class Coded:
    """The coded data of a file."""

    items: list[bytes] = field(default_factory=list)
    """Of each picture that is an item: a still picture, its opacity, a tile of a grid, a thumbnail."""
    tracks: list[list[memoryview]] = field(default_factory=list)
    """Of each track of a sequence, its samples."""


def coded(file: bytes) -> Coded:
    """Return the AV1 data that a file names. Raises ValueError where boxes are cut, or name too much."""
    data, found = memoryview(file), Coded()
    budget = _Budget(4 * len(data) + (1 << 16))
    for name, body in boxes(data):
        if name == b"meta":
            found.items += _items(data, body[_FULL:], budget)
        elif name == b"moov":
            for kind, track in boxes(body):
                if kind == b"trak":
                    found.tracks.append(_samples(data, track, budget))
                    found.items += (item for name, meta in boxes(track) if name == b"meta" for item in _items(data, meta[_FULL:], budget))
    return found


def without_exif(file: bytes) -> bytes:
    """Return a file whose EXIF items are of a kind that readers pass over; everything stays where it was."""
    data = bytearray(file)
    view = memoryview(data)
    tops = [body for name, body in boxes(view) if name == b"meta"]
    tops += [
        meta
        for name, body in boxes(view)
        if name == b"moov"
        for kind, track in boxes(body)
        if kind == b"trak"
        for part, meta in boxes(track)
        if part == b"meta"
    ]
    for meta in tops:
        for name, iinf in boxes(meta[_FULL:]):
            for kind, _ in _numbered(iinf) if name == b"iinf" else ():
                if bytes(kind) == b"Exif":
                    kind[:] = b"skip"
    return bytes(data)


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of the boxes that follow each other; what is left behind the last is passed over."""
    position = 0
    for _ in range(limits.SEGMENTS):
        if position + 8 > len(data):
            return
        size, name = struct.unpack(">I4s", data[position : position + 8])
        begin = position + 8
        if size == 1 and begin + 8 <= len(data):
            size, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
        end = len(data) if size == 0 else position + size
        if end < begin:
            return
        yield name, data[begin:end]
        position = end
    raise ValueError(f"more than {limits.SEGMENTS:,} boxes")


def _once(data: memoryview) -> dict[bytes, memoryview]:
    """Return name -> content of boxes. Raises ValueError where one that is read comes twice: readers differ in which they take."""
    found: dict[bytes, memoryview] = {}
    for name, body in boxes(data):
        if name in found and name in _READ:
            raise ValueError(f"two boxes {name.decode('latin-1')}")
        found[name] = body
    return found


def _items(data: memoryview, meta: memoryview, budget: _Budget) -> Iterator[bytes]:
    """Yield the data of the items that are AV1 (``iloc`` and ``infe``, 8.11)."""
    boxes = _once(meta)
    pictures = {number for kind, number in _numbered(boxes.get(b"iinf", memoryview(b""))) if bytes(kind) == b"av01"}
    reader = _Reader(boxes.get(b"iloc", memoryview(b"")))
    if not reader.data:
        return
    version = reader.number(_FULL) >> 24
    sizes = reader.number(2)
    wide = 4 if version == 2 else 2
    for _ in range(reader.number(wide)):
        number = reader.number(wide)
        within = boxes.get(b"idat", memoryview(b"")) if version and reader.number(2) & 15 == _IN_ITEM_DATA else data
        reader.number(2)
        base = reader.number(sizes >> 4 & 15)
        extents = []
        for _ in range(reader.number(2)):
            reader.number(sizes & 15 if version else 0)
            offset = reader.number(sizes >> 12)
            length = reader.number(sizes >> 8 & 15) or len(within)
            extents.append(budget.part(within, base + offset, length))
        if number in pictures:
            yield b"".join(extents)


def _numbered(iinf: memoryview) -> Iterator[tuple[memoryview, int]]:
    """Yield kind and number of each item."""
    wide = 2 if iinf and iinf[0] == 0 else 4
    for name, body in boxes(iinf[_FULL + wide :]):
        if name == b"infe" and len(body) > _FULL:
            wide = 4 if body[0] == 3 else 2
            yield body[_FULL + wide + 2 : _FULL + wide + 6], int.from_bytes(body[_FULL : _FULL + wide], "big")


def _samples(data: memoryview, track: memoryview, budget: _Budget) -> list[memoryview]:
    """Return the samples of a track (``stsz``, ``stsc``, ``stco`` and ``co64``, 8.7)."""
    boxes = {b"trak": track}
    for parent in _PARENTS:
        boxes |= _once(boxes.get(parent, memoryview(b"")))
    sizes, runs = _Reader(boxes.get(b"stsz", memoryview(b"")), _FULL), _Reader(boxes.get(b"stsc", memoryview(b"")), _FULL)
    chunks, wide = (boxes[b"co64"], 8) if b"co64" in boxes else (boxes.get(b"stco", memoryview(b"")), 4)
    offsets = _Reader(chunks, _FULL)
    if not (sizes.data and runs.data and offsets.data):
        return []
    size, left = sizes.number(4), sizes.number(4)
    firsts = [(runs.number(4), runs.number(4), runs.number(4)) for _ in range(runs.number(4))]
    samples: list[memoryview] = []
    run = 0
    for chunk in range(1, offsets.number(4) + 1):
        offset = offsets.number(wide)
        while run + 1 < len(firsts) and firsts[run + 1][0] <= chunk:
            run += 1
        for _ in range(min(left, firsts[run][1] if firsts else 0)):
            length = size or sizes.number(4)
            samples.append(budget.part(data, offset, length))
            offset, left = offset + length, left - 1
    return samples
