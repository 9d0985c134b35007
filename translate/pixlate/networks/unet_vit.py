"""The generator of UVCGAN."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.blocks import ImageConv2d, Layered, doubling, require_images
from pixlate.networks.normalisation import Norm, norm_layer
from pixlate.networks.reach import halo
from pixlate.networks.unet import WIDEST

_RATIO = 4
"""Hidden features of the dense layers over those of the transformer, as published."""


class UNetViT(Layered):
    """A U-Net with a transformer over the pixels at its bottom (Torbunov et al. 2022, UVCGAN, section 3.1).

    Takes (batch, channels_in, height, width) in [-1, 1] and returns (batch, channels_out, height, width) in (-1, 1); published for [0, 1] with a sigmoid, of which
    this is another scale. The published size has 34,480,455 parameters. Each pixel of the bottom, 2**depth image pixels wide, looks at all others: what attention
    takes grows with the square of their number, which is 256 for an image of 256x256 and 4,096 for 1024x1024.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        depth: Halvings; the sides of images must be multiples of 2**depth.
        channels: Feature maps of the first level; they double with each level up to eight times as many.
        blocks: Blocks of the transformer.
        features: Features of each pixel in the transformer, a multiple of ``heads``.
        heads: Heads of attention; the paper's code has 6.
        norm: Normalisation before each convolution.

    Attributes:
        multiple: Height and width must be multiples of this.
        minimum: Least height and width: the bottom has two pixels a side, between which positions are measured.
        halo: Input pixels around an output pixel that convolutions alone let it depend on.
        layers: Number of the last layer of :meth:`features`.
        exact: False: attention looks at the whole image.

    Raises:
        ValueError: ``features`` are no multiple of ``heads``.
    """

    exact = False

    def __init__(
        self,
        channels_in: int = 3,
        channels_out: int = 3,
        depth: int = 4,
        channels: int = 48,
        blocks: int = 12,
        features: int = 384,
        heads: int = 6,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        if features % heads:
            raise ValueError(f"expected features that are a multiple of the heads, got {features} and {heads}; 384 and 6 are published")
        self.channels_in = channels_in
        self.multiple, self.minimum = 2**depth, 2 ** (depth + 1)
        widths = [channels * min(2**level, WIDEST) for level in range(depth)]
        outer = [channels, *widths[:-1]]  # feature maps above each level
        self.head = nn.Sequential(nn.Conv2d(channels_in, channels, 3, padding=1), nn.LeakyReLU())
        self.encoder = nn.ModuleList(_convolutions(above, width, norm) for above, width in zip(outer, widths, strict=True))
        self.halve = nn.ModuleList(nn.Conv2d(width, width, 2, stride=2) for width in widths)
        self.bottom = PixelTransformer(widths[-1], features, heads, blocks)
        self.enlarge = nn.ModuleList(nn.Sequential(*doubling("resize", width, width, 3, bias=True)) for width in reversed(widths))
        self.decoder = nn.ModuleList(_convolutions(2 * width, above, norm, width) for above, width in zip(reversed(outer), reversed(widths), strict=True))
        self.tail = nn.Sequential(ImageConv2d(channels, channels_out, 1), nn.Tanh())
        self.layers = 2 * depth + 3
        down = [layer for pair in zip(self.encoder, self.halve, strict=True) for layer in pair]
        up = [layer for pair in zip(self.enlarge, self.decoder, strict=True) for layer in pair]
        self.halo = halo([module for stage in (self.head, *down, *up, self.tail) for module in stage.modules()], self.multiple)

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, the first convolution, the halvings, the bottom, the doublings, and the output."""
        require_images(images, self.channels_in, self.minimum, self.multiple)
        yield images
        features = self.head(images)
        yield features
        passed: list[Tensor] = []
        for stage, halve in zip(self.encoder, self.halve, strict=True):
            passed.append(stage(features))
            features = halve(passed[-1])
            yield features
        features = self.bottom(features)
        yield features
        for stage, enlarge in zip(self.decoder, self.enlarge, strict=True):
            features = stage(torch.cat([enlarge(features), passed.pop()], dim=1))
            yield features
        yield self.tail(features)


class PixelTransformer(nn.Module):
    """A transformer whose tokens are the pixels, with their places: (batch, channels, height, width) to the same shape, of sides of at least 2.

    A place is a random, learned wave: the sine of a dense layer of row and column, each from -1 to 1 over the image (Anokhin et al. 2021), so any size has one.
    """

    def __init__(self, channels: int, features: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.places = nn.Linear(2, features)
        self.inputs = nn.Linear(features + channels, features)
        self.blocks = nn.Sequential(*(TransformerBlock(features, heads) for _ in range(blocks)))
        self.output = nn.Linear(features, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return what the transformer makes of all pixels."""
        batch, channels, height, width = features.shape
        rows, columns = (_from_minus_one(side, features) for side in (height, width))
        grid = torch.stack([columns[None, :].expand(height, width), rows[:, None].expand(height, width)], dim=2)
        places = torch.sin(self.places(grid)).flatten(0, 1)[None].expand(batch, -1, -1)
        tokens = self.inputs(torch.cat([places.to(features.dtype), features.flatten(2).transpose(1, 2)], dim=2))
        made: Tensor = self.output(self.blocks(tokens))
        return made.transpose(1, 2).reshape(batch, channels, height, width)


class TransformerBlock(nn.Module):
    """Attention over all tokens, then two dense layers, each added with the weight ``alpha``, which starts at 0 (ReZero, Bachlechner et al. 2020).

    (batch, tokens, features) to the same shape.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm = nn.LayerNorm(features)
        self.inputs = nn.Linear(features, 3 * features)
        self.output = nn.Linear(features, features)
        self.second_norm = nn.LayerNorm(features)
        self.dense = nn.Sequential(nn.Linear(features, _RATIO * features), nn.GELU(), nn.Linear(_RATIO * features, features))
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens plus both weighted changes."""
        inputs = self.inputs(self.first_norm(tokens)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        gathered = functional.scaled_dot_product_attention(*inputs.unbind()).transpose(1, 2).flatten(2)
        tokens = tokens + self.alpha * self.output(gathered)
        change: Tensor = self.dense(self.second_norm(tokens))
        return tokens + self.alpha * change


def _convolutions(channels: int, out_channels: int, norm: Norm, between: int = 0) -> nn.Sequential:
    """Return two 3x3 convolutions, each after a norm and before a leaky ReLU, with ``between`` feature maps between them, by default those that come out."""
    between = between or out_channels
    pairs = ((channels, between), (between, out_channels))
    return nn.Sequential(*(layer for start, end in pairs for layer in (norm_layer(norm, start), nn.Conv2d(start, end, 3, padding=1), nn.LeakyReLU())))


def _from_minus_one(side: int, like: Tensor) -> Tensor:
    """Return the places of pixels along a side, from -1 to 1, in 32 bits."""
    places = torch.arange(side, device=like.device, dtype=torch.float32 if like.dtype != torch.float64 else like.dtype)
    return 2 * places / places[-1] - 1
