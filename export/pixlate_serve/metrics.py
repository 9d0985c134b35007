"""What Prometheus reads. Labels are names of served models and the server's own statuses, so that no client can make more of them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pixlate.inference.batcher import Batch
from pixlate_serve.admission import Admission

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server.

    Args:
        admission: Knows how much is in progress.
    """

    def __init__(self, admission: Admission) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "pixlate_requests", "Answers below /v1, by model (empty: none of those served) and status (499: the client went away)", ["model", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._latency = Histogram(
            "pixlate_request_seconds", "From a request's first line to the end of its answer, of translated pictures", ["model"], buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._waited = Histogram("pixlate_wait_seconds", "Time a picture waited for its model", ["model"], buckets=_SECONDS, registry=self.registry)
        self._ran = Histogram("pixlate_run_seconds", "Time of a batch in the model", ["model"], buckets=_SECONDS, registry=self.registry)
        self._batches = Histogram("pixlate_batch_size", "Pictures of a batch", ["model"], buckets=_BATCHES, registry=self.registry)
        self._pixels = Counter("pixlate_pixels", "Source pixels of translated pictures", ["model"], registry=self.registry)
        Gauge("pixlate_queue_depth", "Pictures worked on or waiting", registry=self.registry).set_function(lambda: admission.taken_places)
        Gauge("pixlate_queue_bytes", "Bytes held for uploads, pixels and answers", registry=self.registry).set_function(lambda: admission.taken_bytes)

    def answered(self, model: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(model, str(status)).inc()
        if status == 200 and model:
            self._latency.labels(model).observe(seconds)

    def ran(self, batch: Batch) -> None:
        """Count a batch; called in the batchers' threads."""
        name = batch.model
        self._batches.labels(name).observe(batch.count)
        self._ran.labels(name).observe(batch.seconds)
        for seconds in batch.waited_s:
            self._waited.labels(name).observe(seconds)

    def translated(self, model: str, pixels: int) -> None:
        """Count a translated picture."""
        self._pixels.labels(model).inc(pixels)

    def page(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
