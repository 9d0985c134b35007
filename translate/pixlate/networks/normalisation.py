"""Normalisation layers by name."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["batch", "instance", "group", "none"]
PER_IMAGE: tuple[Norm, ...] = ("instance", "group")
"""Norms whose statistics are those of each image, so that a tile is not normalised as the whole image is."""
MOST_GROUPS = 32


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm whose statistics are computed in float32 under mixed precision too.

    On CPUs PyTorch rounds the mean and the deviation to the features' 16 bits, unless there is a weight of 32.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised features, of the same type."""
        if features.dtype not in (torch.bfloat16, torch.float16):
            return super().forward(features)
        return functional.instance_norm(features, weight=torch.ones(features.shape[1], device=features.device), eps=self.eps)


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
            return InstanceNorm(channels)
        case "group":
            return nn.GroupNorm(max(groups for groups in range(1, min(MOST_GROUPS, channels) + 1) if channels % groups == 0), channels)
        case "none":
            return nn.Identity()
    raise ValueError(f"expected a norm of batch, instance, group or none, got {kind!r}; choose one of these")


def biased(kind: Norm) -> bool:
    """Return whether a convolution before this norm has a bias of its own: only where the norm learns no shift, or with instance norm as published."""
    return kind in ("instance", "none")
