"""Gated convolutions, for pictures of which a part is missing, and the generator and discriminator of Yu et al. 2019."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.blocks import ImageConv2d, require_images
from pixlate.networks.discriminator import Discriminator, constrained
from pixlate.networks.reach import halo

DILATIONS = (2, 4, 8, 16)
"""Pixels between the taps of the convolutions in the middle, so that they see across holes."""
WIDTHS = (1, 2, 4, 4, 4, 4)
"""Feature maps of the discriminator's stages over those of the first."""

KEPT = 6.6
"""Variance of features whose ELU, let through by half, has a mean square of about 1, so that a deep network without normalisation passes on what it sees from the start."""


class GatedConv2d(nn.Module):
    """ELU(features) * sigmoid(gate), both convolutions of the input (Yu et al. 2019, equation 3): the gate learns what is known, and what is a hole.

    Takes (batch, channels_in, height, width) and returns (batch, channels_out, height / stride, width / stride).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, 2 * channels_out, kernel, stride, dilation * (kernel // 2), dilation)
        with torch.no_grad():
            self.convolution.weight[:channels_out].normal_(0, (KEPT / (channels_in * kernel**2)) ** 0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the features that the gate lets through."""
        features, gate = self.convolution(inputs).chunk(2, dim=1)
        return functional.elu(features) * torch.sigmoid(gate)


class GatedGenerator(nn.Module):
    """Fills holes in one pass: the first network of Yu et al. 2019 (figure 3). The second one, which refines by contextual attention, is left out.

    Takes a picture and its mask, (batch, 4, height, width) in [-1, 1] and [0, 1], of sides that are multiples of 4, and returns (batch, 3, height, width) in (-1, 1).
    24 channels have 1,629,951 parameters and need 10.87 G multiply-adds at 256x256.

    Args:
        channels: Feature maps behind the first gate, at least 2; the published 48 are before it.

    Attributes:
        multiple: Height and width must be multiples of this.
        minimum: Least height and width.
        halo: Input pixels around an output pixel that it depends on.
        exact: Tiles with that halo give the picture of the whole image: nothing is normalised.
    """

    multiple, minimum, exact = 4, 4, True

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        once, twice, wide = channels, 2 * channels, 4 * channels
        self.layers = nn.Sequential(
            GatedConv2d(4, once, 5),
            GatedConv2d(once, twice, stride=2),
            GatedConv2d(twice, twice),
            GatedConv2d(twice, wide, stride=2),
            GatedConv2d(wide, wide),
            GatedConv2d(wide, wide),
            *(GatedConv2d(wide, wide, dilation=dilation) for dilation in DILATIONS),
            GatedConv2d(wide, wide),
            GatedConv2d(wide, wide),
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            GatedConv2d(wide, twice),
            GatedConv2d(twice, twice),
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            GatedConv2d(twice, once),
            GatedConv2d(once, once // 2),
            ImageConv2d(once // 2, 3, 3, padding=1),
            nn.Tanh(),
        )
        self.halo = halo(self.modules(), self.multiple)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the whole picture, filled."""
        require_images(inputs, 4, self.minimum, self.multiple)
        filled: Tensor = self.layers(inputs)
        return filled


class SNPatchGAN(Discriminator):
    """Six 5x5 convolutions of stride 2 under spectral norm, each of whose last features is a logit (Yu et al. 2019, 3.3).

    Takes (batch, channels_in, height, width) and returns (batch, 4 * channels, height / 64, width / 64), rounded up. 4 channels in and 64 feature maps have 5,946,816 parameters.

    Args:
        channels_in: Channels of the input; 4 for a picture and its mask.
        channels: Feature maps of the first stage.
    """

    def __init__(self, channels_in: int = 4, channels: int = 64) -> None:
        widths = [channels_in, *(channels * factor for factor in WIDTHS)]
        convolutions = [constrained(nn.Conv2d(before, after, 5, 2, 2), True) for before, after in pairwise(widths)]
        super().__init__(channels_in, [*(nn.Sequential(each, nn.LeakyReLU(0.2)) for each in convolutions[:-1]), convolutions[-1]], minimum=1)
