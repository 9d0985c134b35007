"""Which runtime and arithmetic are fastest for a model on this machine, and near enough to float32: tried on parts of the pictures it is to translate.

What is asked is whether the faster way makes the same of a file, so that the reference is the file as the first runtime runs it: a file of 8 bits is compared with its int8.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.conditions import Conditions, stacked
from pixlate.inference.executor import Executor

LEAST_PSNR = 45.0
"""Decibels that a faster way must keep to the reference on each picture."""
MOST_LEVELS = 8
"""Most levels of 255 by which any sample may differ from the reference."""
LEAST_GAIN = 1.15
"""How many times as fast another way must be: less is lost in what two runs differ."""
SIDE = 192
"""Side of the parts that are tried, in pixels."""
MOST_S = 1.0
"""Seconds of the reference after which no further picture is tried."""
COLD_S = 0.3
"""Seconds of a first run below which it is run again: much of it may have been spent on what is done once."""


@dataclass(frozen=True)
class Trial:
    """What another way makes of pictures, beside the reference."""

    psnr: float
    """Decibels on the picture that differs most."""
    levels: int
    """Largest difference of any sample, in levels of 255."""
    gain: float
    """How many times as fast it is."""
    pictures: int
    reference: str = "float32"
    """What the reference is computed in."""

    @property
    def near(self) -> bool:
        """Whether it is as near to the reference as it must be."""
        return self.psnr >= LEAST_PSNR and self.levels <= MOST_LEVELS

    @property
    def refusal(self) -> str:
        """Why the other way is not taken; nothing where it is."""
        if not self.near:
            return f"differs by up to {_levels(self.levels)} ({self.psnr:.1f} dB); at most {MOST_LEVELS} levels and at least {LEAST_PSNR:.0f} dB are allowed"
        return "" if self.gain >= LEAST_GAIN else f"is only {self.gain:.2f} times as fast"

    @property
    def measured(self) -> str:
        """What was measured, in words."""
        parts = "part of a picture" if self.pictures == 1 else f"parts of {self.pictures} pictures"
        differs = f"{self.psnr:.1f} dB and at most {_levels(self.levels)} from" if self.levels else "equal to"
        return f"{self.gain:.1f} times as fast, {differs} {self.reference} on {parts}"


@dataclass(frozen=True)
class Reference:
    """What the reference makes of parts of pictures."""

    parts: Sequence[Pixels]
    outputs: Sequence[Pixels]
    speed: float
    """Pixels a second."""
    arithmetic: str
    """What it is computed in, such as ``float32``."""


def part_of(pixels: Pixels, executor: Executor) -> Pixels:
    """Return the middle of a picture (height, width, channels), of the size that is tried; the whole of it for a model that must see that."""
    if executor.spec.whole:
        return pixels
    (height, width), (rows, columns) = pixels.shape[:2], executor.fixed_size or (SIDE, SIDE)
    top, left = max(0, height - rows) // 2, max(0, width - columns) // 2
    return np.ascontiguousarray(pixels[top : top + rows, left : left + columns])


def referenced(executor: Executor, parts: Iterable[Pixels], worth: Callable[[float], bool] = lambda speed: True) -> Reference:
    """Run the reference on parts of pictures of 8 bits, until it has taken :data:`MOST_S`, or so many pixels a second make a trial no longer ``worth`` it."""
    taken: list[Pixels] = []
    outputs: list[Pixels] = []
    speed = spent = 0.0
    for part in parts:
        output, seconds = _run(executor, part)
        if not taken and seconds < COLD_S:
            output, seconds = _run(executor, part)
        taken.append(part)
        outputs.append(output)
        speed, spent = max(speed, math.prod(part.shape[:2]) / seconds), spent + seconds
        if spent > MOST_S or not worth(speed):
            break
    return Reference(taken, outputs, speed, executor.arithmetic(np.dtype(np.uint8)))


def tried(executor: Executor, reference: Reference) -> Trial:
    """Run another way on the same parts; the first of them warms it up.

    Raises:
        PixlateError, OutOfDeviceMemory: It does not run them.
    """
    _run(executor, reference.parts[0])
    speed, levels, psnr = 0.0, 0, math.inf
    for part, expected in zip(reference.parts, reference.outputs, strict=True):
        output, seconds = _run(executor, part)
        speed = max(speed, math.prod(part.shape[:2]) / seconds)
        difference = np.abs(output.astype(np.int16) - expected)
        levels = max(levels, int(difference.max()))
        error = float(np.square(difference, dtype=np.float64).mean())
        psnr = min(psnr, 20 * math.log10(255) - 10 * math.log10(error) if error else math.inf)
    return Trial(psnr, levels, speed / reference.speed, len(reference.parts), reference.arithmetic)


def _run(executor: Executor, part: Pixels) -> tuple[Pixels, float]:
    conditions = stacked([Conditions.neutral(executor.spec).arrays("", part[:, :, :1])])
    started = time.perf_counter()
    output = executor(part[None], conditions=conditions)
    return output[0], max(time.perf_counter() - started, 1e-9)


def _levels(count: int) -> str:
    return f"{count} level{'' if count == 1 else 's'}"


FAILURES = (PixlateError, OutOfDeviceMemory, MemoryError)
"""What a way that does not run the pictures raises."""
