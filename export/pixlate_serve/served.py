"""A model under its name: how its pictures run, and whether it still works."""

import logging
import threading
from collections.abc import Callable
from typing import Literal

import numpy as np

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.executor import Executor
from pixlate.inference.sizes import allowed_side
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate_serve.refusals import Refusal, broken, too_large_for_memory

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
        self._executor = Executor(translator, tile, batch, bucket)
        self._has_sample = False

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which a picture is run; those of one such size run together."""
        return self._executor.shape(height, width)

    def batch_size(self, height: int, width: int) -> int:
        """Return how many pictures run together at a size."""
        return self._executor.batch_size(height, width)

    def warm_up(self) -> None:
        """Run a small picture, so that the first client does not wait for what is done once."""
        self._has_sample = self._runs_sample()
        self.warm.set()

    def run(self, images: list[Pixels], before_each: Callable[[], None]) -> list[Pixels | Refusal]:
        """Translate pictures of one :meth:`shape`, and tell of each by itself what became of it.

        Args:
            images: Each (height, width, channels_in).
            before_each: Called before each run of the model; what it raises ends the translation.
        """
        if len({self.shape(*image.shape[:2]) for image in images}) > 1:  # the tiles have become smaller since they came
            return [outcome for image in images for outcome in self.run([image], before_each)]
        try:
            outputs = self._executor.translate(images, before_each)
        except (PixlateError, OutOfDeviceMemory, MemoryError) as error:
            if len(images) > 1:  # one of them may be at fault
                return [outcome for image in images for outcome in self.run([image], before_each)]
            return [self._refusal(images[0], error)]
        self.works = True
        return list(outputs)

    def _refusal(self, image: Pixels, error: Exception) -> Refusal:
        """Return why a picture could not be translated; the full reason, which may speak of this machine, goes into the log."""
        height, width = image.shape[:2]
        log.warning("%s: a picture of %d x %d pixels failed: %s", self.name, width, height, error)
        if isinstance(error, OutOfDeviceMemory | MemoryError) or isinstance(error.__cause__, OutOfDeviceMemory | MemoryError):
            return too_large_for_memory()
        self.works = self._runs_sample() or not self._has_sample
        if not self.works:
            return broken()
        return Refusal(422, "model_failed", f"the model could not translate this picture of {width} x {height} pixels; use another size or model")

    def _runs_sample(self) -> bool:
        side = allowed_side(SAMPLE, self.spec)
        try:
            self._executor(np.full((1, side, side, self.spec.channels_in), 127, np.uint8))
        except (PixlateError, OutOfDeviceMemory, MemoryError):
            return False  # a model of one fixed size, or one that does not work
        return True
