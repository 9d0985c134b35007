"""Animated PNG files, of 8 or 16 bits, are written here, frame by frame (PNG 3, 4.9 and 11.3.2)."""

import struct
from fractions import Fraction

from pixlate.images.codecs.animation import Animation, Box
from pixlate.images.codecs.encode import deflated, text_xmp
from pixlate.images.codecs.png import MARK, chunk_of
from pixlate.images.codecs.png_writer import file_header, filtered, metadata_chunks, rows_of
from pixlate.images.picture import Pixels
from pixlate.plugin.image_format import Frame

_KEEP, _REPLACE = 0, 0
"""What happens to a frame when the next one comes, and how it is laid onto the canvas."""
_LONGEST = 65_535
"""Most in the numerator and the denominator of a duration in seconds."""


class AnimatedPng(Animation):
    """See :class:`pixlate.plugin.image_format.FrameWriter`."""

    def begin(self, frame: Frame, samples: Pixels) -> None:
        """Write header and metadata, and leave room for the number of frames."""
        height, width, channels = samples.shape
        metadata, notes = text_xmp(frame.picture.metadata, "PNG")
        self.notes |= dict.fromkeys(notes)
        self.stream.write(MARK + file_header(width, height, channels, samples.dtype))
        for block in metadata_chunks(metadata, grey=False):
            self.stream.write(block)
        self._control = self.stream.tell()
        self._plays = frame.plays
        self.stream.write(chunk_of(b"acTL", bytes(8)))
        self._sequence = 0

    def write(self, frame: Frame, samples: Pixels, box: Box) -> None:
        """Write the control chunk of a frame, and its pixels."""
        numerator, denominator = _seconds(frame.duration)
        size = box.right - box.left, box.bottom - box.top, box.left, box.top
        self._chunk(b"fcTL", struct.pack(">4I2H2B", *size, numerator, denominator, _KEEP, _REPLACE))
        packed = deflated(filtered(rows_of(samples[box.rows, box.columns])))
        if self.count:
            self._chunk(b"fdAT", packed)
        else:
            self.stream.write(chunk_of(b"IDAT", packed))

    def end(self) -> None:
        """Write the end mark and the number of frames."""
        self.stream.write(chunk_of(b"IEND", b""))
        self.patch(self._control, chunk_of(b"acTL", struct.pack(">II", self.count, self._plays)))

    def _chunk(self, name: bytes, body: bytes) -> None:
        """Write a chunk that is numbered."""
        self.stream.write(chunk_of(name, struct.pack(">I", self._sequence) + body))
        self._sequence += 1


def _seconds(milliseconds: float) -> tuple[int, int]:
    """Return numerator and denominator of a duration in seconds."""
    exact = Fraction(milliseconds / 1000).limit_denominator(30_000)
    if exact.numerator > _LONGEST:
        exact = Fraction(min(_LONGEST, round(exact)))
    return exact.numerator, exact.denominator
