"""What a JPEG file is made of, so that pixels decoded or encoded elsewhere keep Pillow's checks, its tables and its metadata."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pixlate.images.picture import Pixels

Subsampling = Literal["4:4:4", "4:2:0"]
"""Of the colours in a file that is written."""

_END, _SCAN, _TABLES, _ADOBE, _COMMENT = 0xD9, 0xDA, 0xDB, 0xEE, 0xFE
_FRAMES = {0xC0: False, 0xC2: True}
"""Marks of the frames taken here, baseline and progressive, both of 8 bits with Huffman codes."""
_PASSED = {0xC4, 0xDD}
"""Marks of segments that need no look: Huffman tables and restart intervals."""
_SAMPLINGS = {
    ((1, 1),): "grey",
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
}


@dataclass(frozen=True)
class Frame:
    """What a JPEG file of 8 bits, grey or YCbCr, baseline or progressive, says before its first scan."""

    width: int
    """Pixels, as the file lies."""
    height: int
    sampling: str
    """``grey``, ``4:4:4``, ``4:2:2`` or ``4:2:0``."""
    progressive: bool
    tables: tuple[bytes, ...]
    """Quantisation table of each component, 64 bytes in zigzag order."""
    named: int
    """Bytes at the beginning that hold the file's mark and its metadata, up to the first segment that is needed for decoding."""
    needed: tuple[tuple[int, int], ...]
    """Where the segments lie that are needed for decoding, up to the first scan."""

    @property
    def kind(self) -> str:
        """Such as ``4:4:4`` or ``grey progressive``."""
        return f"{self.sampling} progressive" if self.progressive else self.sampling

    @property
    def channels(self) -> int:
        """1 of grey, 3 of colour."""
        return len(self.tables)


@dataclass(frozen=True)
class Plain:
    """A whole JPEG file without its metadata."""

    frame: Frame
    coded: bytes
    """A JPEG file of the same pixels, with nothing but what decoding needs, and ending with its end mark."""


Decoder = Callable[[Plain], Pixels | None]
"""Decodes a file to uint8 (height, width, 1 or 3) as it lies, or returns None where Pillow is to do it."""
Encoder = Callable[[Pixels, int, Subsampling], bytes | None]
"""Encodes uint8 (height, width, 1 or 3) with a quality and subsampling, or returns None where Pillow is to do it."""


def plain(data: bytes) -> Plain | None:
    """Return a file without its metadata, or None where it is not whole or not plain.

    It is whole where its segments and scans follow each other to an end mark: one that was cut, or whose end is zeros, has none, so that what
    finds a file broken remains Pillow. Plain is what :class:`Frame` says; a baseline file has one scan.
    """
    frame = frame_of(data)
    if frame is None:
        return None
    position = first = frame.needed[-1][1]
    parts = [data[:2], *(data[start:end] for start, end in frame.needed)]
    marks = _marks(data, first)
    scans = 0
    while True:
        mark, start, end = _segment(data, position)
        if mark == _END and scans:
            parts.append(data[position:end])
            return Plain(frame, b"".join(parts))
        if mark == _SCAN:
            scans += 1
            whole = not frame.progressive and scans == 1 and data[start] == frame.channels
            index = bisect_left(marks, end)
            if not (whole or frame.progressive) or index == len(marks):
                return None
            end = marks[index]
        elif mark not in _PASSED and mark != _TABLES:
            return None
        parts.append(data[position:end])
        position = end


def frame_of(data: bytes) -> Frame | None:
    """Return what stands before the first scan of a file, or None where it is not plain; see :func:`plain`."""
    if data[:2] != b"\xff\xd8":
        return None
    position, named = 2, 0
    tables: dict[int, bytes] = {}
    needed: list[tuple[int, int]] = []
    found: tuple[int, bytes] | None = None
    while True:
        mark, start, end = _segment(data, position)
        body = data[start:end]
        if mark == _SCAN:
            break
        if mark == _ADOBE and body[:5] == b"Adobe" and body[11:12] not in (b"\1", b""):
            return None
        if 0xE0 <= mark <= 0xEF or mark == _COMMENT:
            position = end
            continue
        if mark == _TABLES and not _add_tables(body, tables):
            return None
        if mark in _FRAMES:
            if found is not None:
                return None
            found = mark, body
        elif mark not in _PASSED and mark != _TABLES:
            return None
        named = named or position
        needed.append((position, end))
        position = end
    return _frame(*found, tables, named, tuple(needed)) if found is not None else None


def joined(head: bytes, coded: bytes, width: int, height: int) -> bytes | None:
    """Return pixels that were encoded elsewhere with the metadata of another file.

    Args:
        head: File of Pillow's, of any size, with the metadata, quality and subsampling that are wanted.
        coded: The encoded pixels.
        width: What the file must have.
        height: The same.

    Returns:
        The file, or None where the encoded pixels are of another size, subsampling or quality.
    """
    wanted, made = frame_of(head), plain(coded)
    if wanted is None or made is None:
        return None
    frame = made.frame
    if (frame.width, frame.height, frame.sampling, frame.tables) != (width, height, wanted.sampling, wanted.tables):
        return None
    return head[: wanted.named] + made.coded[2:]


def _segment(data: bytes, position: int) -> tuple[int, int, int]:
    """Return a segment's mark, where its content begins and where it ends; the mark 0 where there is none."""
    while data[position : position + 2] == b"\xff\xff":  # marks may be filled up with these
        position += 1
    if position + 2 > len(data) or data[position] != 0xFF:
        return 0, position, position
    mark, start = data[position + 1], position + 4
    if mark == _END:
        return mark, position + 2, position + 2
    end = position + 2 + int.from_bytes(data[position + 2 : start])
    return (mark, start, end) if start < end <= len(data) else (0, position, position)


def _marks(data: bytes, start: int) -> list[int]:
    """Return where, from there on, the bytes of a mark lie that no scan holds: neither an escaped 255 nor a restart."""
    samples = np.frombuffer(data, np.uint8)[start:]
    at = np.flatnonzero(samples[:-1] == 0xFF)
    after = samples[at + 1]
    kept: list[int] = (at[(after != 0) & (after != 0xFF) & (after & 0xF8 != 0xD0)] + start).tolist()
    return kept


def _add_tables(body: bytes, tables: dict[int, bytes]) -> bool:
    """Read the quantisation tables of a segment; tell whether all have 8 bits."""
    while body:
        if body[0] > 3 or len(body) < 65:
            return False
        tables[body[0]] = body[1:65]
        body = body[65:]
    return True


def _frame(mark: int, body: bytes, tables: dict[int, bytes], named: int, needed: tuple[tuple[int, int], ...]) -> Frame | None:
    count = body[5] if len(body) > 5 else 0
    if len(body) != 6 + 3 * count or count not in (1, 3) or body[0] != 8:
        return None
    height, width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
    components = [body[6 + 3 * index : 9 + 3 * index] for index in range(count)]
    sampling = _SAMPLINGS.get(tuple((each[1] >> 4, each[1] & 15) for each in components))
    if not width or not height or sampling is None or any(each[2] not in tables for each in components):
        return None
    if count == 3 and [each[0] for each in components] != [1, 2, 3]:  # by other names they may be red, green and blue
        return None
    return Frame(width, height, sampling, _FRAMES[mark], tuple(tables[each[2]] for each in components), named, needed)
