"""The networks of R3GAN (Huang et al. 2025, "The GAN is dead; long live the GAN! A Modern GAN Baseline"), and of its blocks a generator that translates."""

import math
from collections.abc import Iterator
from itertools import chain, pairwise

from torch import Tensor, nn

from pixlate.networks.blocks import ImageConv2d, Layered, Residual, require_images
from pixlate.networks.discriminator import Discriminator
from pixlate.networks.minibatch import Minibatch, minibatch_layer
from pixlate.networks.reach import halo

BLOCKS = 2
"""Residual blocks at each size."""
EXPANSION = 2
"""Feature maps within a block over those around it."""
GROUP = 16
"""Feature maps of a group of the grouped convolution, as for FFHQ at 256x256."""
WIDEST = 8
"""Most feature maps over those at full size."""
SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))
"""What keeps the variance over a leaky ReLU of that slope (He et al. 2015)."""
BASIS = 4
"""Side of the kernel that ends the discriminator, and of its last feature maps for whole patches."""


class R3Block(Residual):
    """A bottleneck turned inside out, added to its input: 1x1 to twice the feature maps, 3x3 in groups, 1x1 back (section 4, config E).

    Without normalisation: fix-up initialisation keeps the variance instead (Zhang et al. 2019), with a gain of ``depth`` ** -1/4 for the first two
    convolutions and 0 for the third, so that a network starts without its blocks. A bias and a leaky ReLU follow each of the first two.

    Args:
        channels: Channels in and out.
        depth: Blocks of the whole network.
    """

    def __init__(self, channels: int, depth: int) -> None:
        inner = channels * EXPANSION
        groups = next(count for count in range(max(1, inner // GROUP), 0, -1) if inner % count == 0)
        convolutions = [nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, inner, 3, padding=1, groups=groups), nn.Conv2d(inner, channels, 1, bias=False)]
        for convolution, gain in zip(convolutions, (GAIN * depth**-0.25, GAIN * depth**-0.25, 0.0), strict=True):
            draw(convolution, gain)
        super().__init__(convolutions[0], nn.LeakyReLU(SLOPE), convolutions[1], nn.LeakyReLU(SLOPE), convolutions[2])


class R3Generator(Layered):
    """An encoder and a decoder of R3GAN's blocks, for translation; R3GAN itself has a decoder alone, which starts from noise.

    Takes (batch, channels_in, height, width) in [-1, 1] and returns (batch, channels_out, height, width), not squashed, as published. Each size of the
    decoder adds the encoder's features of that size.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        blocks: Residual blocks at each size, in the encoder and in the decoder.
        channels: Feature maps at full size; each halving doubles them up to eight times as many.
        downsamplings: Halvings; the sides of images must be multiples of 2**downsamplings.

    Attributes:
        multiple: Height and width must be multiples of this, and are at least this.
        halo: Input pixels around an output pixel that it depends on.
        layers: Number of the last layer of :meth:`features`.

    Raises:
        ValueError: No blocks, or a negative number of halvings.
    """

    drawn = exact = True
    """Its weights are drawn as published; tiles with that halo give the picture of the whole image."""

    def __init__(self, channels_in: int = 3, channels_out: int = 3, blocks: int = BLOCKS, channels: int = 96, downsamplings: int = 2) -> None:
        super().__init__()
        if blocks < 1 or downsamplings < 0:
            raise ValueError(f"expected at least 1 block and 0 downsamplings, got {blocks} and {downsamplings}; choose more")
        self.channels_in = channels_in
        self.multiple = self.minimum = 2**downsamplings
        widths = _widths(channels, downsamplings)
        depth = blocks * (2 * downsamplings + 1)
        self.head = draw(nn.Conv2d(channels_in, channels, 1, bias=False))

        def stage(width: int) -> nn.Module:
            return nn.Sequential(*(R3Block(width, depth) for _ in range(blocks)))

        self.encoder = nn.ModuleList(stage(width) for width in widths[:-1])
        self.down = nn.ModuleList(nn.Sequential(*_halved(narrow, wide)) for narrow, wide in pairwise(widths))
        self.body = stage(widths[-1])
        self.up = nn.ModuleList(nn.Sequential(*_doubled(wide, narrow)) for wide, narrow in pairwise(reversed(widths)))
        self.decoder = nn.ModuleList(stage(width) for width in reversed(widths[:-1]))
        self.tail = draw(ImageConv2d(channels, channels_out, 1, bias=False))
        self.layers = 2 * downsamplings + 2
        before, after = (chain.from_iterable(zip(*stages, strict=True)) for stages in ((self.encoder, self.down), (self.up, self.decoder)))
        self.halo = halo([layer for stage in (*before, self.body, *after) for layer in stage.modules()], self.multiple)

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, each size of the encoder, the smallest one, each size of the decoder, and the output."""
        require_images(images, self.channels_in, self.minimum, self.multiple)
        yield images
        features: Tensor = self.head(images)
        passed: list[Tensor] = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            passed.append(blocks(features))
            yield passed[-1]
            features = down(passed[-1])
        features = self.body(features)
        yield features
        for up, blocks in zip(self.up, self.decoder, strict=True):
            features = blocks(up(features) + passed.pop())
            yield features
        yield self.tail(features)


class R3Discriminator(Discriminator):
    """Two of R3GAN's blocks at each size, then a 4x4 kernel a feature map and a weighted sum of them.

    Takes (batch, channels_in, height, width) in [-1, 1] and returns logits (batch, 1, h, w): one a patch of 4 x 2**layers pixels, as published, and of larger
    ones a logit for each position of the last kernel. With 96 channels and 6 layers it is that of FFHQ at 256x256.

    Args:
        channels_in: Channels of the input.
        channels: Feature maps at full size; each halving doubles them up to eight times as many.
        layers: Halvings.
        minibatch: What compares the images of a batch, before the last kernel.
    """

    drawn = True

    def __init__(self, channels_in: int = 3, channels: int = 96, layers: int = 6, minibatch: Minibatch = "none") -> None:
        widths = _widths(channels, layers)
        depth = BLOCKS * len(widths)
        stages: list[nn.Module] = []
        for level, width in enumerate(widths):
            before = _halved(widths[level - 1], width) if level else [draw(nn.Conv2d(channels_in, channels, 1, bias=False))]
            stages.append(nn.Sequential(*before, *(R3Block(width, depth) for _ in range(BLOCKS))))
        compared, last = minibatch_layer(minibatch, widths[-1])
        basis = draw(nn.Conv2d(last, last, BASIS, groups=last, bias=False))
        stages.append(nn.Sequential(*compared, basis, draw(nn.Conv2d(last, 1, 1, bias=False))))
        super().__init__(channels_in, stages, minimum=BASIS * 2**layers)


def draw(convolution: nn.Conv2d, gain: float = 1.0) -> nn.Conv2d:
    """Draw weights from N(0, gain / sqrt(inputs of an output)), with zero bias; return the convolution."""
    nn.init.normal_(convolution.weight, 0.0, gain / math.sqrt(convolution.weight[0].numel()))
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution


def _widths(channels: int, halvings: int) -> list[int]:
    return [channels * min(2**level, WIDEST) for level in range(halvings + 1)]


def _halved(channels: int, out_channels: int) -> list[nn.Module]:
    """Return layers that halve the sides by the kernel 1, 3, 3, 1 over zeros, then change the number of feature maps."""
    blur = [nn.ZeroPad2d(1), nn.AvgPool2d(2, stride=1), nn.AvgPool2d(2, stride=1), nn.AvgPool2d(2)]  # three means of two make 1, 3, 3, 1
    return [*blur, *_mixed(channels, out_channels)]


def _doubled(channels: int, out_channels: int) -> list[nn.Module]:
    """Return layers that change the number of feature maps, then double the sides by the same kernel, which is bilinear interpolation over zeros."""
    return [*_mixed(channels, out_channels), nn.ZeroPad2d(1), nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False), nn.ZeroPad2d(-2)]


def _mixed(channels: int, out_channels: int) -> list[nn.Module]:
    return [draw(nn.Conv2d(channels, out_channels, 1, bias=False))] if channels != out_channels else []
