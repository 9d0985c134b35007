"""Admission control: bounded pictures and bytes, so that neither the wait nor the memory grows with the number of clients.

All but :meth:`Admission.finished` runs in the event loop's thread; there is nothing to lock.
"""

import math
from collections.abc import Callable

from pixlate_serve.refusals import Refusal, too_large_for_memory

RETRY_S = (1, 60)
"""Least and most seconds after which a client is asked to try again."""
_SHARE = 0.1
"""Weight of the newest picture in the mean of the seconds one takes."""


class Admission:
    """Counts the pictures in progress or queued, and their bytes of uploads, pixels and answers, up to ``places`` and ``memory``."""

    def __init__(self, places: int, memory: int) -> None:
        self.places, self.memory = places, memory
        self.taken_places = self.taken_bytes = 0
        self._mean_s = 0.0

    def require_place(self) -> None:
        """Refuse a picture with 429 where the queue is full."""
        if self.taken_places >= self.places:
            raise self.busy(f"the server is busy with {self.taken_places} pictures, which is all it takes on at once")

    def finished(self, seconds: float) -> None:
        """Record how long the model took for a picture, to estimate when a slot is free."""
        self._mean_s += (seconds - self._mean_s) * (_SHARE if self._mean_s else 1)

    def busy(self, reason: str) -> Refusal:
        """Return the answer where others have taken what there is."""
        seconds = max(RETRY_S[0], min(RETRY_S[1], math.ceil(self._mean_s * self.taken_places)))
        return Refusal(429, "busy", f"{reason}; try again in {seconds} s", {"Retry-After": str(seconds)})


class Claim:
    """What one request holds; released when its answer has been sent, when ``released`` is called."""

    def __init__(self, admission: Admission, released: Callable[[], None] = lambda: None) -> None:
        self._admission, self._released = admission, released
        self._bytes = 0
        self._has_place = False

    def take_place(self) -> None:
        """Take a slot of the queue; 429 where it is full."""
        self._admission.require_place()
        self._admission.taken_places += 1
        self._has_place = True

    def leave_place(self) -> None:
        """Release the slot: the answer only has to be sent."""
        self._admission.taken_places -= self._has_place
        self._has_place = False

    def hold(self, count: int) -> None:
        """Hold that many bytes instead of those before; 429 where they are not free, 413 where they never will be."""
        if count > self._admission.memory:
            raise too_large_for_memory()
        taken = self._admission.taken_bytes + count - self._bytes
        if count > self._bytes and taken > self._admission.memory:
            raise self._admission.busy("the memory this server sets aside for pictures is taken by others")
        self._admission.taken_bytes, self._bytes = taken, count

    def release(self) -> None:
        """Release everything."""
        self.leave_place()
        self.hold(0)
        self._released()
