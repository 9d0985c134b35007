"""Discriminators that judge patches."""

from torch import nn

from pixlate.networks.attention import SelfAttention
from pixlate.networks.blocks import blur_layer
from pixlate.networks.discriminator import Discriminator, constrained
from pixlate.networks.minibatch import Minibatch, minibatch_layer
from pixlate.networks.normalisation import Norm, biased, norm_layer
from pixlate.networks.reach import field

WIDEST = 8
"""Most feature maps over those of the first stage."""


class PatchGAN(Discriminator):
    """Judges each overlapping patch of an image (Isola et al. 2017, 6.1.2).

    Takes (batch, channels_in, height, width) in [-1, 1] and returns logits (batch, 1, h, w), one a patch. Three layers, 64 channels, batch norm
    and 6 channels in have 2,768,705 parameters and need 3.20 G multiply-adds at 256x256, where they judge 30x30 patches of 70x70 pixels.

    Args:
        channels_in: Channels of the input; 6 where the source is stacked on the target.
        channels: Feature maps of the first stage; they double with each up to eight times as many.
        layers: Halvings, at least 1: patches of 16, 34, 70, 142 and 286 pixels for 1 to 5.
        norm: Normalisation of all stages but the first and the last.
        spectral: Constrains every convolution by spectral norm, which is meant to stand in for ``norm``.
        attention: Adds self-attention after the last halving.
        antialias: Convolves at full size and halves by a blur, instead of strides (Zhang 2019), as CUT does.
        minibatch: What compares the images of a batch, before the last convolution.

    Raises:
        ValueError: No layers.
    """

    def __init__(
        self,
        channels_in: int = 3,
        channels: int = 64,
        layers: int = 3,
        norm: Norm = "batch",
        spectral: bool = False,
        attention: bool = False,
        antialias: bool = False,
        minibatch: Minibatch = "none",
    ) -> None:
        if layers < 1:
            raise ValueError(f"expected at least 1 layer, got {layers}; choose more, or a PixelDiscriminator")
        widths = [channels * min(2**level, WIDEST) for level in range(layers + 1)]
        stride = 1 if antialias else 2
        stages: list[list[nn.Module]] = [[constrained(nn.Conv2d(channels_in, channels, 4, stride, 1), spectral), nn.LeakyReLU(0.2, inplace=True)]]
        for level in range(1, layers + 1):
            convolution = nn.Conv2d(widths[level - 1], widths[level], 4, stride if level < layers else 1, 1, bias=biased(norm))
            stages.append([constrained(convolution, spectral), norm_layer(norm, widths[level]), nn.LeakyReLU(0.2, inplace=True)])
        if antialias:
            for stage in stages[:layers]:
                stage.append(blur_layer())
        if attention:
            stages[layers - 1].append(SelfAttention(widths[layers - 1]))
        compared, last = minibatch_layer(minibatch, widths[layers])
        stages.append([*compared, constrained(nn.Conv2d(last, 1, 4, 1, 1), spectral)])
        # The two convolutions of stride 1 each take a pixel from the sides.
        super().__init__(channels_in, [nn.Sequential(*stage) for stage in stages], minimum=3 * 2**layers)

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the patch that one logit judges, as far as convolutions go."""
        first, last = field(self.modules(), 0, 0)
        return last - first + 1


class PixelDiscriminator(Discriminator):
    """Judges each pixel by itself, its colour alone (the 1x1 PatchGAN of Isola et al. 2017, 4.4).

    Takes (batch, channels_in, height, width) in [-1, 1] and returns logits (batch, 1, height, width).

    Args:
        channels_in: Channels of the input.
        channels: Feature maps of the first stage; the second has twice as many.
        norm: Normalisation of the second stage.
        spectral: Constrains every convolution by spectral norm, which is meant to stand in for ``norm``.
        minibatch: What compares the images of a batch, before the last convolution.
    """

    def __init__(self, channels_in: int = 3, channels: int = 64, norm: Norm = "batch", spectral: bool = False, minibatch: Minibatch = "none") -> None:
        first = constrained(nn.Conv2d(channels_in, channels, 1), spectral)
        second = constrained(nn.Conv2d(channels, 2 * channels, 1, bias=biased(norm)), spectral)
        compared, last = minibatch_layer(minibatch, 2 * channels)
        final = constrained(nn.Conv2d(last, 1, 1), spectral)
        stages: list[nn.Module] = [
            nn.Sequential(first, nn.LeakyReLU(0.2, inplace=True)),
            nn.Sequential(second, norm_layer(norm, 2 * channels), nn.LeakyReLU(0.2, inplace=True)),
            nn.Sequential(*compared, final) if compared else final,
        ]
        super().__init__(channels_in, stages, minimum=2)  # statistics need more than one pixel
