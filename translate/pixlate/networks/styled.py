"""Networks whose outputs have a style and a domain (Choi et al. 2020, "StarGAN v2", appendix A): generator, mapping network, style encoder, discriminator.

Images are in [-1, 1]. Without the high-pass filter of faces, which needs a network of landmarks.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from pixlate.networks.blocks import ImageConv2d, require_images
from pixlate.networks.normalisation import InstanceNorm
from pixlate.networks.reach import halo

SLOPE = 0.2
END = 4
"""Side of the features at the end of a style encoder or discriminator."""


class ResidualHalving(nn.Module):
    """A residual block that activates before it convolves: (batch, channels, h, w) to (batch, out_channels, h, w), or of half the sides.

    Both paths are divided by the root of 2, so that the variance stays.
    """

    def __init__(self, channels: int, out_channels: int, norm: bool = False, halve: bool = True) -> None:
        super().__init__()

        def activated(width: int, to: int) -> list[nn.Module]:
            normed = [nn.InstanceNorm2d(width, affine=True)] if norm else []
            return [*normed, nn.LeakyReLU(SLOPE), nn.Conv2d(width, to, 3, padding=1)]

        pool = [nn.AvgPool2d(2)] if halve else []
        self.residual = nn.Sequential(*activated(channels, channels), *pool, *activated(channels, out_channels))
        widened = [nn.Conv2d(channels, out_channels, 1, bias=False)] if channels != out_channels else []
        self.shortcut = nn.Sequential(*widened, *([nn.AvgPool2d(2)] if halve else []))

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean of both paths, times the root of 2."""
        both: Tensor = self.shortcut(features) + self.residual(features)
        return both / math.sqrt(2)


class AdaIN(nn.Module):
    """Instance norm whose scale and shift come from a style (Huang and Belongie 2017): (1 + scale) * normalised + shift."""

    def __init__(self, style_length: int, channels: int) -> None:
        super().__init__()
        self.norm = InstanceNorm(channels)
        self.affine = nn.Linear(style_length, 2 * channels)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Return features (batch, channels, h, w) in a style (batch, style_length)."""
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, dim=1)
        styled: Tensor = (1 + scale) * self.norm(features) + shift
        return styled


class StyledDoubling(nn.Module):
    """A residual block of AdaIN: (batch, channels, h, w) and a style to (batch, out_channels, h, w), or of twice the sides."""

    def __init__(self, channels: int, out_channels: int, style_length: int, double: bool = True) -> None:
        super().__init__()
        self.norms = nn.ModuleList([AdaIN(style_length, channels), AdaIN(style_length, out_channels)])
        self.activation = nn.LeakyReLU(SLOPE)
        self.upsample = nn.Upsample(scale_factor=2.0, mode="nearest") if double else nn.Identity()
        self.convolutions = nn.ModuleList([nn.Conv2d(channels, out_channels, 3, padding=1), nn.Conv2d(out_channels, out_channels, 3, padding=1)])
        self.shortcut = nn.Conv2d(channels, out_channels, 1, bias=False) if channels != out_channels else nn.Identity()

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Return the mean of both paths, times the root of 2."""
        first, second = self.norms
        wide, narrow = self.convolutions
        residual = wide(self.upsample(self.activation(first(features, style))))
        both: Tensor = narrow(self.activation(second(residual, style))) + self.shortcut(self.upsample(features))
        return both / math.sqrt(2)


class StyledGenerator(nn.Module):
    """Halvings with instance norm, four blocks at the smallest size, doublings with AdaIN: an image and a style to an image of the same size.

    Args:
        channels: Feature maps at full size, doubled by each halving up to ``most_channels``.
        most_channels: See above.
        downsamplings: Halvings, at least 1; as published 4 for images of 256 pixels.
        style_length: Numbers of a style.

    Attributes:
        multiple: What height and width must be a multiple of.
        minimum: Least height and width: 2 at the smallest size, since there is no variance of one pixel.
        halo: Pixels to each side that convolutions look at.
        exact: False: instance norm looks at the whole image.
    """

    def __init__(self, channels: int = 64, most_channels: int = 512, downsamplings: int = 4, style_length: int = 64) -> None:
        super().__init__()
        self.multiple = 2**downsamplings
        self.minimum = 2 * self.multiple
        self.exact = False
        widths = [min(channels * 2**level, most_channels) for level in range(downsamplings + 1)]
        last = widths[-1]
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        halvings = [ResidualHalving(wide, wider, norm=True) for wide, wider in pairwise(widths)]
        halvings += [ResidualHalving(last, last, norm=True, halve=False) for _ in range(2)]
        doublings = [StyledDoubling(last, last, style_length, double=False) for _ in range(2)]
        doublings += [StyledDoubling(wider, wide, style_length) for wider, wide in pairwise(reversed(widths))]
        self.encoder, self.decoder = nn.Sequential(*halvings), nn.ModuleList(doublings)
        self.tail = nn.Sequential(nn.InstanceNorm2d(channels, affine=True), nn.LeakyReLU(SLOPE), ImageConv2d(channels, 3, 1))
        longest = [self.head, *(layer for block in halvings for layer in block.residual)]
        longest += [layer for block in doublings for layer in (block.upsample, *block.convolutions)]
        self.halo = halo(longest, self.multiple)

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        """Return images (batch, 3, height, width) in a style (batch, style_length)."""
        require_images(images, 3, self.minimum, self.multiple)
        features = self.encoder(self.head(images))
        for block in self.decoder:
            features = block(features, style)
        styled: Tensor = self.tail(features)
        return styled


class MappingNetwork(nn.Module):
    """Eight dense layers, the last four of each domain, from standard normal noise (batch, latent_length) to styles (batch, style_length)."""

    def __init__(self, domains: int, latent_length: int = 16, style_length: int = 64, channels: int = 512) -> None:
        super().__init__()

        def dense(*widths: int) -> list[nn.Module]:
            return [layer for wide, to in pairwise(widths) for layer in (nn.Linear(wide, to), nn.ReLU())]

        self.shared = nn.Sequential(*dense(latent_length, *[channels] * 4))
        self.heads = nn.ModuleList([nn.Sequential(*dense(*[channels] * 4), nn.Linear(channels, style_length)) for _ in range(domains)])

    def forward(self, latent: Tensor, domain: Tensor) -> Tensor:
        """Return styles of the domains (batch,)."""
        return _of_domain(self.heads, self.shared(latent), domain)


class StyleEncoder(nn.Module):
    """The style (batch, style_length) of images (batch, 3, side, side), with a dense layer for each domain."""

    def __init__(self, domains: int, side: int = 256, channels: int = 64, most_channels: int = 512, style_length: int = 64) -> None:
        super().__init__()
        self.minimum = side
        self.shared, last = _trunk(side, channels, most_channels)
        self.heads = nn.ModuleList([nn.Linear(last, style_length) for _ in range(domains)])

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return the styles that images have as ones of the domains (batch,)."""
        return _of_domain(self.heads, self.shared(images), domain)


class DomainDiscriminator(nn.Module):
    """A discriminator of images (batch, 3, side, side) with an output for each domain.

    Attributes:
        minimum: Its side, for which alone it is made.
    """

    def __init__(self, domains: int, side: int = 256, channels: int = 64, most_channels: int = 512) -> None:
        super().__init__()
        self.minimum = side
        self.shared, last = _trunk(side, channels, most_channels)
        self.heads = nn.Linear(last, domains)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return the logits (batch,) of the domains (batch,)."""
        logits: Tensor = self.heads(self.shared(images)).gather(1, domain[:, None])
        return logits[:, 0]


class OneDomain(nn.Module):
    """A mapping network whose label is fixed: noise to styles."""

    def __init__(self, mapping: nn.Module, label: int) -> None:
        super().__init__()
        self.mapping, self.label = mapping, label

    def forward(self, latent: Tensor) -> Tensor:
        """Return styles (batch, style_length)."""
        style: Tensor = self.mapping(latent, torch.full_like(latent[:, 0], self.label, dtype=torch.int64))
        return style


class Styled(nn.Module):
    """A generator with what makes its styles from conditions: an image in [0, 1], and these, to an image in [0, 1]."""

    def __init__(self, generator: nn.Module, style: nn.Module) -> None:
        super().__init__()
        self.generator, self.style = generator, style

    def forward(self, image: Tensor, *conditions: Tensor) -> Tensor:
        """Return the images in the style."""
        styled: Tensor = self.generator(image, self.style(*conditions))
        return styled.clamp(0, 1)


def _trunk(side: int, channels: int, most_channels: int) -> tuple[nn.Module, int]:
    """Return layers from images (batch, 3, side, side) to (batch, width), and that width.

    Raises:
        ValueError: The side is not a power of two of at least 8.
    """
    halvings = side.bit_length() - END.bit_length()
    if side != END << max(halvings, 1):
        raise ValueError(f"expected a side that is a power of two of at least {2 * END}, got {side}; choose another")
    widths = [min(channels * 2**level, most_channels) for level in range(halvings + 1)]
    last = widths[-1]
    blocks = [ResidualHalving(wide, wider) for wide, wider in pairwise(widths)]
    end = [nn.LeakyReLU(SLOPE), nn.Conv2d(last, last, END), nn.LeakyReLU(SLOPE), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), *blocks, *end), last


def _of_domain(heads: nn.ModuleList, features: Tensor, domain: Tensor) -> Tensor:
    """Return what the head of each sample's domain makes of its features."""
    every = torch.stack([head(features) for head in heads], dim=1)
    return every.gather(1, domain[:, None, None].expand(-1, 1, every.shape[2]))[:, 0]
