"""Super-resolution generators: the paper's SRResNet and its modern variant without normalisation."""

from collections.abc import Iterator
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.blocks import Layered, ResidualBlock, SubPixelUpsample, upsampling_stages
from pixlate.networks.initialisation import scaled_kaiming
from pixlate.networks.reach import halo

Tail = Literal["staged", "direct"]


class SRResNet(Layered):
    """The generator of SRGAN (Ledig et al. 2017, figure 4), with batch normalisation and PReLU.

    Takes (batch, 3, height, width) in [0, 1] of any size and returns (batch, 3, height * scale, width * scale), not clamped.
    16 blocks of 64 channels at scale 4 have 1,549,462 parameters.

    Args:
        scale: 2, 3, 4 or 8.
        channels: Feature maps.
        blocks: Residual blocks.
    """

    multiple = minimum = 1
    exact = True

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        stages = upsampling_stages(scale)
        self.head = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(channels, nn.PReLU, norm=True) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )
        self.upsample = nn.Sequential(*(nn.Sequential(SubPixelUpsample(channels, channels, stage), nn.PReLU()) for stage in stages))
        self.tail = nn.Conv2d(channels, 3, 9, padding=4)
        self.layers = blocks + len(stages) + 3
        """Number of the last layer of :meth:`features`."""
        self.halo = halo(self.modules(), 1, scale)

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, the first convolution, each block, the sum of the body and the first convolution, each enlargement, and the output."""
        yield images
        first = features = self.head(images)
        yield first
        *blocks, convolution, norm = self.body
        for block in blocks:
            features = block(features)
            yield features
        features = first + norm(convolution(features))
        yield features
        for stage in (*self.upsample, self.tail):
            features = stage(features)
            yield features


class MSRResNet(Layered):
    """SRResNet without normalisation, that learns what bilinear enlargement misses (the MSRResNet of BasicSR).

    Takes (batch, 3, height, width) in [0, 1] of any size and returns (batch, 3, height * scale, width * scale), not clamped.
    16 blocks of 64 channels at scale 4 with the staged tail have 1,517,571 parameters.

    Args:
        scale: 2, 3, 4 or 8, or 1 for restoration at the same size.
        channels: Feature maps.
        blocks: Residual blocks.
        tail: ``staged`` is the published one: pixel shuffles of 2, then two convolutions at full size. ``direct`` shuffles the last
            convolution's output to full size at once (Shi et al. 2016), which leaves all the arithmetic to the blocks: at scale 4 and
            10 blocks of 48 channels it needs 0.44 M multiply-adds an input pixel where the staged tail needs 1.2 M.
        shrink: Works at 1/shrink of the input's height and width, whose pixels become channels (FFDNet, Zhang et al. 2018): a quarter of the arithmetic for 2,
            for restoration at full size; the sides of images must be multiples of it. Needs the direct tail.

    Raises:
        ValueError: There is no such scale, or ``shrink`` with the staged tail.
    """

    exact = True

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 16, tail: Tail = "staged", shrink: int = 1) -> None:
        super().__init__()
        if shrink > 1 and tail != "direct":
            raise ValueError(f"expected the direct tail with shrink, got {tail}; choose direct")
        self.scale = scale
        self.multiple = self.minimum = shrink
        self.layers = blocks + 2
        """Number of the last layer of :meth:`features`."""
        activation = partial(nn.LeakyReLU, 0.1, inplace=True)
        stages = [] if scale == 1 else upsampling_stages(scale)
        unshuffle = [nn.PixelUnshuffle(shrink)] if shrink > 1 else []
        self.head = nn.Sequential(*unshuffle, nn.Conv2d(3 * shrink**2, channels, 3, padding=1), activation())
        self.body = nn.Sequential(*(ResidualBlock(channels, partial(nn.ReLU, inplace=True), norm=False) for _ in range(blocks)))
        if tail == "direct":
            self.tail: nn.Module = SubPixelUpsample(channels, 3, scale * shrink)
        else:
            upsample = [nn.Sequential(SubPixelUpsample(channels, channels, stage), activation()) for stage in stages]
            last = [nn.Conv2d(channels, channels, 3, padding=1), activation(), nn.Conv2d(channels, 3, 3, padding=1)]
            self.tail = nn.Sequential(*upsample, *last)
        self.halo = halo(self.modules(), shrink, scale)
        scaled_kaiming(self, 0.1)

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, the first convolution, each block, and the output."""
        yield images
        features = images
        for stage in (self.head, *self.body):
            features = stage(features)
            yield features
        enlarged = functional.interpolate(images, scale_factor=float(self.scale), mode="bilinear", align_corners=False) if self.scale > 1 else images
        yield self.tail(features) + enlarged
