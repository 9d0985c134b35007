"""Initial weights as the papers give them."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

Initialisation = Literal["normal", "xavier", "kaiming", "orthogonal"]
QUIET = 1e-4
"""What the weights of a :class:`QuietConv2d` are multiplied with."""
_POWER_ITERATIONS = 15


class QuietConv2d(nn.Conv2d):
    """A convolution that starts near zero, however its weights are drawn; the end of networks that learn a change."""

    def reset_parameters(self) -> None:
        """Draw the weights as PyTorch does, then make them small."""
        super().reset_parameters()
        _quieten(self)


def initialise(module: nn.Module, kind: Initialisation = "normal", gain: float = 0.02) -> None:
    """Draw the weights of all convolutions and dense layers, set their biases to 0, and draw batch norms' weights from N(1, gain) with bias 0.

    Weights under spectral norm are drawn before their division by the norm. Other layers keep what they have, and so do networks with an attribute ``drawn``,
    whose weights come with a distribution of their own.

    Args:
        module: Changed in place.
        kind: ``normal`` is N(0, gain), as Pix2Pix and CycleGAN; ``xavier`` Glorot's normal distribution times the gain; ``kaiming`` He's normal
            distribution, which has a gain of its own; ``orthogonal`` orthogonal matrices times the gain.
        gain: Standard deviation or factor.

    Raises:
        ValueError: There is no distribution of that name.
    """
    for layer in _to_draw(module):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            parametrized = parametrize.is_parametrized(layer, "weight")
            _draw(layer.get_parameter("parametrizations.weight.original" if parametrized else "weight"), kind, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if isinstance(layer, QuietConv2d):
                _quieten(layer)
            if parametrized:
                _settle(layer)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, gain)
            nn.init.zeros_(layer.bias)


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


def _to_draw(module: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and those within it, but for networks with ``drawn``."""
    if not hasattr(module, "drawn"):
        yield module
        for child in module.children():
            yield from _to_draw(child)


def _draw(weight: Tensor, kind: Initialisation, gain: float) -> None:
    match kind:
        case "normal":
            nn.init.normal_(weight, 0.0, gain)
        case "xavier":
            nn.init.xavier_normal_(weight, gain)
        case "kaiming":
            nn.init.kaiming_normal_(weight)
        case "orthogonal":
            nn.init.orthogonal_(weight, gain)
        case _:
            raise ValueError(f"expected an initialisation of normal, xavier, kaiming or orthogonal, got {kind!r}; choose one of these")


def _quieten(layer: nn.Conv2d) -> None:
    with torch.no_grad():
        layer.weight.mul_(QUIET)
        if layer.bias is not None:
            layer.bias.mul_(QUIET)


def _settle(layer: nn.Module) -> None:
    """Let spectral norm's estimate of the largest singular value follow the new weights: each look at them in training is one power iteration."""
    spectral_norm = layer.get_submodule("parametrizations.weight")
    training = spectral_norm.training
    spectral_norm.train()
    with torch.no_grad():
        for _ in range(_POWER_ITERATIONS):
            spectral_norm()
    spectral_norm.train(training)
