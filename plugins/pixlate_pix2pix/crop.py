"""The part of a picture that a drawing takes up: found, reduced to a square that a network sees, and laid back."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SHARE = 0.75
"""What the ink takes of the side of a crop: the median of OpenMoji's drawings, whose middle 98 % take 0.56 to 0.92."""
CROPPED, WHOLE = 0.7, 0.8
"""Side of the crop over the picture's longer one, at and below which the crop is seen, and at and above which the whole picture is; between them one becomes the other."""
LEAST = 1 / 8
"""Least side of a crop over the picture's longer one."""
AROUND = 5
"""Side of the square, in cells, whose mean tells lines from specks."""
LONELY, FAINTEST, STRONGEST = 0.3, 0.005, 0.03
"""Ink is a speck where that mean is below this share of what it is around ink on the whole; least and most of this threshold, as shares of the paper covered."""
CUT = 0.004
"""Share of the ink that may be beyond each side of the box around it."""
ENOUGH = 1.0
"""Ink, in cells, below which there may be nothing but specks: the crop grows to the whole picture, and the colours fade."""


@dataclass(frozen=True)
class Crop:
    """A square of each picture of a batch, which may reach beyond the picture.

    It changes continuously with the picture, so that videos do not flicker and every runtime finds the same. Each picture has its own scale, so products of matrices resample.
    """

    down: Tensor
    """Its middle, (batch, 1), in pixels below the picture's top."""
    across: Tensor
    """Its middle, (batch, 1), in pixels right of the picture's left side."""
    side: Tensor
    """Height and width, (batch, 1), in pixels."""
    drawn: Tensor
    """Whether there is more than specks at all, (batch, 1) in [0, 1]; blank paper stays blank."""

    @classmethod
    def around(cls, inked: Tensor, cells: int) -> "Crop":
        """Return the squares around the ink, found on a grid of ``cells`` x ``cells``; ``inked`` (batch, 1, height, width) says how far pixels are covered, in [0, 1]."""
        height, width = (inked.new_full((1, 1), side) for side in inked.shape[2:])
        longer = torch.maximum(height, width)
        ink = _without_specks(functional.interpolate(inked, size=(cells, cells), mode="bilinear", antialias=True))[:, 0]
        above, below = (bare * height for bare in _bare(ink.sum(2)))
        before, behind = (bare * width for bare in _bare(ink.sum(1)))
        share = (torch.maximum(height - above - below, width - before - behind) / (SHARE * longer)).clamp(min=LEAST)
        drawn = (ink.sum((1, 2))[:, None] / ENOUGH).clamp(0, 1)
        cropped = ((WHOLE - share) / (WHOLE - CROPPED)).clamp(0, 1) * drawn
        return cls((height - (below - above) * cropped) / 2, (width - (behind - before) * cropped) / 2, (1 - (1 - share) * cropped) * longer, drawn)

    def reduced(self, images: Tensor, paper: Tensor, size: int) -> Tensor:
        """Return the squares of images at ``size`` x ``size``, and where they reach beyond an image, the nearest of its paper, (batch, channels, any height, any width)."""
        places = 0.5 - torch.arange(0.5, size, dtype=torch.float32, device=images.device) / size
        rows, columns = self.down - places * self.side, self.across - places * self.side
        reach = (self.side / size).clamp(min=1)
        height, width = images.shape[2:]
        seen, inside = _sampled(images, rows, columns, reach)
        count = paper.shape[2:]
        near = [(at * (cells / length)).clamp(0.5, cells - 0.5) for at, cells, length in ((rows, count[0], height), (columns, count[1], width))]
        return seen + (1 - inside) * _sampled(paper, near[0], near[1], torch.ones_like(reach))[0]

    def laid_back(self, colours: Tensor, height: int, width: int) -> Tensor:
        """Return pictures of a height and width that show colours (batch, channels, size, size) in the squares, and white around them, or all white where nothing is drawn."""
        size = colours.shape[2]
        rows, columns = (
            (0.5 - (middle - torch.arange(0.5, length, dtype=torch.float32, device=colours.device)) / self.side) * size
            for middle, length in ((self.down, height), (self.across, width))
        )
        shown, inside = _sampled(colours, rows, columns, (size / self.side).clamp(min=1))
        return 1 - (inside - shown) * self.drawn[:, :, None, None]


def _without_specks(ink: Tensor) -> Tensor:
    """Return ink (batch, 1, cells, cells) without what has too little around it."""
    around = functional.avg_pool2d(ink, AROUND, 1, AROUND // 2)
    usual = (ink * around).sum((2, 3), keepdim=True) / ink.sum((2, 3), keepdim=True).clamp(min=1e-6)
    return ink * (around / (usual * LONELY).clamp(FAINTEST, STRONGEST) - 1).clamp(0, 1)


def _bare(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Return which shares of a side, before and behind, have next to no ink, both (batch, 1), from sums of ink along it (batch, cells)."""
    upto = torch.cumsum(ink / ink.sum(1, keepdim=True).clamp(min=1e-6) / CUT, 1)
    behind = torch.cumsum(ink.flip(1) / ink.sum(1, keepdim=True).clamp(min=1e-6) / CUT, 1)
    before, after = ((1 - each).clamp(min=0).mean(1, keepdim=True) for each in (upto, behind))
    return before, after


def _sampled(images: Tensor, rows: Tensor, columns: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Return images at rows x columns (batch, count) in pixels, weighted by a triangle of a reach (batch, 1) in pixels, and where that is inside of them, both 0 elsewhere."""
    down, above = _weights(rows, images.shape[2], reach)
    across, beside = _weights(columns, images.shape[3], reach)
    return down @ images @ across.mT, above[:, None, :, None] * beside[:, None, None, :]


def _weights(places: Tensor, length: int, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weight of each pixel of a side at each place, (batch, 1, count, length), and whether that is within the side, (batch, count)."""
    inside = ((places >= 0) & (places <= length)).to(places.dtype)
    distance = (places[:, :, None] - torch.arange(0.5, length, dtype=torch.float32, device=places.device)).abs()
    weights = (1 - distance / reach[:, :, None]).clamp(min=0)
    return (weights * (inside / weights.sum(2).clamp(min=0.1))[:, :, None])[:, None], inside
