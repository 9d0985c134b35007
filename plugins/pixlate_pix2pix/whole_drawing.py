"""A generator that colours line drawings of any size."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.symmetric import Symmetric

PAPER = 33
"""Side of the square, in pixels of the reduced drawing, whose brightest pixel is taken for its paper."""
DARK, LIGHT = 0.2, 0.9
"""Brightness over the paper's at and below which a pixel is ink, and at and above which it is none."""
NEAR = 9
"""Side of the square, in pixels of the reduced drawing, around ink in which the network's own lines are taken out: it may draw them broader than the drawing has them."""
SPREADS = 4
"""How often colours are spread below the lines, by about a pixel each time."""


class WholeDrawing(Symmetric):
    """Colours the whole drawing at one size, where a network of limited sight sees what it shows, and keeps the lines of the drawing as they are.

    The drawing is reduced to a square, coloured there by the network, and the colours are spread below its lines and enlarged; then the ink of the drawing,
    whatever is darker than the paper around it, is laid over them in black. So a drawing of 200 pixels and the same of 4,000 get the same colours, and lines stay sharp.

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

    def forward(self, images: Tensor) -> Tensor:
        """Return the coloured drawings."""
        small = functional.interpolate(images, size=(self.side, self.side), mode="bilinear", antialias=True)
        paper = paper_of(small)
        drawn = ink(small, paper)
        colours = super().forward(small)
        colours = self._spread(colours, (1 - drawn) * (1 - _broader(colours, drawn)))
        size = images.shape[2:]
        colours, paper = (functional.interpolate(each, size=size, mode="bilinear") for each in (colours, paper))
        return colours * (1 - ink(images, paper))

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


def paper_of(drawings: Tensor) -> Tensor:
    """Return the brightness of the paper around each pixel, (batch, 1, height, width): the greatest near it, smoothed."""
    brightest = functional.max_pool2d(drawings.mean(1, keepdim=True), PAPER, 1, PAPER // 2)
    smooth = functional.avg_pool2d(functional.pad(brightest, (PAPER // 4,) * 4, mode="replicate"), PAPER // 4 * 2 + 1, 1)
    return smooth.clamp(min=0.1)


def ink(drawings: Tensor, paper: Tensor) -> Tensor:
    """Return how far pixels are covered with ink, (batch, 1, height, width) in [0, 1]."""
    return ((LIGHT - drawings.mean(1, keepdim=True) / paper) / (LIGHT - DARK)).clamp(0, 1)
