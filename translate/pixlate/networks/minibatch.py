"""Layers of a discriminator that compare the images of a batch, so that it sees when a generator makes one and the same."""

from typing import Literal

import torch
from torch import Tensor, nn

Minibatch = Literal["none", "deviation", "discrimination"]
LEAST_BATCH = 2
"""Images of a batch that can be compared."""
_KERNELS, _DIMENSIONS = 16, 8
"""Features that discrimination adds, and the length of the vector that each compares."""
_STEADY = 1e-8


class MinibatchDeviation(nn.Module):
    """Adds a feature map: the standard deviation over the batch, a mean over all features and pixels (Karras et al. 2018, section 3).

    Takes (batch, channels, height, width) and returns one channel more. The batch is one group.
    """

    least_batch = LEAST_BATCH
    added = 1

    def forward(self, features: Tensor) -> Tensor:
        """Return the features and the deviation, the same at every pixel of every image."""
        deviation = (features.float().var(dim=0, unbiased=False) + _STEADY).sqrt().mean()
        return torch.cat([features, deviation.to(features.dtype).expand(len(features), 1, *features.shape[2:])], dim=1)


class MinibatchDiscrimination(nn.Module):
    """Adds feature maps that say how near an image is to the others of its batch (Salimans et al. 2016, section 3.2).

    An image's features f, here their means over its pixels, so that any size goes, are multiplied with a tensor T that is learnt: M = f T, a matrix of
    ``kernels`` rows. Feature b of image i is the sum over the other images j of exp(-|M_ib - M_jb|_1).
    Takes (batch, channels, height, width) and returns ``kernels`` channels more.

    Args:
        channels: Channels in.
        kernels: Features that are added.
        dimensions: Length of a row.
    """

    least_batch = LEAST_BATCH

    def __init__(self, channels: int, kernels: int = _KERNELS, dimensions: int = _DIMENSIONS) -> None:
        super().__init__()
        self.added = kernels
        self.tensor = nn.Parameter(torch.randn(channels, kernels, dimensions) * channels**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features and the nearness, the same at every pixel of an image."""
        matrices = torch.einsum("na,abc->nbc", features.mean(dim=(2, 3)).float(), self.tensor)
        distances = (matrices[:, None] - matrices[None]).abs().sum(dim=3)
        nearness = torch.exp(-distances).sum(dim=1) - 1  # without the image itself
        return torch.cat([features, nearness.to(features.dtype)[:, :, None, None].expand(-1, -1, *features.shape[2:])], dim=1)


def minibatch_layer(kind: Minibatch, channels: int) -> tuple[list[nn.Module], int]:
    """Return the layer, in a list, which is empty for ``none``, and the channels after it."""
    if kind == "none":
        return [], channels
    layer = MinibatchDeviation() if kind == "deviation" else MinibatchDiscrimination(channels)
    return [layer], channels + layer.added
