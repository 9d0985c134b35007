"""The U-Net of pytorch-CycleGAN-and-pix2pix, which contrastive-unpaired-translation has too."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pixlate
from pixlate.weights.adapting import norm_of, renamed, translation

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_DEPTH = 5
"""Halvings of the shallowest U-Net that its code builds."""


def import_unet(state: "Mapping[str, Tensor]", options: pixlate.ImportOptions) -> pixlate.ForeignGenerator | None:
    """Return the U-Net as ours, or None where these are not its weights.

    Its blocks are nested: each holds the deeper one between its own halving and doubling, as ``model.1`` of the outermost and ``model.3`` of the
    others. So names show the depth; the layers beside the convolutions show the norm.
    """
    levels = _levels(state)
    first, last = state.get("model.model.0.weight"), state.get("model.model.3.weight")
    if len(levels) < _LEAST_DEPTH or first is None or last is None or first.ndim != 4 or last.ndim != 4:
        return None
    from pixlate.networks.unet import UNet

    norm = norm_of(state, f"{levels[1]}.model.1", f"{levels[1]}.model.2")
    return translation(
        "pix2pix",
        f"U-Net of {len(levels)} halvings",
        lambda: UNet(first.shape[1], last.shape[1], len(levels), len(first), norm, dropout=0.0),
        renamed(state, _places(levels)),
        f"network.decoder.{len(levels) - 1}.1",
        norm,
        options,
        ["dropout: off, since the weights do not show whether there is any; its own code draws it again for each test picture, as no option of Pixlate does"],
    )


def _levels(state: "Mapping[str, Tensor]") -> list[str]:
    """Return the name of each block, from the outermost in."""
    levels = ["model", "model.model.1"]
    while f"{levels[-1]}.model.1.weight" in state:
        levels.append(f"{levels[-1]}.model.3")
    return levels[:-1]


def _places(levels: list[str]) -> dict[str, str]:
    """Return our name of each of its convolutions and norms."""
    deepest = len(levels) - 1
    places = {"model.model.0": "network.encoder.0.0", "model.model.3": f"network.decoder.{deepest}.1"}
    for level in range(1, deepest + 1):
        down, up = f"network.encoder.{level}", f"network.decoder.{deepest - level}"
        block = levels[level]
        places |= {f"{block}.model.1": f"{down}.1"}
        if level == deepest:  # with neither a block inside nor a norm at its one pixel
            places |= {f"{block}.model.3": f"{up}.1", f"{block}.model.4": f"{up}.2"}
        else:
            places |= {f"{block}.model.2": f"{down}.2", f"{block}.model.5": f"{up}.1", f"{block}.model.6": f"{up}.2"}
    return places
