"""Colours for grey pictures: a network gives chroma in CIELAB, and light stays that of the picture. All of it is part of the network, so that any runner of the exported file has it."""

import torch
from torch import Tensor, nn

CHROMA = 110.0
"""Largest a* and b* that the network can ask for; what sRGB holds goes from -108 to 98 (Zhang et al. 2016, "Colorful Image Colorization")."""
LUMA = (0.299, 0.587, 0.114)
"""Luma of red, green and blue (ITU-R BT.601)."""
FROM_XYZ = ((3.24048134, -1.53715152, -0.49853633), (-0.96925495, 1.87599, 0.04155593), (0.05564664, -0.20404134, 1.05731107))
"""Linear red, green and blue of X, Y and Z (IEC 61966-2-1)."""
WHITE = (0.95047, 1.0, 1.08883)
"""X, Y and Z of the white point D65, seen at 2 degrees."""
KNEE = 6 / 29
"""Where CIELAB's cube root becomes a straight line."""
DARK, DARK_LINEAR = 0.04045, 0.0031308
"""Where sRGB's curve becomes a straight line, on either side."""


def linear(encoded: Tensor) -> Tensor:
    """Return linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return torch.where(encoded <= DARK, encoded / 12.92, ((encoded.clamp(min=DARK) + 0.055) / 1.055) ** 2.4)


def encoded(light: Tensor) -> Tensor:
    """Return sRGB values of linear light; below 0, where no display shows it, the straight line goes on."""
    return torch.where(light <= DARK_LINEAR, 12.92 * light, 1.055 * light.clamp(min=DARK_LINEAR) ** (1 / 2.4) - 0.055)


def lightness(light: Tensor) -> Tensor:
    """Return CIELAB's L* in [0, 100] of linear light Y in [0, 1] (CIE 15)."""
    root = torch.where(light > KNEE**3, light.clamp(min=KNEE**3) ** (1 / 3), light / (3 * KNEE**2) + 4 / 29)
    return 116 * root - 16


def rgb_of_lab(lab: Tensor) -> Tensor:
    """Return sRGB values (batch, 3, height, width) of L*, a* and b*; beyond [0, 1] for colours that sRGB does not hold."""
    middle = (lab[:, :1] + 16) / 116
    roots = (middle + lab[:, 1:2] / 500, middle, middle - lab[:, 2:] / 200)
    x, y, z = (white * torch.where(root > KNEE, root**3, 3 * KNEE**2 * (root - 4 / 29)) for white, root in zip(WHITE, roots, strict=True))
    return encoded(torch.cat([x * of_x + y * of_y + z * of_z for of_x, of_y, of_z in FROM_XYZ], dim=1))


def luma(images: Tensor) -> Tensor:
    """Return the luma (batch, 1, height, width) of images that are RGB or grey."""
    if images.shape[1] == 1:
        return images
    return LUMA[0] * images[:, :1] + LUMA[1] * images[:, 1:2] + LUMA[2] * images[:, 2:]


def coloured(grey: Tensor, chroma: Tensor) -> Tensor:
    """Return RGB images in [0, 1] whose luma is ``grey``, (batch, 1, height, width) in [0, 1], coloured by a* and b*, (batch, 2, height, width).

    The colour has the lightness of the grey; what its luma differs by is added to each channel. Where that leaves [0, 1], the colour is drawn towards the grey, as far as it
    must be, which keeps the luma too.
    """
    colours = rgb_of_lab(torch.cat([lightness(linear(grey)), chroma], dim=1))
    beside = colours - luma(colours)
    room = torch.where(beside > 0, 1 - grey, grey) / beside.abs().clamp(min=1e-6)
    return grey + beside * room.amin(dim=1, keepdim=True).clamp(max=1)


class LabColours(nn.Module):
    """A generator of RGB images in [0, 1] from grey or RGB ones, made from a network of images in [-1, 1] that gives two channels: a* and b* over :data:`CHROMA`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the images in colour, with the luma they had."""
        chroma: Tensor = self.network(images * 2 - 1)
        return coloured(luma(images).clamp(0, 1), CHROMA * chroma)
