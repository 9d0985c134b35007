"""WebP files: size, frames and metadata are read here, because the decoder allocates its canvases before it can be asked."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import BinaryIO

from PIL import WebPImagePlugin

from pixlate.errors import OverLimit
from pixlate.images import limits
from pixlate.images.codecs import decode
from pixlate.images.codecs.decode import Parsed
from pixlate.plugin.image_format import Frame, Header, Opened

_METADATA = {b"ICCP": "icc_profile", b"EXIF": "exif", b"XMP ": "xmp"}
_ANIMATION_FRAME = 16
"""Bytes of a frame in front of its own chunks."""
_FRAMES = {b"VP8 ", b"VP8L", b"ANMF"}


@dataclass
class _Chunks:
    """What the chunks of a file say."""

    size: tuple[int, int] = (0, 0)
    """Width and height of the canvas."""
    frames: int = 0
    plays: int = 0
    """How often the animation plays; 0 for ever."""
    info: dict[str, bytes] = field(default_factory=dict)
    """Metadata under Pillow's names."""
    notes: dict[str, None] = field(default_factory=dict)


class _Decoder(WebPImagePlugin.WebPImageFile):
    """Pillow's reader without its limit of pixels, one for the whole process; the size was checked before."""

    def _open(self) -> None:
        assert self.fp is not None
        self._decoder = WebPImagePlugin._webp.WebPAnimDecoder(self.fp.read())  # type: ignore[attr-defined]
        self._size, _, _, self.n_frames, self.rawmode = self._decoder.get_info()
        self.is_animated = self.n_frames > 1
        self._mode = "RGB" if self.rawmode == "RGBX" else self.rawmode
        self._reset(reset=False)


def probe(stream: BinaryIO) -> Header:
    """Read the headers of all chunks, and the metadata."""
    chunks = _walked(stream)
    if not chunks.frames:
        raise ValueError("it holds no picture")
    return replace(decode.header(decode.Unread(chunks.size, chunks.info), tuple(chunks.notes)), frames=chunks.frames)


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the frames one after another."""
    parsed: Parsed = opened.header.parsed
    data = opened.data()
    image = _Decoder(BytesIO(data))
    lossless, plays = _is_lossless(data), _walked(BytesIO(data)).plays
    for index in range(image.n_frames):
        frame = decode.frame(replace(parsed, image=image), index, image.n_frames)
        yield replace(frame, picture=replace(frame.picture, lossless=lossless), plays=plays)


def _is_lossless(data: bytes) -> bool:
    """Return whether the first frame keeps every pixel (RFC 9649, 2.6): a lossy one may have lossless opacity in front of it, in a chunk of its own."""
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack("<4sI", data[position : position + 8])
        if name in (b"VP8 ", b"VP8L"):
            return bool(name == b"VP8L")
        position += 8 + (_ANIMATION_FRAME if name == b"ANMF" else length + length % 2)
    return False


def _walked(stream: BinaryIO) -> _Chunks:
    """Go through the chunks (RFC 9649, 2.3 to 2.7)."""
    found, others, size = _Chunks(), 0, 0
    position = 12
    end = stream.seek(0, 2)
    while position + 8 <= end:
        stream.seek(position)
        name, length = struct.unpack("<4sI", stream.read(8))
        if position == 12:
            found.size = _canvas(name, stream.read(10))
            stream.seek(position + 8)
        position += 8 + length + length % 2
        others += name not in _FRAMES
        found.frames += name in _FRAMES
        if found.frames > limits.FRAMES or others > limits.SEGMENTS:
            raise OverLimit(f"expected at most {limits.FRAMES:,} frames and {limits.SEGMENTS:,} other chunks in a WebP file, got more; save it again")
        if name == b"ANIM" and len(body := stream.read(min(length, 6))) == 6:
            found.plays = int.from_bytes(body[4:], "little")
        if (key := _METADATA.get(name)) is not None and key not in found.info:
            size += length
            if size > limits.METADATA_BYTES:
                found.notes[f"metadata beyond {limits.METADATA_BYTES >> 20} MB were left out"] = None
            else:
                found.info[key] = stream.read(length)
    return found


def _canvas(name: bytes, head: bytes) -> tuple[int, int]:
    """Return width and height from the first ten bytes of the first chunk."""
    if len(head) < 10:
        raise ValueError("it ends before its pixels")
    if name == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if name == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == b"VP8 ":
        return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
    raise ValueError(f"unknown first chunk {name!r}")
