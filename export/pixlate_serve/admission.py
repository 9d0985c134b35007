"""Admission control: bounded pictures, bytes and seconds, so that neither the wait nor the memory grows with the number of clients."""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from pixlate.inference.batcher import LENT
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
        self.lock = threading.Lock()
        self._mean_s = 0.0

    def require_place(self) -> None:
        """Refuse a picture with 429 where the queue is full."""
        if self.taken_places >= self.places:
            raise self.busy(f"the server is busy with {self.taken_places} pictures, which is all it takes on at once")

    def finished(self, seconds: float) -> None:
        """Record how long the model took for a picture, to estimate when a slot is free."""
        self._mean_s += (seconds - self._mean_s) * (_SHARE if self._mean_s else 1)

    def busy(self, reason: str, seconds: float | None = None) -> Refusal:
        """Return the answer where others have taken what there is; it may be free in ``seconds``, by default as the pictures before took."""
        seconds = max(RETRY_S[0], min(RETRY_S[1], math.ceil(self._mean_s * self.taken_places if seconds is None else seconds)))
        return Refusal(429, "busy", f"{reason}; try again in {seconds} s", {"Retry-After": str(seconds)})


class Backlog:
    """Counts the seconds of work accepted for one device, up to ``most_s`` for any picture together with what runs before it."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._accepted: dict[object, float] = {}

    def wait(self, seconds: float) -> float:
        """Return how long a picture that takes so many seconds waits for others: larger ones lend it time between their tiles."""
        return sum(min(other, seconds / LENT) for other in self._accepted.values())

    @contextmanager
    def holding(self, seconds: float, admission: Admission) -> Iterator[None]:
        """Hold the seconds of a picture while it waits and runs; 429 where those before it take too long."""
        late = self.wait(seconds) + seconds - self._most_s
        if self._accepted and late > 0:
            raise admission.busy("pictures that came before take too long for this one to be done within the server's deadline", late)
        key = object()
        self._accepted[key] = seconds
        try:
            yield
        finally:
            del self._accepted[key]


class Claim:
    """What one request holds; released when its answer has been sent and the threads that work on it have ended.

    Args:
        admission: Of the server.
        answered: Called when the request is answered, even while threads still work on it.
    """

    def __init__(self, admission: Admission, answered: Callable[[], None] = lambda: None) -> None:
        self._admission, self._answered = admission, answered
        self._bytes = self._working = 0
        self._has_place = self._released = False

    def take_place(self) -> None:
        """Take a slot of the queue; 429 where it is full."""
        self._admission.require_place()
        with self._admission.lock:
            self._admission.taken_places += 1
            self._has_place = True

    def leave_place(self) -> None:
        """Release the slot: the answer only has to be sent."""
        with self._admission.lock:
            self._admission.taken_places -= self._has_place
            self._has_place = False

    def hold(self, count: int) -> None:
        """Hold that many bytes instead of those before; 429 where they are not free, 413 where they never will be."""
        if count > self._admission.memory:
            raise too_large_for_memory()
        with self._admission.lock:
            taken = self._admission.taken_bytes + count - self._bytes
            if count > self._bytes and taken > self._admission.memory:
                raise self._admission.busy("the memory this server sets aside for pictures is taken by others")
            self._admission.taken_bytes, self._bytes = taken, count

    def keep_for(self, work: "Future[None] | Future[object]") -> None:
        """Release nothing before a thread has ended its work, which nobody may wait for any more."""
        with self._admission.lock:
            self._working += 1
        work.add_done_callback(self._worked)

    def release(self) -> None:
        """Release everything, as soon as no thread works on it."""
        with self._admission.lock:
            self._released = True
        self._answered()
        self._free()

    def _worked(self, work: object) -> None:
        with self._admission.lock:
            self._working -= 1
        self._free()

    def _free(self) -> None:
        if self._released and not self._working:
            self.leave_place()
            self.hold(0)
