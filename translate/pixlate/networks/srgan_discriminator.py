"""The discriminator of SRGAN."""

from torch import nn

from pixlate.networks.discriminator import Discriminator, constrained

_GRID = 6
"""Side of the feature maps of a 96x96 image, which the dense layer takes."""


class SRGANDiscriminator(Discriminator):
    """Judges whole images: eight convolutions and two dense layers (Ledig et al. 2017, figure 4).

    Takes (batch, channels_in, height, width) and returns logits (batch, 1). The paper's 96x96 crops fit the dense layer as they are; the feature
    maps of other sizes are averaged to 6x6.

    Args:
        channels_in: Channels of the input.
        channels: Feature maps of the first convolution; the last has eight times as many.
        spectral: Constrains every layer by spectral norm in place of batch norm, which would undo the constraint.
    """

    def __init__(self, channels_in: int = 3, channels: int = 64, spectral: bool = False) -> None:
        stages: list[nn.Module] = []
        width = channels_in
        for level in range(4):
            wider = channels * 2**level
            for stride in (1, 2):
                normalised = bool(stages) and not spectral
                layers: list[nn.Module] = [constrained(nn.Conv2d(width, wider, 3, stride, 1, bias=not normalised), spectral)]
                layers += [nn.BatchNorm2d(wider)] if normalised else []
                stages.append(nn.Sequential(*layers, nn.LeakyReLU(0.2, inplace=True)))
                width = wider
        dense = constrained(nn.Linear(width * _GRID**2, 16 * channels), spectral)
        stages.append(nn.Sequential(nn.AdaptiveAvgPool2d(_GRID), nn.Flatten(), dense, nn.LeakyReLU(0.2, inplace=True)))
        stages.append(constrained(nn.Linear(16 * channels, 1), spectral))
        super().__init__(channels_in, stages, minimum=17)  # leaves 2x2 after four halvings: statistics need more than one pixel
