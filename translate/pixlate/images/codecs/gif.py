"""GIF files: the blocks are walked here, so that frames are counted without being decoded and every canvas is known before it is allocated."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import accumulate
from typing import BinaryIO

from PIL import GifImagePlugin

from pixlate.errors import OverLimit
from pixlate.images import limits
from pixlate.images.codecs import decode
from pixlate.images.codecs.decode import Parsed
from pixlate.images.metadata import xmp
from pixlate.images.picture import check_size
from pixlate.plugin.image_format import Frame, Header, Opened

_EXTENSION, _IMAGE, _CONTROL, _COMMENT, _TRAILER = 0x21, 0x2C, 0xF9, 0xFE, b";"
_ICC = b"\xff\x0bICCRGBG1012"
"""Beginning of the application extension with an ICC profile, after the mark of extensions."""
LOOPS = b"!\xff\x0bNETSCAPE2.0"
"""Beginning of the application extension with how often the animation is repeated."""
_WINDOW = 1 << 16
_LONGEST = (1 << 16) - 1
"""Pixels of a side that the header can state."""
_CONTROLS, _DISPOSAL = bytes((_EXTENSION, _CONTROL)), 0x1C
"""Beginning of a graphic control, and the bits of its flags that say what happens to the frame when the next one comes."""
_BLOCK = re.compile(rb"[!,;]")
"""First byte of a block: extension, image or end."""


@dataclass
class _Blocks:
    """What the blocks of a file say."""

    parts: list[memoryview]
    """Header, and of each frame the graphic control and the image: what a decoder is given. Comments in pieces of a byte would take it long."""
    comments: list[bytes]
    icc: bytes
    corners: list[tuple[int, int]]
    """Of each frame, right and bottom in pixels: a frame may reach beyond the canvas, which then grows (as all decoders do)."""
    plays: int = 1
    """How often the animation plays; 0 for ever."""

    def canvases(self, data: bytes) -> list[tuple[int, int]]:
        """Return (width, height) of the canvas at each frame."""
        sizes = accumulate(self.corners, lambda size, corner: (max(size[0], corner[0]), max(size[1], corner[1])), initial=struct.unpack("<HH", data[6:10]))
        return list(sizes)[1:]


def probe(stream: BinaryIO) -> Header:
    """Read what is in front of the first frame's pixels."""
    data = b""
    while True:
        more = stream.read(max(_WINDOW, 3 * len(data)))
        data += more
        blocks = _walked(data, 1)
        if blocks.corners:
            break
        if not more:
            raise ValueError("it holds no picture")
    return replace(decode.header(decode.Unread(blocks.canvases(data)[0], {})), frames=0)


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the frames one after another."""
    parsed: Parsed = opened.header.parsed
    data = opened.data()
    blocks = _walked(data, limits.FRAMES + 1)
    count = len(blocks.corners)
    if count > limits.FRAMES:
        raise OverLimit(f"expected at most {limits.FRAMES:,} frames in a GIF file, got more; split the animation")
    packet = xmp.upright(xmp.in_gif(data))
    metadata, notes = decode.bounded(replace(parsed.metadata, xmp=packet, icc=blocks.icc, comments=tuple(map(decode.text_of, blocks.comments))))
    image = GifImagePlugin.GifImageFile(BytesIO(_without_growth(blocks, data)))
    parsed = replace(parsed, image=image, metadata=metadata, notes=parsed.notes + notes)
    for index, size in enumerate(blocks.canvases(data)):
        check_size(*size, opened.max_pixels)
        yield replace(decode.frame(parsed, index, count), plays=blocks.plays)


def _walked(data: bytes, most: int) -> _Blocks:
    """Go through the blocks up to that many frames (GIF89a, 15 and appendix A); in time linear in the file."""
    view, extensions = memoryview(data), 0
    position = 13 + _palette(data, 10)
    blocks = _Blocks([view[:position]], [], b"", [])
    end = len(data)
    while position < end - 2 and len(blocks.corners) < most:
        begin = position
        if data[position] == _EXTENSION:
            extensions += 1
            if extensions > limits.SEGMENTS + len(blocks.corners):  # a frame has one of its own
                raise OverLimit(f"expected at most {limits.SEGMENTS:,} extensions in a GIF file, got more; save it again with another program")
            position = _skipped(data, position + 2)
            if data[begin + 1] == _CONTROL:
                blocks.parts.append(view[begin:position])
            elif data[begin + 1] == _COMMENT:
                blocks.comments.append(_joined(view[begin + 2 : position]))
            elif data[begin + 1 : begin + 14] == _ICC:
                blocks.icc = blocks.icc or _joined(view[begin + 14 : position])
            elif data[begin : begin + 14] == LOOPS and data[begin + 14 : begin + 16] == b"\3\1" and begin + 18 <= end:
                repeats = int.from_bytes(data[begin + 16 : begin + 18], "little")
                blocks.plays = repeats + 1 if repeats else 0
        elif data[position] == _IMAGE and position + 11 <= end:
            left, top, width, height = struct.unpack("<4H", data[position + 1 : position + 9])
            position = _skipped(data, position + 10 + _palette(data, position + 9) + 1)
            blocks.corners.append((left + width, top + height))
            blocks.parts.append(view[begin:position])
        elif data[position] == _TRAILER[0]:
            break
        else:
            following = _BLOCK.search(data, position + 1)  # decoders pass over what they do not know
            position = following.start() if following else end
    return blocks


def blocks_of(data: bytes, position: int) -> Iterator[bytes]:
    """Yield the extensions and images from a position on, of a file that is whole."""
    while data[position] != _TRAILER[0]:
        begin = position
        position = _skipped(data, position + 2) if data[position] == _EXTENSION else _skipped(data, position + 11 + _palette(data, position + 9))
        yield data[begin:position]


def _without_growth(blocks: _Blocks, data: bytes) -> bytes:
    """Return a file whose canvas has its full size from the first frame on, and of one frame, which nothing follows, without its disposal.

    Pillow decodes it likewise, and does not look at its limit of pixels, one for the whole process, where nothing grows or is disposed of.
    """
    header, *rest = blocks.parts
    canvas = struct.pack("<HH", *(min(side, _LONGEST) for side in blocks.canvases(data)[0]))
    if len(blocks.corners) == 1:
        rest = [memoryview(bytes((*part[:3], part[3] & ~_DISPOSAL, *part[4:]))) if part[:2] == _CONTROLS and len(part) > 3 else part for part in rest]
    return b"".join((header[:6], canvas, header[10:], *rest, _TRAILER))


def _palette(data: bytes, flags: int) -> int:
    """Return the bytes of the palette that the flags at an offset announce."""
    return 3 << (data[flags] & 7) + 1 if len(data) > flags and data[flags] & 0x80 else 0


def _joined(blocks: memoryview) -> bytes:
    """Return the content of a chain of blocks that each begin with their length, as far as the limit of blocks."""
    content, position = bytearray(), 0
    for _ in range(limits.SEGMENTS):
        if position >= len(blocks) or not (length := blocks[position]):
            break
        content += blocks[position + 1 : position + 1 + length]
        position += length + 1
    return bytes(content)


def _skipped(data: bytes, position: int) -> int:
    """Return where a chain of blocks that each begin with their length ends."""
    end = len(data)
    while position < end and (length := data[position]):
        position += length + 1
    return min(end, position + 1)
