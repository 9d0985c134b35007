"""A model under its name: how its pictures run, and whether it still works."""

import logging
import threading
from concurrent.futures import Future
from typing import Literal

import numpy as np

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.batcher import Abandoned
from pixlate.inference.conditions import Conditions, stacked
from pixlate.inference.executor import Executor
from pixlate.inference.sizes import allowed_side
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate_serve.refusals import Refusal, broken, internal, too_large_for_memory

SAMPLE = 32
"""Side of the picture a model is warmed up with, where it takes one so small."""
log = logging.getLogger("pixlate_serve")


class ServedModel:
    """One loaded model.

    Args:
        name: In the URL.
        translator: The model.
        tile: As for :class:`pixlate.inference.executor.Executor`.
        batch: Likewise.
        bucket: Likewise.
        max_pixels: Largest picture it is given.

    Raises:
        PixlateError: The model takes several masks, or the tile is too small for it.
    """

    def __init__(
        self,
        name: str,
        translator: Translator,
        tile: Literal["auto", "off"] | int,
        batch: Literal["auto"] | int,
        bucket: Literal["auto", "off"] | int,
        max_pixels: int,
    ) -> None:
        self.name, self.max_pixels = name, max_pixels
        self.device: str = translator.device
        self.spec: ModelSpec = translator.spec
        self.warm = threading.Event()
        self.works = True
        self._neutral = Conditions.neutral(self.spec)
        self.mask = next((each.name for each in self.spec.conditions if each.kind == "mask"), "")
        self.executor = Executor(translator, tile, batch, bucket)
        self._has_sample = False

    def warm_up(self) -> None:
        """Run a small picture, so that the first client does not wait for what is done once."""
        self._has_sample = self._runs_sample()
        self.warm.set()

    def settle(self, outcome: "Future[Pixels]", height: int, width: int, found: Pixels | Exception) -> None:
        """Deliver the result of a picture of that size, or its refusal; disconnected clients get neither."""
        refusal = self._refusal(height, width, found) if isinstance(found, Exception) else None
        self.works = self.works or refusal is None
        if not outcome.set_running_or_notify_cancel():
            return
        if refusal is not None:
            outcome.set_exception(refusal)
        elif not isinstance(found, Exception):
            outcome.set_result(found)

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
        self.works = self._runs_sample() or not self._has_sample
        if not self.works:
            return broken()
        return Refusal(422, "model_failed", f"the model could not translate this picture of {width} x {height} pixels; use another size or model")

    def _runs_sample(self) -> bool:
        side = allowed_side(SAMPLE, self.spec)
        sample = np.full((1, side, side, self.spec.channels_in), 127, np.uint8)
        try:
            self.executor(sample, conditions=stacked([self._neutral.arrays("", sample[0, :, :, :1])]))
        except (PixlateError, OutOfDeviceMemory, MemoryError):
            return False  # a model of one fixed size, or one that does not work
        return True
