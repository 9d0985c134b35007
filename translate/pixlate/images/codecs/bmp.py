"""BMP files: through Pillow, but for run-length coding, which it decodes a pixel at a time and without blank lines, and for the description of colours."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

from PIL import BmpImagePlugin, ImageFile

from pixlate.images import limits
from pixlate.images.codecs import decode
from pixlate.images.codecs.decode import Parsed
from pixlate.plugin.image_format import Frame, Header, Opened

_LINE, _END, _DELTA = 0, 1, 2
_FILE_HEADER, _VERSION_4, _VERSION_5 = 14, 108, 124
"""Bytes of the headers."""
_EMBEDDED, _LINKED, _CALIBRATED = b"DEBM", b"KNIL", bytes(4)
"""Kinds of colour space, whose letters are stored from last to first."""


def probe(stream: BinaryIO) -> Header:
    """Read the header, and the ICC profile where there is one."""
    header = decode.probe(BmpImagePlugin.BmpImageFile, stream)
    icc, notes = _colours(stream)
    parsed: decode.Parsed = header.parsed
    metadata, more = decode.bounded(replace(parsed.metadata, icc=icc))
    return replace(header, parsed=replace(parsed, metadata=metadata, notes=(*parsed.notes, *notes, *more)))


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the picture."""
    parsed: Parsed = opened.header.parsed
    assert isinstance(parsed.image, ImageFile.ImageFile)
    codec, area, offset, arguments = parsed.image.tile[0]
    if codec == "bmp_rle" and isinstance(arguments, tuple) and area is not None:
        data = opened.data()
        image = BmpImagePlugin.BmpImageFile(BytesIO(data))
        image.fp = BytesIO(_unpacked(data[offset:], *image.size, two=arguments[1]))
        image.tile = [ImageFile._Tile("raw", area, 0, ("L" if image.mode == "L" else "P", 0, arguments[2]))]
        parsed = replace(parsed, image=image)
    yield decode.frame(parsed, 0, 1)


def _colours(stream: BinaryIO) -> tuple[bytes, tuple[str, ...]]:
    """Return the ICC profile that is embedded, and notes on colours described otherwise (BITMAPV5HEADER)."""
    stream.seek(0)
    head = stream.read(_FILE_HEADER + _VERSION_5)
    size = int.from_bytes(head[14:18], "little")
    kind = head[70:74]
    if size < _VERSION_4 or len(head) < _FILE_HEADER + size:
        return b"", ()
    if kind == _CALIBRATED and any(head[74:122]):
        return b"", ("the colours that the BMP header describes by numbers were taken for sRGB's",)
    if size < _VERSION_5 or kind not in (_EMBEDDED, _LINKED):
        return b"", ()
    if kind == _LINKED:
        return b"", ("the ICC profile, a file of its own that the BMP header names, was not read",)
    offset, length = struct.unpack("<II", head[126:134])
    end = stream.seek(0, 2)
    if _FILE_HEADER + offset + length > end:
        return b"", ("the ICC profile lies behind the end of the file and was left out",)
    stream.seek(_FILE_HEADER + offset)
    return stream.read(length), ()


def _unpacked(data: bytes, width: int, height: int, two: bool) -> bytearray:
    """Return the colour numbers of run-length coding, a byte each, in the order of the file; ``two``: four bits each in the file.

    What the file leaves out is colour 0 (Microsoft, "Bitmap Compression"). Raises ValueError where the data end before the picture does, or have
    more runs than it has pixels.
    """
    pixels = bytearray(width * height)
    position, x, y = 0, 0, 0
    for _ in range(width * height + 2 * height + limits.SEGMENTS):
        if y >= height:
            return pixels
        count, value = data[position : position + 2] if position + 2 <= len(data) else (-1, 0)
        position += 2
        if count > 0:
            run = (bytes((value >> 4, value & 15)) * (count + 1 >> 1))[:count] if two else bytes((value,)) * count
        elif count == 0 and value > _DELTA:
            size = value + 1 >> 1 if two else value
            run = data[position : position + size]
            run = bytes(half for byte in run for half in (byte >> 4, byte & 15))[:value] if two else run
            position += size + size % 2
        else:
            if count < 0:
                raise ValueError("its runs end too soon")
            if value == _END:
                return pixels
            if value == _LINE:
                x, y = 0, y + 1
            else:
                x, y = x + data[position], y + data[position + 1]
                position += 2
            continue
        begin, fitting = y * width + x, max(0, width - x)
        pixels[begin : begin + min(len(run), fitting)] = run[:fitting]
        x += len(run)
        if x >= width and y == height - 1:
            return pixels
    raise ValueError("more runs than pixels")
