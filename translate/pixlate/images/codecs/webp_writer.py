"""Animated WebP files are written here, frame by frame (RFC 9649, 2.7): libwebp packs each frame as a picture of its own, the container is made around them."""

import struct
from collections.abc import Iterator

from pixlate.images import colour
from pixlate.images.codecs import encode
from pixlate.images.codecs.animation import Animation, Box, Clock
from pixlate.images.picture import Metadata, Picture, Pixels, split
from pixlate.plugin.image_format import Frame

_ICC, _ALPHA, _EXIF, _XMP, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02
_OVERWRITE = 0x02
"""Flag of a frame that replaces what is on the canvas, its transparency too."""
_LONGEST = (1 << 24) - 1
"""Most milliseconds of a frame."""
_MOST_PLAYS = (1 << 16) - 1


class AnimatedWebp(Animation):
    """See :class:`pixlate.plugin.image_format.FrameWriter`."""

    even = True

    def begin(self, frame: Frame, samples: Pixels) -> None:
        """Write what says how the animation is shown."""
        height, width, channels = samples.shape
        metadata, notes = colour.fitting(frame.picture.metadata, 3)
        self.notes |= dict.fromkeys(notes)
        self._metadata, self._lossless, self._clock = encode.with_resolution(metadata), frame.picture.lossless or self.target.lossless, Clock(1)
        held = self._metadata
        flags = _ANIMATION | (_ALPHA if channels == 4 else 0) | (_ICC if held.icc else 0) | (_EXIF if held.exif else 0) | (_XMP if held.xmp else 0)
        self.stream.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", struct.pack("<I", flags) + _three(width - 1) + _three(height - 1)))
        if held.icc:
            self.stream.write(_chunk(b"ICCP", held.icc))
        self.stream.write(_chunk(b"ANIM", struct.pack("<IH", 0, min(frame.plays, _MOST_PLAYS))))

    def write(self, frame: Frame, samples: Pixels, box: Box) -> None:
        """Write a frame."""
        pixels, alpha = split(samples[box.rows, box.columns])
        still, _ = encode.webp(Picture(pixels, alpha, Metadata(), lossless=self._lossless), self.target.quality)
        head = b"".join(map(_three, (box.left // 2, box.top // 2, box.right - box.left - 1, box.bottom - box.top - 1)))
        duration = min(_LONGEST, self._clock.units(frame.duration))
        parts = b"".join(part for name, part in _chunks(still) if name in (b"ALPH", b"VP8 ", b"VP8L"))
        self.stream.write(_chunk(b"ANMF", head + _three(duration) + bytes((_OVERWRITE,)) + parts))

    def end(self) -> None:
        """Write the metadata that come last, and the length of the file."""
        for name, block in ((b"EXIF", self._metadata.exif), (b"XMP ", self._metadata.xmp)):
            if block:
                self.stream.write(_chunk(name, block))
        self.patch(4, struct.pack("<I", self.stream.tell() - 8))


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and all bytes of each chunk of a file."""
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack("<4sI", data[position : position + 8])
        end = position + 8 + length + length % 2
        yield name, data[position:end]
        position = end


def _three(number: int) -> bytes:
    """Return a number in three bytes."""
    return number.to_bytes(3, "little")
