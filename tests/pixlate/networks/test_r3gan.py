"""The networks of R3GAN against their definition."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.initialisation import initialise
from pixlate.networks.r3gan import R3Block, R3Discriminator, R3Generator

ROW = torch.tensor([1.0, 3.0, 3.0, 1.0])
BLUR = (ROW.outer(ROW) / 64)[None, None]


def lively(network: nn.Module) -> Any:
    """Return the network with its biases and last convolutions, which start at 0, drawn too."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, 0.0, 0.1)
    return network


def halved(features: Tensor) -> Tensor:
    """Downsample as upfirdn2d does: over zeros, by the kernel 1, 3, 3, 1."""
    planes = functional.conv2d(features.flatten(0, 1)[:, None], BLUR, stride=2, padding=1)
    return planes.view(*features.shape[:2], *planes.shape[2:])


def doubled(features: Tensor) -> Tensor:
    """Upsample likewise."""
    planes = functional.conv_transpose2d(features.flatten(0, 1)[:, None], 4 * BLUR, stride=2, padding=1)
    return planes.view(*features.shape[:2], *planes.shape[2:])


def block(features: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    """A block of the paper: 1x1, grouped 3x3 and 1x1, with leaky ReLU of slope 0.2 over a bias after the first two."""
    inner = functional.conv2d(features, weights[f"{name}.layers.0.weight"]) + weights[f"{name}.layers.0.bias"].view(1, -1, 1, 1)
    grouped = weights[f"{name}.layers.2.weight"]
    inner = functional.conv2d(functional.leaky_relu(inner, 0.2), grouped, padding=1, groups=inner.shape[1] // grouped.shape[1])
    inner = functional.leaky_relu(inner + weights[f"{name}.layers.2.bias"].view(1, -1, 1, 1), 0.2)
    return features + functional.conv2d(inner, weights[f"{name}.layers.4.weight"])


def test_discriminator_is_that_of_the_paper() -> None:
    network = lively(R3Discriminator(channels=16, layers=2))
    weights, images = network.state_dict(), torch.randn(2, 3, 16, 16)
    features = functional.conv2d(images, weights["stages.0.0.weight"])
    for stage in range(3):
        first = 1 if stage == 0 else 5
        if stage:
            features = functional.conv2d(halved(features), weights[f"stages.{stage}.4.weight"])
        for number in (0, 1):
            features = block(features, weights, f"stages.{stage}.{first + number}")
    weighted = (features * weights["stages.3.0.weight"][:, 0]).sum((2, 3))
    torch.testing.assert_close(network(images).flatten(), weighted @ weights["stages.3.1.weight"].flatten(), rtol=1e-4, atol=1e-4)
    assert weights["stages.0.1.layers.2.weight"].shape == (32, 16, 3, 3), "groups of 16"


def test_generator_has_the_blocks_of_the_paper_and_adds_the_encoder() -> None:
    network = lively(R3Generator(channels=8, downsamplings=1))
    weights, images = network.state_dict(), torch.randn(2, 3, 8, 12)
    outer = functional.conv2d(images, weights["head.weight"])
    for name in ("encoder.0.0", "encoder.0.1"):
        outer = block(outer, weights, name)
    inner = functional.conv2d(halved(outer), weights["down.0.4.weight"])
    for name in ("body.0", "body.1"):
        inner = block(inner, weights, name)
    features = outer + doubled(functional.conv2d(inner, weights["up.0.0.weight"]))
    for name in ("decoder.0.0", "decoder.0.1"):
        features = block(features, weights, name)
    torch.testing.assert_close(network(images), functional.conv2d(features, weights["tail.weight"]), rtol=1e-4, atol=1e-4)


def test_fix_up_starts_without_blocks_and_keeps_the_variance() -> None:
    torch.manual_seed(0)
    network = R3Discriminator(channels=64, layers=1)
    gain = math.sqrt(2 / 1.04) * 4**-0.25  # four blocks of three convolutions each
    blocks: list[Any] = [module for module in network.modules() if isinstance(module, R3Block)]
    for each in blocks:
        first, _, second, _, third = each.layers
        assert not third.weight.any() and not first.bias.any() and not second.bias.any()
        for convolution in (first, second):
            assert convolution.weight.std().item() == pytest.approx(gain / convolution.weight[0].numel() ** 0.5, rel=0.05)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    initialise(network, "kaiming")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items()), "and no option draws them otherwise"
    doubling = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(network(2 * doubling), 2 * network(doubling))


def test_discriminator_of_ffhq_has_the_published_layers() -> None:
    """Widths of 96 to 768, groups of 16, and two blocks at each of seven sizes."""
    with torch.device("meta"):
        network = R3Discriminator()
    widths = [96, 192, 384, 768, 768, 768, 768]
    blocks = sum(2 * (2 * width * width * 2 + 2 * width * 16 * 9 + 4 * width) for width in widths)
    changes = 96 * 192 + 192 * 384 + 384 * 768
    assert sum(parameter.numel() for parameter in network.parameters()) == 3 * 96 + blocks + changes + 768 * 16 + 768
    assert network.minimum == 256
