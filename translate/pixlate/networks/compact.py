"""The super-resolution generator of Real-ESRGAN's video models: a plain stack of convolutions at low resolution."""

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.blocks import Layered, require_images
from pixlate.networks.initialisation import QuietConv2d
from pixlate.networks.reach import halo


class Compact(Layered):
    """Convolutions with PReLU and one pixel shuffle, that learn what repeating pixels misses (SRVGGNetCompact of Wang et al. 2021, Real-ESRGAN).

    Takes (batch, 3, height, width) in [0, 1] and returns (batch, 3, height * scale, width * scale), not clamped. Its weights have the names of the
    published ones. 16 convolutions of 64 channels at scale 4 have 621,424 parameters and need 0.619 M multiply-adds an input pixel.

    Args:
        scale: Height and width of the output over those of the input; 1 for restoration at the same size.
        channels: Feature maps.
        convolutions: Convolutions between the first and the last.
        shrink: Works at 1/shrink of the input's height and width, whose pixels become channels (FFDNet, Zhang et al. 2018): a quarter of the
            arithmetic for 2; the sides of images must be multiples of it.

    Attributes:
        layers: Number of the last layer of :meth:`features`.
    """

    exact = True

    def __init__(self, scale: int = 4, channels: int = 64, convolutions: int = 16, shrink: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.multiple = self.minimum = shrink
        self.layers = convolutions + 2
        self.unshuffle = nn.PixelUnshuffle(shrink)
        widths = [3 * shrink**2, *[channels] * (convolutions + 1)]
        body: list[nn.Module] = []
        for width, wider in pairwise(widths):
            body += [nn.Conv2d(width, wider, 3, padding=1), nn.PReLU(wider)]
        self.body = nn.Sequential(*body, QuietConv2d(channels, 3 * (scale * shrink) ** 2, 3, padding=1))
        self.upsampler = nn.PixelShuffle(scale * shrink)
        self.halo = halo(self.modules(), shrink, scale)

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, each convolution after its activation, and the output."""
        require_images(images, 3, self.minimum, self.multiple)
        yield images
        features = self.unshuffle(images)
        *inner, last = self.body
        for convolution, activation in zip(inner[::2], inner[1::2], strict=True):
            features = activation(convolution(features))
            yield features
        enlarged = functional.interpolate(images, scale_factor=float(self.scale), mode="nearest") if self.scale > 1 else images
        yield self.upsampler(last(features)) + enlarged
