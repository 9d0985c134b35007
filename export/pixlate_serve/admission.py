"""What the server takes on, refuses and counts: bounded pictures and bytes, so that neither the wait nor the memory grows with the number of clients.

All but :meth:`Admission.finished` and :meth:`Metrics.ran` runs in the event loop's thread; there is nothing to lock.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from pixlate.inference.batcher import Batch

RETRY_S = (1, 60)
"""Least and most seconds after which a client is asked to try again."""
_SHARE = 0.1
"""Weight of the newest picture in the mean of the seconds one takes."""
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - most are the client's to correct
    """An error response: a status, a code for programs and one sentence."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ClientGone(Exception):  # noqa: N818 - nobody is left to answer
    """The client closed its connection before its answer was ready."""


def stopping() -> Refusal:
    """Return the answer to a request that comes, or is not finished, when the server ends."""
    return Refusal(503, "stopping", "the server is stopping; send the picture again to another one, or to this one when it is back", {"Retry-After": "5"})


def internal() -> Refusal:
    """Return the answer where the server itself is at fault."""
    return Refusal(500, "internal", "unexpected error in the server, whose log has the reason; tell whoever runs it")


def too_large_for_memory() -> Refusal:
    """Return the answer to a picture that does not fit."""
    return Refusal(413, "too_large_for_memory", "the picture needs more memory than this server has; send a smaller one")


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
    """What one request holds; released when its answer has been sent, which ``released`` is told."""

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


class Metrics:
    """What Prometheus reads. Labels are names of served models and the server's own statuses, so that no client can make more of them."""

    def __init__(self, admission: Admission) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        seconds = partial(Histogram, labelnames=["model"], buckets=_SECONDS, registry=self.registry)
        self._requests = counter(
            "pixlate_requests", "Answers below /v1, by model (empty: none of those served) and status (499: the client went away)", ["model", "status"]
        )
        self._latency = seconds("pixlate_request_seconds", "From a request's first line to the end of its answer, of translated pictures")
        self._waited = seconds("pixlate_wait_seconds", "Time a picture waited for its model")
        self._ran = seconds("pixlate_run_seconds", "Time of a batch in the model")
        self._batches = Histogram("pixlate_batch_size", "Pictures of a batch", ["model"], buckets=_BATCHES, registry=self.registry)
        self._pixels = counter("pixlate_pixels", "Source pixels of translated pictures", ["model"])
        gauge("pixlate_queue_depth", "Pictures worked on or waiting").set_function(lambda: admission.taken_places)
        gauge("pixlate_queue_bytes", "Bytes held for uploads, pixels and answers").set_function(lambda: admission.taken_bytes)

    def answered(self, model: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(model, str(status)).inc()
        if status == 200 and model:
            self._latency.labels(model).observe(seconds)

    def ran(self, batch: Batch) -> None:
        """Count a batch; called in the batchers' threads."""
        self._batches.labels(batch.model).observe(batch.count)
        self._ran.labels(batch.model).observe(batch.seconds)
        for seconds in batch.waited_s:
            self._waited.labels(batch.model).observe(seconds)

    def translated(self, model: str, pixels: int) -> None:
        """Count a translated picture."""
        self._pixels.labels(model).inc(pixels)

    def page(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
