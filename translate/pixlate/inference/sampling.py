"""Runs a sampler, a model that takes no image: which files it is refused for, how many pictures it makes at once, and fewer where memory runs out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.conditions import Arrays, stacked
from pixlate.inference.executor import MOST_IMAGES
from pixlate.inference.models import load
from pixlate.plugin.translator import Translator

BATCH_PIXELS = {"cpu": 1_000_000, "gpu": 8_000_000}
"""Pixels of what an automatic batch gives."""


def load_sampler(model: str | Path, device: str = "auto", runtime: str = "auto") -> Translator:
    """Load a model that draws pictures from conditions alone; refuse one that takes an image."""
    translator = load(model, device, runtime=runtime)
    if translator.spec.takes_image:
        raise PixlateError(
            f"expected a model that draws pictures of its own, got {model}, which takes an image; write: pixlate convert photos/ out/ --model {model}"
        )
    return translator


class Sampler:
    """Draws one picture for each set of conditions, in batches.

    Args:
        translator: A model that takes no image.
        batch: Most pictures at once; 0 fits the device.
    """

    def __init__(self, translator: Translator, batch: int = 0) -> None:
        self.translator, self.spec = translator, translator.spec
        height, width = self.spec.output_size or (1024, 1024)
        fitting = BATCH_PIXELS["cpu" if translator.device == "cpu" else "gpu"] // (height * width)
        self._batch = batch or max(1, min(MOST_IMAGES, fitting))

    def __call__(self, conditions: Sequence[Arrays]) -> Iterator[Pixels]:
        """Yield uint8 (height, width, channels) for each of the conditions, which have no batch axis, in their order."""
        done = 0
        while done < len(conditions):
            part = conditions[done : done + self._batch]
            try:
                yield from self.translator(None, **stacked(part))
            except OutOfDeviceMemory as error:
                if len(part) == 1:
                    raise PixlateError(f"the memory of {self.translator.device} does not hold one picture; free some or use --device cpu") from error
                self._batch = len(part) // 2
                continue
            done += len(part)
