"""SRResNet with an output that stays within range."""

import torch
from torch import Tensor, nn

from pixlate.networks.srresnet import SRResNet


class SquashedSRResNet(SRResNet):
    """The generator of leftthomas/SRGAN: SRResNet under (tanh + 1) / 2, so that its output is in (0, 1).

    Args:
        scale: 2, 4 or 8.
        channels: Feature maps.
        blocks: Residual blocks.
        normed: Whether a batch norm ends the body; in its early versions an activation does.
    """

    def __init__(self, scale: int, channels: int, blocks: int, normed: bool = True) -> None:
        super().__init__(scale, channels, blocks)
        if not normed:
            self.body[-1] = nn.PReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return the enlarged images."""
        return (torch.tanh(super().forward(images)) + 1) / 2
