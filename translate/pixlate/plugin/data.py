"""Training data as the engine sees it: draws, samples and batches. PyTorch is imported lazily."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Batch = dict[str, "Tensor"]
"""Images by name, ``source`` and ``target``: (batch, channels, height, width) in [0, 1]."""


@dataclass(frozen=True)
class Draw:
    """One sample of a batch, chosen but not yet read."""

    indices: tuple[int, ...]
    """Which of the training images: one of a pair or a degraded photograph, a source and a target where they are not paired."""
    seed: int
    """Fixes crop, mirroring and all else that is random in reading it."""


class TrainingData(Protocol):
    """What the engine asks of training images. The same draws give the same tensors in any process and thread."""

    @property
    def images(self) -> int:
        """Samples of one epoch."""
        ...

    @property
    def validated(self) -> bool:
        """Whether held-out images have targets that show the same, so that outputs can be compared with them."""
        ...

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose the samples from number ``start`` of the run on; reads no file. Each epoch goes through all images in an order of its own."""
        ...

    def load(self, draw: Draw, side: int) -> Batch:
        """Read one sample, (channels, height, width) each, with source patches of ``side`` pixels; called from several threads.

        ``side`` is ``patch`` or, while resolution grows, less: the same content smaller, or a smaller patch of degraded photographs.

        Raises:
            PixlateError: A file cannot be read; names it.
        """
        ...

    def finish(self, batch: Batch) -> Batch:
        """Do to a whole batch, on the device it is trained on, what is faster there; chance comes from torch's default generators."""
        ...

    def validation(self) -> Iterator[Batch]:
        """Yield held-out images whole, as batches of one."""
        ...


def stack(samples: Sequence[Batch]) -> Batch:
    """Return samples of (channels, height, width) as one batch."""
    import torch

    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
