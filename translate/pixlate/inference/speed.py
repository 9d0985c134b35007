"""How fast a model is on its device, measured while it runs, to tell before a picture runs how long it will take."""

import math
import time
from collections.abc import Callable

import numpy as np

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.inference.conditions import Conditions, stacked
from pixlate.inference.executor import Executor
from pixlate.inference.sizes import allowed_side

HALF_LIFE_S = 30.0
"""Seconds of work after which a measurement counts half, so that the speed follows a machine that becomes busy or free."""
LONG_S = 0.2
"""Seconds of a run that is long enough to be measured, whatever its pixels."""
SAMPLES = (64, 64, 256)
"""Sides of the samples by which the speed of a model is measured; the first warms it up."""
QUICK_S = 0.5
"""Seconds of a sample after which no larger one is run."""


class Speed:
    """Pixels a second that go through a model. One thread records, any thread reads."""

    def __init__(self) -> None:
        self.least = 1
        """Fewest pixels of a run of less than :data:`LONG_S` that is recorded: in smaller ones most of the time may not be spent on pixels."""
        self._sums = 0.0, 0.0

    def record(self, pixels: float, seconds: float) -> None:
        """Take a run of the model into account."""
        if pixels <= 0 or seconds <= 0 or (pixels < self.least and seconds < LONG_S):
            return
        kept = 0.5 ** (seconds / HALF_LIFE_S)
        before_pixels, before_seconds = self._sums
        self._sums = before_pixels * kept + pixels, before_seconds * kept + seconds

    def reset(self, pixels: int, seconds: float) -> None:
        """Begin with one measurement; from now on smaller and shorter runs are left out."""
        self.least, self._sums = pixels, (float(pixels), seconds)

    @property
    def pixels_a_second(self) -> float:
        """Return the measured speed; infinite before the first measurement."""
        pixels, seconds = self._sums
        return pixels / seconds if seconds else math.inf

    def seconds(self, pixels: float) -> float:
        """Return how long the model takes for pixels that go through it."""
        return pixels / self.pixels_a_second


class Turn:
    """The seconds that one batch has the device, without those it lends to others between its tiles.

    Args:
        now: Seconds of a monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._started, self._lent, self._recorded = now, 0.0, 0.0

    def own(self, now: float) -> float:
        """Return the seconds it has had."""
        return now - self._started - self._lent

    def since_last(self, now: float) -> float:
        """Return the seconds it has had since the last call."""
        before, self._recorded = self._recorded, self.own(now)
        return self._recorded - before

    def may_lend(self, now: float, share: float) -> float:
        """Return the seconds that others may have next, so that they have had at most ``share`` of its own."""
        return share * self.own(now) - self._lent

    def lend(self, seconds: float) -> None:
        """Count seconds that others have had."""
        self._lent += seconds


def measured_speed(executor: Executor, clock: Callable[[], float] = time.perf_counter) -> float | None:
    """Return the pixels a second that go through a model, by small grey samples; None where it takes none of them."""
    speed = None
    for turn, side in enumerate(SAMPLES):
        height = width = allowed_side(side, executor.spec)
        sample = np.full((1, height, width, executor.spec.channels_in), 127, np.uint8)
        conditions = stacked([Conditions.neutral(executor.spec).arrays("", sample[0, :, :, :1])])
        started = clock()
        try:
            executor(sample, conditions=conditions)
        except (PixlateError, OutOfDeviceMemory, MemoryError):
            return speed
        seconds = max(clock() - started, 1e-9)
        speed = math.prod(sample.shape[1:3]) / seconds
        if turn and seconds > QUICK_S:
            break
    return speed
