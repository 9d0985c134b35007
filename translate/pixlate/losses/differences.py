"""Losses that compare: pixel with pixel, neighbour with neighbour, and a discriminator's features."""

from collections.abc import Sequence

import torch
from torch import Tensor

Features = Sequence[Tensor] | Sequence[Sequence[Tensor]]
"""What a discriminator's ``features`` returns: its layers' activations with the logits last, or a list of these for each scale."""


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of two tensors of one shape, as a scalar.

    Raises:
        ValueError: The shapes differ (broadcasting would hide a mistake).
    """
    return _difference(output, target).abs().mean()


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference of two tensors of one shape, as a scalar.

    Raises:
        ValueError: The shapes differ (broadcasting would hide a mistake).
    """
    return _difference(output, target).square().mean()


def total_variation(images: Tensor) -> Tensor:
    """Return the mean absolute difference of vertical neighbours plus that of horizontal ones, as a scalar (Rudin et al. 1992, anisotropic).

    Args:
        images: (batch, channels, height, width) of at least 2x2 pixels, any range.

    Raises:
        ValueError: There are no neighbours.
    """
    if images.ndim != 4 or min(images.shape[2:]) < 2:
        raise ValueError(f"expected (batch, channels, height, width) of at least 2x2 pixels, got {tuple(images.shape)}; pass larger images")
    import kornia  # two seconds

    return kornia.losses.total_variation(images, reduction="mean").mean()


def feature_matching(fake: Features, real: Features) -> Tensor:
    """Return the mean absolute difference of a discriminator's features, summed over layers and averaged over scales (Wang et al. 2018, pix2pixHD, eq. 3).

    The logits, which come last, are left out; no gradient reaches the real features.

    Args:
        fake: Features of generated images.
        real: Features of the real images they should resemble.

    Raises:
        ValueError: The features are not of the same layers, or there are logits alone.
    """
    ours, theirs = _by_scale(fake), _by_scale(real)
    layers = [[len(scale) for scale in scales] for scales in (ours, theirs)]
    if layers[0] != layers[1] or min(layers[0], default=0) < 2:
        raise ValueError(
            f"expected features of the same layers, at least one before the logits, got {layers[0]} and {layers[1]} of them; use one discriminator"
        )
    losses = [torch.stack([l1(one, other.detach()) for one, other in list(zip(*pair, strict=True))[:-1]]).sum() for pair in zip(ours, theirs, strict=True)]
    return torch.stack(losses).mean()


def _difference(output: Tensor, target: Tensor) -> Tensor:
    if output.shape != target.shape:
        raise ValueError(f"expected output and target of one shape, got {tuple(output.shape)} and {tuple(target.shape)}; crop or scale one of them")
    return output - target


def _by_scale(features: Features) -> list[list[Tensor]]:
    layers = [layer for layer in features if isinstance(layer, Tensor)]
    return [layers] if layers else [list(scale) for scale in features if not isinstance(scale, Tensor)]
