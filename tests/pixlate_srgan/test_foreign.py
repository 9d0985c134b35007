"""Weights of BasicSR run as they do there."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pixlate import ForeignGenerator, ImportOptions
from pixlate.networks.srresnet import MSRResNet
from pixlate.plugins import installed
from pixlate_srgan.foreign import import_basicsr

CHANNELS, BLOCKS = 8, 2


def basicsr_weights(upsamplings: int) -> dict[str, Tensor]:
    """Random weights under BasicSR's names."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"conv_first": (CHANNELS, 3), "conv_hr": (CHANNELS, CHANNELS), "conv_last": (3, CHANNELS)}
    sizes |= {f"body.{block}.conv{number}": (CHANNELS, CHANNELS) for block in range(BLOCKS) for number in (1, 2)}
    sizes |= {f"upconv{number + 1}": (4 * CHANNELS, CHANNELS) for number in range(upsamplings)}
    state = {}
    for name, (out, into) in sizes.items():
        state[f"{name}.weight"] = torch.randn(out, into, 3, 3, generator=generator) * 0.2
        state[f"{name}.bias"] = torch.randn(out, generator=generator) * 0.2
    return state


def basicsr_forward(image: Tensor, state: dict[str, Tensor], upsamplings: int) -> Tensor:
    """BasicSR's MSRResNet as its publication describes it."""

    def convolve(name: str, features: Tensor) -> Tensor:
        return functional.conv2d(features, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    features = functional.leaky_relu(convolve("conv_first", image), 0.1)
    for block in range(BLOCKS):
        features = features + convolve(f"body.{block}.conv2", functional.relu(convolve(f"body.{block}.conv1", features)))
    for number in range(upsamplings):
        features = functional.leaky_relu(functional.pixel_shuffle(convolve(f"upconv{number + 1}", features), 2), 0.1)
    learned = convolve("conv_last", functional.leaky_relu(convolve("conv_hr", features), 0.1))
    return learned + functional.interpolate(image, scale_factor=2**upsamplings, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("upsamplings", [1, 2])
def test_msrresnet_of_basicsr_gives_its_own_pictures(upsamplings: int) -> None:
    state = basicsr_weights(upsamplings)
    foreign = installed().manager.hook.pixlate_import_checkpoint(state=state, options=ImportOptions())
    assert isinstance(foreign, ForeignGenerator) and isinstance(foreign.network, MSRResNet)
    assert foreign.spec.scale == 2**upsamplings
    image = torch.rand(1, 3, 7, 9)
    torch.testing.assert_close(foreign.network(image), basicsr_forward(image, state, upsamplings))


def test_other_weights_are_passed_on() -> None:
    assert import_basicsr({"model.1.weight": torch.zeros(1)}) is None
