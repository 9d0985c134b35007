"""One model of the server: how its pictures run, how fast, which weights it has, and whether it works."""

import hashlib
import logging
import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.batcher import Abandoned
from pixlate.inference.conditions import Conditions, stacked
from pixlate.inference.executor import Executor
from pixlate.inference.files import digest_model
from pixlate.inference.models import find
from pixlate.inference.ready import identified, identified_if_any
from pixlate.inference.sizes import allowed_side
from pixlate.inference.speed import Speed
from pixlate.inference.strength import system_used
from pixlate.options import output_strength
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate_serve.footprint import most_pixels
from pixlate_serve.options import ServeOptions
from pixlate_serve.refusals import Refusal, internal, too_large_for_memory

SAMPLE = 32
"""Side of the picture a model is warmed up with, where it takes one so small."""
LARGEST_SAMPLE = 1024
"""Side of the largest picture that the speed is measured with."""
MEASURED_S = 0.2
"""Seconds that a sample takes which is large enough to measure the speed with."""
SHARE = 0.6
"""Share of the deadline that the largest accepted picture takes in its model; the pictures it lends time to take half as long again, the rest is for
decoding and encoding."""
DIGITS = 2
"""Digits of the largest picture's pixels, so that the limit stays the same while the measured speed changes little."""
TILE_S = 2.0
"""Seconds that a tile should take at most, since nothing else runs meanwhile; only where smaller tiles give the same picture."""
LEAST_TILE = 12
"""Side of a tile over the context it needs on each side, at least: with smaller ones most of the work is done twice."""
log = logging.getLogger("pixlate_serve")


@dataclass(frozen=True)
class Weights:
    """Which weights a model has."""

    sha256: str = ""
    """Of its file, in hexadecimal digits; of the words ``SHA256 SHA256`` where it has two; of the words ``SHA256 SHA256 STRENGTH`` where two files are blended; empty where it is not known."""
    version: str = ""
    """Version of Pixlate that exported it; empty where the file does not say."""
    model: str = ""
    """Name of the ready model, or path of the file; empty where it is not known."""

    @classmethod
    def of(cls, model: str | Path, spec: ModelSpec, other: Path | None = None, strength: float | None = None) -> "Weights":
        """Return those of a ready model or a model file, or between those of two files."""
        digests = [digest_model(each) for each in (find(model), other) if each is not None]
        blended = hashlib.sha256(f"{' '.join(digests)} {strength!r}".encode()).hexdigest()
        return cls(digests[0] if other is None else blended, spec.provenance.version, str(model))


class ServedModel:
    """A loaded model under its name: how its pictures run, and whether it still works.

    Raises:
        PixlateError: The model takes several masks or a reference, or the tile is too small for it.
    """

    def __init__(self, name: str, translator: Translator, options: ServeOptions, weights: Weights) -> None:
        self.name, self.weights = name, weights
        self.device: str = translator.device
        self.spec: ModelSpec = translator.spec
        self.speed = Speed()
        self.warm = threading.Event()
        self.works = True
        self.mask = next((each.name for each in self.spec.conditions if each.kind == "mask"), "")
        if reference := next((each.name for each in self.spec.conditions if each.kind == "reference"), ""):
            raise PixlateError(
                f"expected a model without a reference picture, since a request holds one picture, got {name}, which takes {reference}; export a style for it"
            )
        self.strength = output_strength(options.strength, options.blend_with)
        self.interpolated = options.blend_with is not None
        self.executor = Executor(translator, options.tile, options.batch, options.bucket)
        self._options = options
        self._named, self._other = identified(weights.model) if weights.model else name, identified_if_any(options.blend_with)
        self._neutral = Conditions.neutral(self.spec)

    @property
    def identity(self) -> str:
        """Return name and weights as the header of an answer has them."""
        parts = {"version": self.weights.version, "sha256": self.weights.sha256}
        return "; ".join([self.name, *(f"{name}={value}" for name, value in parts.items() if value)]).encode("ascii", "replace").decode()

    def system(self, strength: float) -> str:
        """Return what a picture says made it, which has so much of the model in it."""
        return system_used(self._named, self._options.strength if self.interpolated else strength, self._other)

    @property
    def max_pixels(self) -> int:
        """Return the largest picture the model is given now: no larger than allowed, than the memory holds, and than it does within the deadline."""
        return min(most_pixels(self.spec, self._options.max_pixels, self._options.most_bytes), self._pixels_in(SHARE * self._options.deadline))

    def seconds(self, height: int, width: int) -> float:
        """Return how long the model will take for a picture of a size, from its measured speed."""
        return self.speed.seconds(self.executor.work(height, width))

    def warm_up(self) -> None:
        """Run small pictures, so that the first client does not wait for what is done once, and the speed is known; or see that the model does not work."""
        reason = self._sample(SAMPLE)
        self.works = not reason
        if reason:
            log.error("%s: the model does not translate its first picture, so it is not ready: %s", self.name, reason)
        else:
            self._measure()
        self.warm.set()

    def settle(self, outcome: "Future[Pixels]", ended: "Future[None]", height: int, width: int, found: Pixels | Exception) -> None:
        """Deliver the result of a picture of that size, or its refusal; disconnected clients get neither."""
        refusal = self._refusal(height, width, found) if isinstance(found, Exception) else None
        self.works = self.works or refusal is None
        if outcome.set_running_or_notify_cancel():
            if refusal is not None:
                outcome.set_exception(refusal)
            elif not isinstance(found, Exception):
                outcome.set_result(found)
        ended.set_result(None)

    def _refusal(self, height: int, width: int, error: Exception) -> Refusal:
        """Return why a picture could not be translated; the full reason, which may speak of this machine, goes into the log."""
        if isinstance(error, Abandoned):
            return Refusal(499, "gone", "the client has gone away")
        if not isinstance(error, PixlateError | OutOfDeviceMemory | MemoryError):
            log.error("%s: unexpected error", self.name, exc_info=error)
            return internal()
        log.warning("%s: a picture of %d x %d pixels failed: %s", self.name, width, height, error)
        if isinstance(error, OutOfDeviceMemory | MemoryError) or isinstance(error.__cause__, OutOfDeviceMemory | MemoryError):
            return too_large_for_memory()
        self.works = not self._sample(SAMPLE)
        if not self.works:
            sentence = "the model has stopped working on this server; tell whoever runs it, and try again later"
            return Refusal(503, "model_broken", sentence, {"Retry-After": "30"})
        return Refusal(422, "model_failed", f"the model could not translate this picture of {width} x {height} pixels; use another size or model")

    def _sample(self, side: int) -> str:
        """Run a grey picture and return why it failed, if it did."""
        side = allowed_side(side, self.spec)
        sample = np.full((1, side, side, self.spec.channels_in), 127, np.uint8)
        try:
            self.executor(sample, conditions=stacked([self._neutral.arrays("", sample[0, :, :, :1])]))
        except (PixlateError, OutOfDeviceMemory, MemoryError) as error:
            return str(error) or type(error).__name__
        return ""

    def _measure(self) -> None:
        """Measure the speed with larger and larger samples, as far as that costs little and matters for what is accepted."""
        side, seconds = SAMPLE, 0.0
        while side <= LARGEST_SAMPLE and seconds < MEASURED_S and self._pixels_in(SHARE * self._options.deadline) < self._options.max_pixels + (not seconds):
            times = []
            for _ in range(2):  # the first run of a size may cost more than those after it
                started = time.monotonic()
                if self._sample(side):
                    return
                times.append(time.monotonic() - started)
            seconds = min(times)
            self.speed.reset(self.executor.work(*[allowed_side(side, self.spec)] * 2), seconds)
            side *= 2
        if self._options.tile == "auto" and self.spec.tiling_exact:
            self.executor.limit_tile(max(int(math.sqrt(min(self.speed.pixels_a_second, 1e9) * TILE_S)), LEAST_TILE * self.spec.halo))

    def _pixels_in(self, seconds: float) -> int:
        """Return the pixels of the largest square picture that the model does in so many seconds."""
        through = self.speed.pixels_a_second * seconds
        if math.isinf(through):
            return self._options.max_pixels
        side = max(1, math.isqrt(int(through)))
        pixels = int(through * side**2 / self.executor.work(side, side))
        unit = 10 ** max(0, len(str(pixels)) - DIGITS)
        return int(pixels // unit * unit)
