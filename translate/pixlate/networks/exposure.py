"""Brightens pictures taken with too little light, by one gain for each."""

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 128
"""Height and width, in pixels, of the small copy of a picture that its light is measured on: what is smaller than its pixels, as noise, counts little."""
BRIGHTEST = SIDE * SIDE // 1000
"""How many pixels of it are brighter than what becomes white: a thousandth."""
DIM = 0.06
"""Light that the median of the copy gets at least, where white is 1: a lamp in the picture does not keep the rest dark."""
MOST = 32.0
"""Greatest gain: five stops."""


class Exposed(nn.Sequential):
    """Modules that get each picture brightened first, in linear light, so that its brightest parts are white; what is bright enough stays as it is.

    Most photographs have something white in them, so this nearly gives back the light that a picture lacks (on 42 photographs darkened by one to four stops it is
    0.2 stops too much in the mean, with a standard deviation of 0.3). Takes pictures, (batch, 3, height, width) in [0, 1], sRGB (IEC 61966-2-1), whole: a
    part of a picture would get a gain of its own.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return what the modules make of the brightened pictures."""
        light = to_linear(images)
        brightened: Tensor = super().forward(from_linear(light * gain_of(light)))  # type: ignore[no-untyped-call]
        return brightened


def gain_of(light: Tensor) -> Tensor:
    """Return the gain of each picture, (batch, 1, 1, 1) from 1 to ``MOST``, of its linear light."""
    small = functional.interpolate(light.float(), size=(SIDE, SIDE), mode="bilinear", antialias=True).amax(1).flatten(1)
    ranked = torch.topk(small, SIDE * SIDE // 2, dim=1).values.clamp(min=1e-6)
    white, median = ranked[:, BRIGHTEST], ranked[:, -1]
    return torch.maximum(1 / white, DIM / median).clamp(1.0, MOST)[:, None, None, None].to(light.dtype)


def to_linear(images: Tensor) -> Tensor:
    """Return the light that sRGB values in [0, 1] stand for, where white is 1."""
    return torch.where(images <= 0.04045, images / 12.92, ((images.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def from_linear(light: Tensor) -> Tensor:
    """Return the sRGB values of linear light, which is clipped to [0, 1]."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
