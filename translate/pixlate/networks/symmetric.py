"""Networks of the range [-1, 1], as the papers have them, for images in [0, 1]."""

from typing import Any

from torch import Tensor, nn


class Symmetric(nn.Module):
    """A generator of images in [0, 1], made from one of images in [-1, 1]: (network(2 x - 1) + 1) / 2."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the translated images."""
        translated: Tensor = self.network(images * 2 - 1)
        return (translated + 1) / 2


class SymmetricInput(nn.Module):
    """A discriminator of images in [0, 1], made from one of images in [-1, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        """Return the network's logits."""
        return self.network(images * 2 - 1)

    def features(self, images: Tensor) -> Any:
        """Return the network's features."""
        return self.network.features(images * 2 - 1)  # type: ignore[operator]
