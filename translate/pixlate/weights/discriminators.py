"""Names the discriminators that people save beside their generators, by the names and shapes of their weights."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_ORIGINAL = (".weight_orig", ".parametrizations.weight.original")
"""What spectral norm makes of the name of a weight, in both of PyTorch's implementations."""
_SEQUENCES = (
    (r"model\.\d+", {4}, "a PatchGAN, NLayerDiscriminator of pytorch-CycleGAN-and-pix2pix"),
    (r"(scale\d+_)?(layer|model)\d+\.\d+", {4}, "MultiscaleDiscriminator of pix2pixHD"),
    (r"net\.\d+", {1}, "PixelDiscriminator of pytorch-CycleGAN-and-pix2pix"),
    (r"net\.\d+", {1, 3}, "Discriminator of leftthomas/SRGAN"),
)
"""Names of the convolutions, their kernels' sides, and what the discriminator is called."""


def discriminator(state: "Mapping[str, Tensor]") -> str:
    """Return what a discriminator is called in its own code, empty where the weights are of none that is known."""
    if "conv0.weight" in state and "conv9.weight" in state and any(f"conv1{name}" in state for name in _ORIGINAL):
        return "UNetDiscriminatorSN of Real-ESRGAN"
    if "conv0_0.weight" in state and _gives_one_number(state, "linear2.weight"):
        return "VGGStyleDiscriminator of BasicSR"
    if "final_conv.0.weight" in state and _gives_one_number(state, "final_linear.1.weight"):
        return "StyleGAN2Discriminator of BasicSR"
    convolutions = {key: value.shape for key, value in state.items() if value.ndim == 4}
    if not convolutions or list(convolutions.values())[-1][0] != 1:  # their last one gives a plane of verdicts
        return ""
    kernels = {side for shape in convolutions.values() for side in shape[2:]}
    for names, sides, title in _SEQUENCES:
        if sides == kernels and all(re.fullmatch(rf"{names}\.(weight|weight_orig|parametrizations\.weight\.original)", key) for key in convolutions):
            return title
    return ""


def _gives_one_number(state: "Mapping[str, Tensor]", key: str) -> bool:
    return key in state and state[key].ndim == 2 and state[key].shape[0] == 1
