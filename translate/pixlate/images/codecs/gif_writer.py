"""Animated GIF files are written here, frame by frame: each frame's colours and pixels are those of a GIF file of its own, which Pillow packs (GIF89a, 15 to 26)."""

import struct
from dataclasses import dataclass, replace

from pixlate.images.codecs import encode
from pixlate.images.codecs.animation import Animation, Box, Clock
from pixlate.images.codecs.gif import LOOPS, blocks_of
from pixlate.images.picture import Metadata, Picture, Pixels, split
from pixlate.plugin.image_format import Frame

_KEEP, _CLEAR = 1, 2
"""What happens to a frame when the next one comes: it stays, or its part of the canvas becomes transparent."""
_TRANSPARENT, _INTERLACED, _PALETTE = 1, 0x40, 0x80
_SHORTEST = 2
"""Hundredths of a second below which players show a frame for a tenth."""
_LONGEST = 65_535
FASTER = "GIF shows at most 50 frames a second, so that the animation takes longer"


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A frame that is written once it is known whether the next one is transparent somewhere."""

    picture: Picture
    box: Box
    duration: float


class AnimatedGif(Animation):
    """See :class:`pixlate.plugin.image_format.FrameWriter`."""

    def begin(self, frame: Frame, samples: Pixels) -> None:
        """Remember what the file says once."""
        self._plays, self._clock, self._metadata = frame.plays, Clock(10), frame.picture.metadata
        self._waiting: _Waiting | None = None
        self._kept = False
        """Whether the frame before the one that waits stays on the canvas."""

    def write(self, frame: Frame, samples: Pixels, box: Box) -> None:
        """Write the frame before this one."""
        pixels, alpha = split(samples)
        clear = alpha is not None and bool((alpha < 128).any())
        if self._waiting is not None:
            self._put(self._waiting, _CLEAR if clear else _KEEP)
        self._waiting = _Waiting(Picture(pixels, alpha if clear else None), box, frame.duration)

    def end(self) -> None:
        """Write the last frame and the end mark."""
        assert self._waiting is not None
        self._put(self._waiting, _KEEP)
        self.stream.write(b";")

    def _put(self, waiting: _Waiting, disposal: int) -> None:
        """Write a frame: only what has changed, where that is laid onto the frame before, and nothing of it is to be cleared."""
        picture, first = waiting.picture, self._waiting_is_first
        box = waiting.box if self._kept and picture.alpha is None and disposal == _KEEP else Box(0, 0, picture.pixels.shape[1], picture.pixels.shape[0])
        part = replace(
            picture,
            pixels=picture.pixels[box.rows, box.columns],
            alpha=None if picture.alpha is None else picture.alpha[box.rows, box.columns],
            metadata=self._metadata if first else Metadata(),
        )
        data, notes = encode.gif_file(part, self.target.quality)
        self.notes |= dict.fromkeys(notes)
        palette_end = 13 + (3 << (data[10] & 7) + 1)
        blocks = list(blocks_of(data, palette_end))
        if first:
            self.stream.write(b"GIF89a" + struct.pack("<HH", box.right, box.bottom) + b"\x70\0\0")
            if self._plays != 1:
                self.stream.write(LOOPS + struct.pack("<BBHB", 3, 1, max(0, self._plays - 1), 0))
            self.stream.write(b"".join(block for block in blocks if block[:1] == b"!" and block[1] != 0xF9))
        control = next((block for block in blocks if block[:2] == b"!\xf9"), b"!\xf9\4\0\0\0\0\0")
        self.stream.write(struct.pack("<3sBHBB", b"!\xf9\4", disposal << 2 | control[3] & _TRANSPARENT, self._hundredths(waiting.duration), control[6], 0))
        image = next(block for block in blocks if block[:1] == b",")
        place = struct.pack("<4H", box.left, box.top, box.right - box.left, box.bottom - box.top)
        self.stream.write(b"," + place + bytes((_PALETTE | image[9] & _INTERLACED | data[10] & 7,)) + data[13:palette_end] + image[10:])
        self._kept = disposal == _KEEP

    @property
    def _waiting_is_first(self) -> bool:
        return self.stream.tell() == 0

    def _hundredths(self, duration: float) -> int:
        """Return the hundredths of a second that a frame is shown."""
        units = self._clock.units(duration)
        if duration > 0 and units < _SHORTEST:
            self.notes[FASTER] = None
            return _SHORTEST
        return min(_LONGEST, units)
