"""Initial weights as the papers give them."""

from torch import nn


def scaled_kaiming(module: nn.Module, factor: float) -> None:
    """Draw every convolution from He's normal distribution times ``factor``, with zero bias.

    A factor of 0.1 keeps residual networks without normalisation near the identity at the start (Wang et al. 2018, ESRGAN, 3.1).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data.mul_(factor)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
