"""The U-Net of pytorch-CycleGAN-and-pix2pix, which contrastive-unpaired-translation has too."""

from collections.abc import Mapping

from torch import Tensor

import pixlate
from pixlate.networks.unet import UNet
from pixlate.weights.adapting import norm_of, renamed, translation

_LEAST_DEPTH = 5
"""Halvings of the shallowest U-Net that its code builds."""


def import_unet(state: Mapping[str, Tensor], options: pixlate.ImportOptions) -> pixlate.ForeignGenerator | None:
    """Return the U-Net as ours, or None where these are not its weights.

    Its blocks are nested: each holds the deeper one between its own halving and doubling, as ``model.1`` of the outermost and ``model.3`` of the
    others. So names show the depth; the layers beside the convolutions show the norm.
    """
    levels = ["model"]  # the name of each block, from the outermost in
    inner = "model.model.1"
    while f"{inner}.model.1.weight" in state:
        levels.append(inner)
        inner = f"{inner}.model.3"
    first, last = state.get("model.model.0.weight"), state.get("model.model.3.weight")
    if len(levels) < _LEAST_DEPTH or first is None or last is None or first.ndim != 4 or last.ndim != 4:
        return None
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


def _places(levels: list[str]) -> dict[str, str]:
    """Return our name of each of its convolutions and norms."""
    deepest = len(levels) - 1
    places = {"model.model.0": "network.encoder.0.0", "model.model.3": f"network.decoder.{deepest}.1"}
    for level, block in enumerate(levels[1:], 1):
        doubling = 3 if level == deepest else 5  # the deepest has neither a block inside nor a norm at its one pixel
        places |= {f"{block}.model.{layer}": f"network.encoder.{level}.{layer}" for layer in (1, 2)}
        places |= {f"{block}.model.{doubling + layer}": f"network.decoder.{deepest - level}.{1 + layer}" for layer in (0, 1)}
    return places
