"""The discriminator of Real-ESRGAN."""

from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.blocks import require_images
from pixlate.networks.discriminator import Discriminator, constrained

_LEVELS = 3
"""Halvings, and doublings after them."""


class UNetDiscriminator(Discriminator):
    """Judges each pixel by what is around it, near and far: a U-Net under spectral norm (Schoenfeld et al. 2020; Wang et al. 2021, Real-ESRGAN, section 3.3).

    Takes (batch, channels_in, height, width) of any size from 8x8 and returns logits (batch, 1, height, width). 64 channels have 4,376,897 parameters.
    The first and the last convolution are not constrained, as published.

    Args:
        channels_in: Channels of the input.
        channels: Feature maps at full size; each halving doubles them.
    """

    def __init__(self, channels_in: int = 3, channels: int = 64) -> None:
        def stage(width: int, wider: int, kernel: int) -> nn.Module:
            convolution = nn.Conv2d(width, wider, kernel, stride=2 if kernel == 4 else 1, padding=1, bias=False)
            return nn.Sequential(constrained(convolution, True), nn.LeakyReLU(0.2, inplace=True))

        widths = [channels * 2**level for level in range(_LEVELS + 1)]
        first = nn.Sequential(nn.Conv2d(channels_in, channels, 3, padding=1), nn.LeakyReLU(0.2, inplace=True))
        down = [stage(widths[level], widths[level + 1], 4) for level in range(_LEVELS)]
        up = [stage(widths[level + 1], widths[level], 3) for level in reversed(range(_LEVELS))]
        last = [stage(channels, channels, 3), stage(channels, channels, 3), nn.Conv2d(channels, 1, 3, padding=1)]
        super().__init__(channels_in, [first, *down, *up, *last], minimum=2**_LEVELS)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return what each stage makes of the images; the logits are last. Doublings interpolate to the size of the halving that they are added to."""
        require_images(images, self.channels_in, self.minimum)
        found: list[Tensor] = []
        output = images
        for number, stage in enumerate(self.stages):
            rising = number - _LEVELS - 1
            if 0 <= rising < _LEVELS:
                beside = found[_LEVELS - 1 - rising]
                output = stage(functional.interpolate(output, size=beside.shape[2:], mode="bilinear", align_corners=False)) + beside
            else:
                output = stage(output)
            found.append(output)
        return found
