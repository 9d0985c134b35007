"""Admission control: pictures and bytes, so that neither the wait nor the memory grows with the number of clients.

All but :meth:`Admission.finished` runs in the event loop's thread; there is nothing to lock.
"""

import math
from collections.abc import Callable

from pixlate_serve.refusals import RETRY_S, Refusal, too_large_for_memory

MOST_RETRY_S = 60
_SHARE = 0.1
"""Weight of the newest picture in the mean of the seconds one takes."""


class Admission:
    """Counts pictures and bytes in progress.

    Args:
        places: Most pictures in progress or queued.
        memory: Most bytes of uploads, pixels and answers.
    """

    def __init__(self, places: int, memory: int) -> None:
        self.places, self.memory = places, memory
        self.taken_places = self.taken_bytes = 0
        self._mean_s = 0.0

    def require_place(self) -> None:
        """Check that a picture would be accepted.

        Raises:
            Refusal: 429, the queue is full.
        """
        if self.taken_places >= self.places:
            raise self._full(f"the server is busy with {self.taken_places} pictures, which is all it takes on at once")

    def require_bytes(self, count: int) -> None:
        """Check that enough bytes are free.

        Raises:
            Refusal: 429, the memory set aside is taken by other requests.
        """
        if self.taken_bytes + count > self.memory:
            raise self._full("the memory this server sets aside for pictures is taken by others")

    def finished(self, seconds: float) -> None:
        """Record how long the model took for a picture, to estimate when a slot is free."""
        self._mean_s += (seconds - self._mean_s) * (_SHARE if self._mean_s else 1)

    def _full(self, reason: str) -> Refusal:
        seconds = max(RETRY_S, min(MOST_RETRY_S, math.ceil(self._mean_s * self.taken_places)))
        return Refusal(429, "busy", f"{reason}; try again in {seconds} s", {"Retry-After": str(seconds)})


class Claim:
    """What one request holds; released when its answer has been sent.

    Args:
        admission: Where it is counted.
        released: Called when everything is released.
    """

    def __init__(self, admission: Admission, released: Callable[[], None] = lambda: None) -> None:
        self._admission, self._released = admission, released
        self._bytes = 0
        self._has_place = False

    def take_place(self) -> None:
        """Take a slot of the queue.

        Raises:
            Refusal: 429, the queue is full.
        """
        self._admission.require_place()
        self._admission.taken_places += 1
        self._has_place = True

    def leave_place(self) -> None:
        """Release the slot: the answer only has to be sent."""
        self._admission.taken_places -= self._has_place
        self._has_place = False

    def hold(self, count: int) -> None:
        """Reserve that many bytes.

        Raises:
            Refusal: 429, they are not free; 413, they never will be.
        """
        if count > self._admission.memory:
            raise too_large_for_memory()
        if count > self._bytes:
            self._admission.require_bytes(count - self._bytes)
        self._admission.taken_bytes += count - self._bytes
        self._bytes = count

    def release(self) -> None:
        """Release everything."""
        self.leave_place()
        self.hold(0)
        self._released()
