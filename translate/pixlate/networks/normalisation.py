"""Normalisation layers by name."""

from typing import Literal

from torch import nn

Norm = Literal["batch", "instance", "group", "none"]
PER_IMAGE: tuple[Norm, ...] = ("instance", "group")
"""Norms whose statistics are those of each image, so that a tile is not normalised as the whole image is."""
MOST_GROUPS = 32


def norm_layer(kind: Norm, channels: int) -> nn.Module:
    """Return a layer that normalises (batch, channels, height, width) and keeps its shape.

    ``batch`` learns scale and shift and keeps running statistics; ``instance`` does neither (Ulyanov et al. 2016, as CycleGAN uses it);
    ``group`` learns scale and shift, with the largest number of groups up to 32 that divides the channels (Wu and He 2018); ``none`` does nothing.

    Raises:
        ValueError: There is no norm of that name.
    """
    match kind:
        case "batch":
            return nn.BatchNorm2d(channels)
        case "instance":
            return nn.InstanceNorm2d(channels)
        case "group":
            return nn.GroupNorm(max(groups for groups in range(1, min(MOST_GROUPS, channels) + 1) if channels % groups == 0), channels)
        case "none":
            return nn.Identity()
    raise ValueError(f"expected a norm of batch, instance, group or none, got {kind!r}; choose one of these")


def biased(kind: Norm) -> bool:
    """Return whether a convolution before this norm has a bias of its own: only where the norm learns no shift, or with instance norm as published."""
    return kind in ("instance", "none")
