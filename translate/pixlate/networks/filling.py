"""Networks of a picture and its mask, for images in [0, 1]: a generator that fills what the mask covers, and a discriminator that sees where."""

import torch
from torch import Tensor, nn

from pixlate.networks.gated import GatedGenerator

SQUARE = 8
"""Side of the squares in which pictures are reconstructed, in pixels."""


class Filling(nn.Module):
    """A generator of an image and a mask, which leaves the pixels that the mask does not cover as they are; where it is between 0 and 1, both are mixed."""

    def __init__(self, network: GatedGenerator) -> None:
        super().__init__()
        self.network = network

    def made(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return what the network makes of images (batch, 3, height, width) in [0, 1], inside of the mask (batch, 1, height, width) in [0, 1] and outside."""
        hole = (mask > 0).to(image.dtype)
        made: Tensor = self.network(torch.cat([(image * 2 - 1) * (1 - hole), hole], dim=1))
        return (made + 1) / 2

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the images, filled."""
        return laid_over(image, self.made(image, mask), mask)

    def reconstruct(self, image: Tensor) -> Tensor:
        """Return images of which every square was filled from those around it, a quarter of them at a time (Zavrtanik et al. 2021, with squares of one size)."""
        rows, columns = (torch.arange(side, device=image.device) // SQUARE % 2 for side in image.shape[2:])
        turns = 2 * rows[:, None] + columns
        again = torch.zeros_like(image)
        for turn in range(4):
            mask = (turns == turn).to(image.dtype).expand(len(image), 1, -1, -1)
            again += mask * self.made(image, mask).clamp(0, 1)
        return again


class MaskedInput(nn.Module):
    """A discriminator of images in [0, 1] and their masks, made from one of images in [-1, 1] with the mask as their last channel."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, masks: Tensor) -> Tensor:
        """Return the logits of patches."""
        logits: Tensor = self.network(torch.cat([images * 2 - 1, masks], dim=1))
        return logits


def laid_over(image: Tensor, made: Tensor, mask: Tensor) -> Tensor:
    """Return what was made where the mask is 1, and the image where it is 0."""
    return image * (1 - mask) + made * mask
