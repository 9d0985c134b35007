"""The generator of CycleGAN."""

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn

from pixlate.networks.attention import SelfAttention
from pixlate.networks.blocks import Halving, ImageConv2d, Layered, Padding, Residual, Upsampling, doubling, halving, padding_layer, require_images
from pixlate.networks.initialisation import QuietConv2d
from pixlate.networks.normalisation import PER_IMAGE, Norm, biased, norm_layer
from pixlate.networks.reach import halo


class ResNet(Layered):
    """Residual blocks between strided and upsampling convolutions (Johnson et al. 2016; Zhu et al. 2017, 7.2).

    Takes (batch, channels_in, height, width) in [-1, 1] and returns (batch, channels_out, height, width) in (-1, 1). 9 blocks of 64 channels
    with instance norm have 11,378,179 parameters and need 49.55 G multiply-adds at 256x256.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        blocks: Residual blocks, at least 1.
        channels: Feature maps at full size; each halving doubles them.
        downsamplings: Halvings before the blocks; the sides of images must be multiples of 2**downsamplings.
        norm: Normalisation after every convolution but the last.
        dropout: Share of values dropped between the convolutions of a block.
        upsampling: How sides are doubled after the blocks.
        attention: Adds self-attention after the blocks.
        skip: Returns the images plus what was learned, not squashed, and starts as the identity.
        halve: How sides are halved before the blocks.
        padding: What the blocks' convolutions see beyond the border.
        pointwise: Makes every convolution 1x1, without halvings: each pixel is translated by its own colour alone, so nothing can spread around an edge.
        kernel: Side of the first and the last convolution, an odd number; 9 as Johnson et al. have it.

    Attributes:
        multiple: Height and width must be multiples of this.
        minimum: Least height and width: reflection needs more pixels than it adds.
        halo: Input pixels around an output pixel that convolutions let it depend on.
        layers: Number of the last layer of :meth:`features`.
        exact: Whether in evaluation mode tiles with that halo, cut at multiples, give the picture of the whole image: not where instance or group
            norm or attention look at all of it.

    Raises:
        ValueError: No blocks, a negative number of halvings, halvings with ``pointwise``, or ``skip`` with other channels out than in.
    """

    def __init__(
        self,
        channels_in: int = 3,
        channels_out: int = 3,
        blocks: int = 9,
        channels: int = 64,
        downsamplings: int = 2,
        norm: Norm = "instance",
        dropout: float = 0.0,
        upsampling: Upsampling = "transposed",
        attention: bool = False,
        skip: bool = False,
        halve: Halving = "strided",
        padding: Padding = "reflect",
        pointwise: bool = False,
        kernel: int = 7,
    ) -> None:
        super().__init__()
        if blocks < 1 or downsamplings < 0:
            raise ValueError(f"expected at least 1 block and 0 downsamplings, got {blocks} and {downsamplings}; choose more")
        if pointwise and downsamplings:
            raise ValueError(f"expected no downsamplings with pointwise convolutions, got {downsamplings}; set them to 0")
        if skip and channels_in != channels_out:
            raise ValueError(f"expected as many channels out as in with skip, got {channels_in} and {channels_out}; make them equal or switch skip off")
        self.channels_in, self.skip = channels_in, skip
        self.multiple = 2**downsamplings
        self.minimum = 1 if pointwise else max(kernel // 2 + 1, 2 * self.multiple)  # what is reflected at full size, 1 pixel in the blocks
        outer, inner = (1, 1) if pointwise else (kernel, 3)
        widths = [channels * 2**level for level in range(downsamplings + 1)]
        bias = biased(norm)

        def finish(width: int) -> list[nn.Module]:
            return [norm_layer(norm, width), nn.ReLU(inplace=norm != "none")]  # which would change what activations() yields before it

        self.head = nn.Sequential(padding_layer("reflect", outer // 2), nn.Conv2d(channels_in, channels, outer, bias=bias), *finish(channels))
        self.downsample = nn.Sequential(*(nn.Sequential(*halving(halve, wide, wider, bias, finish(wider))) for wide, wider in pairwise(widths)))
        self.body = nn.Sequential(*(PaddedBlock(widths[-1], norm, dropout, padding, inner) for _ in range(blocks)))
        self.attention = SelfAttention(widths[-1]) if attention else nn.Identity()
        self.upsample = nn.Sequential(
            *(nn.Sequential(*doubling(upsampling, wider, wide, 3, bias), *finish(wide)) for wider, wide in pairwise(reversed(widths)))
        )
        last = QuietConv2d(channels, channels_out, outer) if skip else ImageConv2d(channels, channels_out, outer)
        self.tail = nn.Sequential(padding_layer("reflect", outer // 2), last, nn.Identity() if skip else nn.Tanh())
        self.layers = 2 * downsamplings + blocks + 2
        self.halo = halo(self.modules(), self.multiple)
        self.exact = norm not in PER_IMAGE and not attention

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the layers, such as for PatchNCE: the images, the first convolution, that of each halving, each block, each doubling, and the output.

        With 2 halvings and 9 blocks these are 0, 1, 2 and 3, 4 to 12, 13 and 14, and 15. What is yielded of a halving is before its norm, activation and
        blur, as PatchNCE takes it (Park et al. 2020); of the others it is behind them.
        """
        require_images(images, self.channels_in, self.minimum, self.multiple)
        yield images
        *blocks, last = self.body
        features = self.head(images)
        yield features
        for stage in self.downsample:
            assert isinstance(stage, nn.Sequential)
            features = stage[0](features)
            yield features
            features = stage[1:](features)
        for stage in (*blocks, nn.Sequential(last, self.attention), *self.upsample):
            features = stage(features)
            yield features
        output: Tensor = self.tail(features)
        yield images + output if self.skip else output


class PaddedBlock(Residual):
    """Two convolutions of an odd ``kernel`` over padded borders, added to their input: (batch, channels, height, width) to the same shape, of at least 2x2 for 3x3."""

    def __init__(self, channels: int, norm: Norm, dropout: float, padding: Padding, kernel: int = 3) -> None:
        def convolution() -> list[nn.Module]:
            return [padding_layer(padding, kernel // 2), nn.Conv2d(channels, channels, kernel, bias=biased(norm)), norm_layer(norm, channels)]

        layers = [*convolution(), nn.ReLU(inplace=True)]
        layers += [nn.Dropout(dropout)] if dropout > 0 else []
        layers += convolution()
        super().__init__(*layers)
