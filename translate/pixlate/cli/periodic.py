"""When a line is due where there is no terminal, such as in the log of a batch job."""

import time
from collections.abc import Callable
from datetime import timedelta

EVERY = 30.0
"""Seconds between two lines."""


class Periodic:
    """Says that a line is due every half minute, counted from the last one.

    Args:
        clock: Returns seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = self._last = clock()

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return self._clock() - self._started

    def due(self, at_once: bool = False) -> bool:
        """Return whether a line is due, and count from now on if so."""
        now = self._clock()
        if not at_once and now - self._last < EVERY:
            return False
        self._last = now
        return True


def duration(seconds: float) -> str:
    """Return a time as people read it: ``0:04:10``."""
    return str(timedelta(seconds=round(seconds)))
