"""A loss that compares the features of a network trained on photographs."""

from typing import Literal, Self

import torch
from torch import Tensor, nn

from pixlate.losses.pixel import l1, mse

Distance = Literal["mse", "l1"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Perceptual(nn.Module):
    """Compares features of two batches of RGB images (batch, 3, height, width) in [0, 1] and returns a scalar (Johnson et al. 2016, eq. 2).

    The features are frozen: gradients reach the first batch alone.

    Args:
        features: The feature network, such as :func:`pixlate.losses.load_vgg19` returns; it gets images normalised as ImageNet's.
        distance: ``mse`` is the mean squared difference of the features (Ledig et al. 2017, eq. 5), ``l1`` the mean absolute one (ESRGAN).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: nn.Module, distance: Distance = "mse") -> None:
        super().__init__()
        if distance not in ("mse", "l1"):
            raise ValueError(f"expected a distance of mse or l1, got {distance!r}; choose one of these")
        self.features = features.eval().requires_grad_(False)
        self.compare = mse if distance == "mse" else l1
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the distance of the features of output and target.

        Raises:
            ValueError: The shapes differ or are not those of RGB images.
        """
        if output.shape != target.shape or output.ndim != 4 or output.shape[1] != 3:
            raise ValueError(
                f"expected output and target of one shape (batch, 3, height, width), got {tuple(output.shape)} and {tuple(target.shape)}; pass RGB images"
            )
        with torch.no_grad():
            wanted = self._see(target)
        return self.compare(self._see(output), wanted)

    def _see(self, images: Tensor) -> Tensor:
        features: Tensor = self.features((images - self.mean) / self.deviation)
        return features.float()  # squares of features may leave the range of 16 bits

    def train(self, mode: bool = True) -> Self:
        """Keep the features in evaluation mode."""
        super().train(mode)
        self.features.eval()
        return self
