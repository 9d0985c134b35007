"""Files of discriminators, which people keep beside those of generators."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm

from pixlate import ImportOptions, PixlateError
from pixlate.weights.discriminators import discriminator
from pixlate.weights.reading import recognise


def convolutions(names: str, *shapes: tuple[int, int, int]) -> dict[str, Tensor]:
    """Return the weights of convolutions of (out, in, side) under names."""
    return {f"{name}.weight": torch.zeros(out, channels, side, side) for name, (out, channels, side) in zip(names.split(), shapes, strict=True)}


def real_esrgan(norm: object) -> dict[str, Tensor]:
    layers = nn.ModuleDict({f"conv{index}": nn.Conv2d(4, 4, 3) for index in range(10)})
    for index in range(1, 9):
        norm(layers[f"conv{index}"])  # type: ignore[operator]
    return layers.state_dict()


def basicsr() -> dict[str, Tensor]:
    return {
        "conv0_0.weight": torch.zeros(4, 3, 3, 3),
        "bn0_1.weight": torch.zeros(4),
        "linear1.weight": torch.zeros(100, 9),
        "linear2.weight": torch.zeros(1, 100),
    }


DISCRIMINATORS = {
    "UNetDiscriminatorSN": real_esrgan(spectral_norm),
    "UNetDiscriminatorSN of Real-ESRGAN": real_esrgan(parametrizations.spectral_norm),
    "VGGStyleDiscriminator": basicsr(),
    "StyleGAN2Discriminator": {
        "conv_body.0.0.weight": torch.zeros(4, 3, 1, 1),
        "final_conv.0.weight": torch.zeros(4, 5, 3, 3),
        "final_linear.1.weight": torch.zeros(1, 4),
    },
    "PatchGAN": convolutions("model.0 model.2 model.5 model.8", (4, 6, 4), (8, 4, 4), (8, 8, 4), (1, 8, 4)),
    "MultiscaleDiscriminator": convolutions("scale0_layer0.0 scale0_layer1.0", (4, 6, 4), (1, 4, 4)),
    "PixelDiscriminator": convolutions("net.0 net.2 net.5", (4, 3, 1), (8, 4, 1), (1, 8, 1)),
    "leftthomas/SRGAN": convolutions("net.0 net.2 net.24 net.26", (4, 3, 3), (4, 4, 3), (16, 4, 1), (1, 16, 1)),
}


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_is_called_one(name: str) -> None:
    assert name in discriminator(DISCRIMINATORS[name])
    with pytest.raises(PixlateError, match=rf"expected a generator, but d\.pth is a discriminator \(.*{name}.*\), which judges pictures and makes none"):
        recognise(DISCRIMINATORS[name], ImportOptions(), Path("d.pth"))


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"strange.weight": torch.zeros(1)},
        convolutions("model.0 model.2", (4, 1, 3), (1, 4, 3)),
        convolutions("body.0 body.2", (4, 3, 4), (1, 4, 4)),
        convolutions("model.0 model.2", (4, 3, 4), (3, 4, 4)),
    ],
    ids=["nothing", "unknown", "grey generator", "other names", "colour"],
)
def test_other_weights_are_not(state: dict[str, Tensor]) -> None:
    assert discriminator(state) == ""
