"""Counters, histograms and gauges of one server, for Prometheus."""

from collections.abc import Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from pixlate.inference.batcher import Batch
from pixlate_serve.admission import Admission
from pixlate_serve.served_model import Weights

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """What Prometheus reads. Labels are names of served models and the server's own statuses, so that no client can make more of them."""

    def __init__(self, admission: Admission, weights: Mapping[str, Weights]) -> None:
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
        info = gauge(
            "pixlate_model_info", "Weights of a model: the hash of its file and the version of Pixlate that exported it", ["model", "weights", "version"]
        )
        for name, each in weights.items():
            if each.sha256:
                info.labels(name, each.sha256, each.version).set(1)
        gauge("pixlate_queue_bytes", "Bytes held for uploads, pixels and answers").set_function(lambda: admission.taken_bytes)

    def answered(self, model: str, status: int, seconds: float, request_id: str) -> None:
        """Count an answer; OpenMetrics shows the request as an exemplar."""
        exemplar = {"request_id": request_id}
        self._requests.labels(model, str(status)).inc(exemplar=exemplar)
        if status == 200 and model:
            self._latency.labels(model).observe(seconds, exemplar)

    def ran(self, batch: Batch) -> None:
        """Count a batch; called in the batchers' threads."""
        self._batches.labels(batch.model).observe(batch.count)
        self._ran.labels(batch.model).observe(batch.seconds)
        for seconds in batch.waited_s:
            self._waited.labels(batch.model).observe(seconds)

    def translated(self, model: str, pixels: int) -> None:
        """Count a translated picture."""
        self._pixels.labels(model).inc(pixels)

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Return everything in Prometheus' text format, or in OpenMetrics for an Accept header that prefers it, and the media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type
