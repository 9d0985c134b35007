"""Training images: folders in, batches of tensors out."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

Batch = dict[str, Tensor]
"""Images by name, ``source`` and ``target``: (batch, channels, height, width) in [0, 1]."""


class TrainingData(Protocol):
    """What the engine asks of training images."""

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Return a batch that depends on nothing but the generator's state."""
        ...

    def validation(self) -> Iterator[Batch]:
        """Yield held-out images."""
        ...
