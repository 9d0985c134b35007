"""A generator that colours line drawings of any size."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.symmetric import Symmetric
from pixlate_pix2pix.crop import Crop

PAPER = 33
"""Side of the square, in pixels of the reduced drawing, whose brightest pixel is taken for its paper."""
PAPER_OF_LINES = 9
"""The same where lines are looked for, whose edges are steeper than those of shadows."""
FAINT = 0.1
"""Ink of which there is less is taken for noise and shadow where lines are looked for."""
DARK, LIGHT = 0.2, 0.9
"""Brightness over the paper's at and below which a pixel is ink, and at and above which it is none."""
NEAR = 9
"""Side of the square, in pixels of the reduced drawing, around ink in which the network's own lines are taken out: it may draw them broader than the drawing has them."""
SPREADS = 4
"""How often colours are spread below the lines, by about a pixel each time."""


class WholeDrawing(Symmetric):
    """Colours the whole drawing at one size, where a network of limited sight sees what it shows, and keeps the lines of the drawing as they are.

    The square around its ink, or the whole drawing padded with paper to a square where ink fills most of it, is reduced, coloured by the network, and the colours are spread below the
    lines and enlarged; then the ink of the drawing, whatever is darker than the paper around it, is laid over them in black. So a drawing gets the same colours at 200 pixels, at 4,000
    and small on much paper, and lines stay sharp.

    Takes and returns (batch, 3, height, width) in [0, 1], of any size.

    Args:
        network: Of images in [-1, 1] with sides of ``side``, which may be a multiple of its own ``multiple``.
        side: Height and width at which it works, in pixels.
    """

    kernel: Tensor

    def __init__(self, network: nn.Module, side: int) -> None:
        super().__init__(network)
        self.side = side
        binomial = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (binomial[:, None] * binomial / 16).expand(4, 1, 3, 3).clone(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override] # it has no conditions
        """Return the coloured drawings."""
        height, width = images.shape[2:]
        page = functional.interpolate(images, size=(self.side, self.side), mode="bilinear", antialias=True)
        inked, found = (
            ink(images, functional.interpolate(paper, size=(height, width), mode="bilinear")) for paper in (paper_of(page), paper_of(page, PAPER_OF_LINES))
        )
        crop = Crop.around(((found - FAINT) / (1 - FAINT)).clamp(min=0), self.side)
        small = crop.reduced(images, brightest_near(page, PAPER), self.side)
        drawn = ink(small, paper_of(small))
        colours = super().forward(small)
        colours = self._spread(colours, (1 - drawn) * (1 - _broader(colours, drawn)))
        return crop.laid_back(colours, height, width) * (1 - inked)

    def _spread(self, colours: Tensor, bare: Tensor) -> Tensor:
        """Return colours that are those around a line where the paper is not bare: means of neighbours, weighted by how bare each is."""
        share = bare**4 + 1e-4
        weighted = torch.cat([colours.float() * share, share], dim=1)
        for _ in range(SPREADS):
            weighted = functional.conv2d(functional.pad(weighted, (1, 1, 1, 1), mode="replicate"), self.kernel, groups=4)
        return share * colours + (1 - share) * (weighted[:, :3] / weighted[:, 3:])


def _broader(colours: Tensor, drawn: Tensor) -> Tensor:
    """Return where the network has drawn lines beside those of the drawing, (batch, 1, height, width) in [0, 1]: near ink, and blacker than any colour, with a border."""
    black = ((DARK - colours.mean(1, keepdim=True)) / (DARK / 2)).clamp(0, 1)
    return functional.max_pool2d(black, 3, 1, 1) * functional.max_pool2d(drawn, NEAR, 1, NEAR // 2)


def paper_of(drawings: Tensor, side: int = PAPER) -> Tensor:
    """Return the brightness of the paper around each pixel, (batch, 1, height, width): the greatest near it, smoothed."""
    return brightest_near(drawings.mean(1, keepdim=True), side).clamp(min=0.1)


def brightest_near(images: Tensor, side: int) -> Tensor:
    """Return the greatest of each channel in a square of a side around each pixel, smoothed."""
    brightest = functional.max_pool2d(images, side, 1, side // 2)
    return functional.avg_pool2d(functional.pad(brightest, (side // 4,) * 4, mode="replicate"), side // 4 * 2 + 1, 1)


def ink(drawings: Tensor, paper: Tensor) -> Tensor:
    """Return how far pixels are covered with ink, (batch, 1, height, width) in [0, 1]."""
    return ((LIGHT - drawings.mean(1, keepdim=True) / paper) / (LIGHT - DARK)).clamp(0, 1)
