"""Parts that several networks share."""

from collections.abc import Callable

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input: (batch, channels, height, width) to the same shape.

    Args:
        channels: Channels in, between and out.
        activation: Makes the activation between the convolutions.
        norm: Whether each convolution is followed by batch normalisation.
    """

    def __init__(self, channels: int, activation: Callable[[], nn.Module], norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, channels, 3, padding=1)]
        layers += [nn.BatchNorm2d(channels)] if norm else []
        layers += [activation(), nn.Conv2d(channels, channels, 3, padding=1)]
        layers += [nn.BatchNorm2d(channels)] if norm else []
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features plus what the two convolutions make of them."""
        change: Tensor = self.layers(features)
        return features + change


class SubPixelUpsample(nn.Sequential):
    """Convolution and pixel shuffle: (batch, channels, h, w) to (batch, out, h * scale, w * scale) (Shi et al. 2016, eq. 4)."""

    def __init__(self, channels: int, out_channels: int, scale: int) -> None:
        super().__init__(nn.Conv2d(channels, out_channels * scale**2, 3, padding=1), nn.PixelShuffle(scale))


def upsampling_stages(scale: int) -> list[int]:
    """Split a scale into the factors of successive pixel shuffles: 4 gives [2, 2], 3 gives [3].

    Raises:
        ValueError: The scale is not 2, 3, 4 or 8.
    """
    stages = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}.get(scale)
    if stages is None:
        raise ValueError(f"expected a scale of 2, 3, 4 or 8, got {scale}; choose one of these")
    return stages
