"""Networks of the range [-1, 1], as the papers have them, for images in [0, 1]."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class Symmetric(nn.Module):
    """A generator of images in [0, 1], made from one of images in [-1, 1]: (network(2 x - 1) + 1) / 2."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, *conditions: Tensor) -> Tensor:
        """Return the translated images; conditions are the network's, as they are."""
        translated: Tensor = self.network(images * 2 - 1, *conditions)
        return (translated + 1) / 2

    def features(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Return the activations of the network's layers; the last layer, the output, is in [0, 1] as the images are, others as the network has them."""
        network: Any = self.network
        found: list[Tensor] = network.features(images * 2 - 1, layers)
        return [(features + 1) / 2 if layer == network.layers else features for layer, features in zip(layers, found, strict=True)]


class SymmetricInput(nn.Module):
    """A network that takes images in [0, 1], such as a discriminator, made from one of images in [-1, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, *conditions: Tensor) -> Any:
        """Return the network's logits, or what it gives; conditions are the network's, as they are."""
        return self.network(images * 2 - 1, *conditions)

    def features(self, images: Tensor) -> Any:
        """Return the network's features."""
        return self.network.features(images * 2 - 1)  # type: ignore[operator]
