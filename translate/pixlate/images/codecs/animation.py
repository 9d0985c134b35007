"""What the writers of animations have in common: one canvas, what changes from frame to frame, and times that add up."""

import os
from abc import abstractmethod
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from pixlate.images.picture import Picture, Pixels, full_scale, to_8_bits, to_16_bits
from pixlate.plugin.image_format import Frame, FrameTarget
from pixlate.system.locking import sync

OTHER_SIZE = "frames of another size than the first were cut, or filled with transparency, to its size"


class Box(NamedTuple):
    """A part of the canvas, in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.left, self.right)


class Clock:
    """Durations in whole units of a format, rounded so that together they are as long as all of the frames."""

    def __init__(self, unit: float) -> None:
        self._unit = unit
        """Milliseconds."""
        self._exact, self._given = 0.0, 0

    def units(self, duration: float) -> int:
        """Return the units of the next frame, which lasts so many milliseconds."""
        self._exact += duration
        units = max(0, round(self._exact / self._unit) - self._given)
        self._given += units
        return units


class Animation:
    """Writes frames one after another; a base of :class:`pixlate.plugin.image_format.FrameWriter`.

    All frames have the size and the type of samples of the first, RGB or RGBA, and of each only the part is stored in which something changes.
    """

    done = 0
    even = False
    """Whether parts begin at even positions alone."""

    def __init__(self, target: FrameTarget) -> None:
        self.target = target
        self.stream = target.path.open("w+b")
        self.count = 0
        self.notes: dict[str, None] = {}
        self._shown: Pixels | None = None

    def add(self, frame: Frame) -> None:
        """Write the next frame."""
        samples = self._fitted(frame.picture)
        height, width = samples.shape[:2]
        box = Box(0, 0, width, height) if self._shown is None else changed(self._shown, samples, self.even)
        if self._shown is None:
            self.begin(frame, samples)
        self.write(frame, samples, box)
        self._shown = samples
        self.count += 1

    @abstractmethod
    def begin(self, frame: Frame, samples: Pixels) -> None:
        """Write what is in front of the first frame, whose samples are (height, width, 3 or 4)."""

    @abstractmethod
    def write(self, frame: Frame, samples: Pixels, box: Box) -> None:
        """Write a frame, of which only what is in the box differs from the frame before."""

    @abstractmethod
    def end(self) -> None:
        """Write what is behind the last frame, and what is known only now."""

    def finish(self) -> tuple[str, ...]:
        """Complete the file."""
        self.end()
        self.stream.flush()
        sync(self.stream.fileno())
        self.stream.close()
        return tuple(self.notes)

    def abandon(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self.stream.close()

    def patch(self, position: int, data: bytes) -> None:
        """Write bytes over others, and go back to the end."""
        self.stream.seek(position)
        self.stream.write(data)
        self.stream.seek(0, os.SEEK_END)

    def _fitted(self, picture: Picture) -> Pixels:
        """Return RGB or RGBA samples of the size and the type of the first frame."""
        pixels, alpha = picture.pixels, picture.alpha
        colours = pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
        if self.target.alpha:
            opaque = np.full(pixels.shape[:2], full_scale(pixels), pixels.dtype)
            colours = np.dstack([colours, opaque if alpha is None else alpha])
        shown = self._shown
        if shown is None:
            return np.ascontiguousarray(colours)
        if colours.dtype != shown.dtype:
            colours = to_8_bits(colours) if shown.dtype == np.uint8 else to_16_bits(colours)
        if colours.shape != shown.shape:
            self.notes[OTHER_SIZE] = None
            canvas = np.zeros_like(shown)
            height, width = (min(ours, theirs) for ours, theirs in zip(colours.shape[:2], shown.shape[:2], strict=True))
            canvas[:height, :width] = colours[:height, :width]
            return canvas
        return np.ascontiguousarray(colours)


def changed(before: Pixels, after: Pixels, even: bool = False) -> Box:
    """Return the smallest part outside which two frames (height, width, channels) are equal, of one pixel at least; ``even``: it begins at even positions."""
    differs = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return Box(0, 0, 1, 1)
    left, top = (int(each[0]) - (int(each[0]) % 2 if even else 0) for each in (columns, rows))
    return Box(left, top, int(columns[-1]) + 1, int(rows[-1]) + 1)
