"""HED, a network that finds edges, whose trunk is also a network of features."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.blocks import require_images

MEAN = (104.00699, 116.66877, 122.67892)
"""Mean levels of blue, green and red, as the weights were trained with."""
WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the trunk's stages."""
DEPTHS = (2, 2, 3, 3, 3)
"""Convolutions of the trunk's stages (VGG16: Simonyan and Zisserman 2015, table 1, column D)."""
LAYERS = tuple(f"conv{stage}_{number}" for stage, depth in enumerate(DEPTHS, 1) for number in range(1, depth + 1))
"""Names of the trunk's convolutions, each with its activation."""


class HED(nn.Module):
    """Holistically-nested edge detection (Xie and Tu 2015): VGG16's convolutions, a map of edges from each of the five stages, and their fusion.

    Takes RGB (batch, 3, height, width) in [0, 1] of any size, and returns the probability of an edge, (batch, 1, height, width) in [0, 1].
    14,716,171 parameters.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *WIDTHS)
        self.stages = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(widths[stage] if number == 0 else width, width, 3, padding=1) for number in range(depth))
            for stage, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True))
        )
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in WIDTHS)
        self.fuse = nn.Conv2d(len(WIDTHS), 1, 1)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    def activations(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and the output of each convolution of the trunk, after its activation; each is computed when it is asked for."""
        require_images(images, 3, 1)
        features = images.flip(1) * 255 - self.mean
        for stage, convolutions in enumerate(self.stages, 1):
            if stage > 1:
                features = functional.max_pool2d(features, 2, ceil_mode=True)
            assert isinstance(convolutions, nn.ModuleList)
            for number, convolution in enumerate(convolutions, 1):
                features = functional.relu(convolution(features))
                yield f"conv{stage}_{number}", features

    def features(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Return the outputs of layers of the trunk, by name, in the order of the network; nothing is computed beyond the last of them.

        Raises:
            ValueError: There is no such layer.
        """
        if wrong := [layer for layer in layers if layer not in LAYERS]:
            raise ValueError(f"expected layers among {', '.join(LAYERS)}, got {', '.join(wrong)}; choose among these")
        last = max((LAYERS.index(layer) for layer in layers), default=-1)
        named = zip(range(last + 1), self.activations(images), strict=False)
        return [features for _, (name, features) in named if name in layers]

    def forward(self, images: Tensor) -> Tensor:
        """Return the probability of an edge at each pixel."""
        ends = self.features(images, [f"conv{stage}_{depth}" for stage, depth in enumerate(DEPTHS, 1)])
        maps = [side(end) for side, end in zip(self.sides, ends, strict=True)]
        size = images.shape[2:]
        enlarged = [functional.interpolate(each, size, mode="bilinear", align_corners=False) for each in maps]
        return torch.sigmoid(self.fuse(torch.cat(enlarged, dim=1)))
