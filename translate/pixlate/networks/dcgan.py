"""DCGAN's networks (Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks", section 3).

Where they grow (Karras et al. 2018, "Progressive Growing of GANs", section 2), there is a first or last convolution for each side, so that the networks of
one side are the DCGAN of that side.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.normalisation import Norm, norm_layer

SMALLEST = 4
"""Side of the features that are made of noise, in pixels."""


def widths(channels: int, side: int) -> dict[int, int]:
    """Return the feature maps at each side below that of the picture: ``channels`` at half of it, twice as many at each half of that."""
    halves = [side >> times for times in range(1, side.bit_length()) if side >> times >= SMALLEST]
    return {half: channels << times for times, half in enumerate(halves)}


class Generator(nn.Module):
    """Transposed convolutions, each but the last with batch norm and ReLU, then tanh: noise (batch, latent) to (batch, channels_out, side, side) in [0, 1].

    Args:
        latent: Length of the noise.
        channels: Feature maps before the last convolution.
        channels_out: Channels of the pictures.
        sides: Those of which it can draw pictures, in pixels, doubling; more than one where it grows.
    """

    def __init__(self, latent: int, channels: int, channels_out: int, sides: Sequence[int]) -> None:
        super().__init__()
        maps = widths(channels, sides[-1])
        self.first = nn.Sequential(nn.ConvTranspose2d(latent, maps[SMALLEST], SMALLEST, bias=False), nn.BatchNorm2d(maps[SMALLEST]), nn.ReLU())
        self.doublings = nn.ModuleDict()
        for side in sorted(maps)[1:]:
            doubling = nn.ConvTranspose2d(maps[side // 2], maps[side], 4, 2, 1, bias=False)
            self.doublings[str(side)] = nn.Sequential(doubling, nn.BatchNorm2d(maps[side]), nn.ReLU())
        self.last = nn.ModuleDict({str(side): nn.ConvTranspose2d(maps[side // 2], channels_out, 4, 2, 1, bias=False) for side in sides})

    def forward(self, noise: Tensor, side: int = 0, fade: float = 1.0) -> Tensor:
        """Return pictures of a side, by default the largest, blended with enlarged ones of half the side as far as ``fade`` is below 1."""
        side = side or int(max(self.last, key=int))
        features, before = self.first(noise[:, :, None, None]), noise
        for size, doubling in self.doublings.items():
            if int(size) < side:
                before, features = features, doubling(features)
        pictures: Tensor = (self.last[str(side)](features).tanh() + 1) / 2
        if fade < 1:
            half = (self.last[str(side // 2)](before).tanh() + 1) / 2
            pictures = torch.lerp(functional.interpolate(half, scale_factor=2.0), pictures, fade)
        return pictures


class DCGANDiscriminator(nn.Module):
    """Strided convolutions with LeakyReLU 0.2, with a norm but at the first and the last: (batch, channels_in, side, side) in [-1, 1] to one logit each.

    Args:
        channels_in: Channels of the pictures.
        channels: Feature maps after the first convolution.
        sides: Those of the pictures it can judge, in pixels, doubling; more than one where it grows.
        norm: Normalisation.
    """

    def __init__(self, channels_in: int, channels: int, sides: Sequence[int], norm: Norm) -> None:
        super().__init__()
        self.minimum = sides[0]
        maps, bias = widths(channels, sides[-1]), norm != "batch"
        self.first = nn.ModuleDict({str(side): nn.Conv2d(channels_in, maps[side // 2], 4, 2, 1, bias=bias) for side in sides})
        self.halvings = nn.ModuleDict()
        for side in sorted(maps, reverse=True)[:-1]:
            halving = nn.Conv2d(maps[side], maps[side // 2], 4, 2, 1, bias=bias)
            self.halvings[str(side)] = nn.Sequential(halving, norm_layer(norm, maps[side // 2]), nn.LeakyReLU(0.2))
        self.last = nn.Conv2d(maps[SMALLEST], 1, SMALLEST, bias=bias)

    def forward(self, images: Tensor, fade: float = 1.0) -> Tensor:
        """Return logits (batch,), of features blended with those of the images at half the side as far as ``fade`` is below 1."""
        side = images.shape[-1]
        features = functional.leaky_relu(self.first[str(side)](images), 0.2)
        for size, halving in self.halvings.items():
            if int(size) < side:
                features = halving(features)
                if fade < 1 and int(size) == side // 2:
                    half = functional.leaky_relu(self.first[str(side // 2)](functional.avg_pool2d(images, 2)), 0.2)
                    features = torch.lerp(half, features, fade)
        logits: Tensor = self.last(features).flatten()
        return logits
