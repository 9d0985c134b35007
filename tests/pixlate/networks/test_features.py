"""Features of the generators' layers, which losses such as PatchNCE compare."""

from typing import Any

import pytest
import torch

from pixlate.networks.compact import Compact
from pixlate.networks.r3gan import R3Generator
from pixlate.networks.resnet import ResNet
from pixlate.networks.span import SPAN
from pixlate.networks.srresnet import MSRResNet, SRResNet
from pixlate.networks.swin import Swin
from pixlate.networks.symmetric import Symmetric
from pixlate.networks.unet import UNet
from pixlate.networks.unet_vit import UNetViT

NETWORKS: dict[str, tuple[Any, list[tuple[int, int]]]] = {
    "resnet": (lambda: ResNet(blocks=2, channels=4), [(3, 16), (4, 16), (8, 8), (16, 4), (16, 4), (16, 4), (8, 8), (4, 16), (3, 16)]),
    "resnet-skip": (lambda: ResNet(blocks=1, channels=4, downsamplings=1, skip=True, attention=True), [(3, 16), (4, 16), (8, 8), (8, 8), (4, 16), (3, 16)]),
    "r3gan": (lambda: R3Generator(blocks=1, channels=4), [(3, 16), (4, 16), (8, 8), (16, 4), (8, 8), (4, 16), (3, 16)]),
    "unet": (lambda: UNet(depth=3, channels=4), [(3, 16), (4, 8), (8, 4), (16, 2), (8, 4), (4, 8), (3, 16)]),
    "unet-vit": (
        lambda: UNetViT(depth=2, channels=4, blocks=1, features=4, heads=1),
        [(3, 16), (4, 16), (4, 8), (8, 4), (8, 4), (4, 8), (4, 16), (3, 16)],
    ),
    "swin": (lambda: Swin(channels=4, groups=2, blocks=1, heads=1), [(3, 16), (4, 16), (4, 16), (4, 16), (4, 16), (3, 16)]),
    "srresnet": (lambda: SRResNet(4, channels=4, blocks=2), [(3, 16), (4, 16), (4, 16), (4, 16), (4, 16), (4, 32), (4, 64), (3, 64)]),
    "msrresnet": (lambda: MSRResNet(2, channels=4, blocks=2), [(3, 16), (4, 16), (4, 16), (4, 16), (3, 32)]),
    "compact": (lambda: Compact(2, channels=4, convolutions=1, shrink=2), [(3, 16), (4, 8), (4, 8), (3, 32)]),
    "span": (lambda: SPAN(2, channels=4, blocks=2), [(3, 16), (4, 16), (4, 16), (4, 16), (4, 16), (3, 32)]),
}
"""Small networks, and channels and side of each of their layers for images of 16 pixels."""


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NETWORKS)
def test_first_layer_is_the_images_and_the_last_one_the_output(name: str, images: torch.Tensor) -> None:
    make, shapes = NETWORKS[name]
    network = make().eval()
    with torch.no_grad():
        output = network(images)
        layers = list(range(network.layers + 1))
        features = network.features(images, layers)
        assert [(layer.shape[1], layer.shape[2]) for layer in features] == shapes
        assert torch.equal(features[0], images) and torch.equal(features[-1], output)
        for layer in layers:
            assert torch.equal(network.features(images, [layer])[0], features[layer]), "the same whether or not later layers run"
        assert all(map(torch.equal, network.features(images, [2, 0, 2]), (features[2], features[0], features[2])))


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_weights_up_to_the_layer_alone(name: str, images: torch.Tensor) -> None:
    network = NETWORKS[name][0]()
    network.features(images, [1])[0].sum().backward()
    moved = {key for key, weight in network.named_parameters() if weight.grad is not None}
    first = {"unet": "encoder.0", "r3gan": ("head", "encoder.0"), "compact": ("body.0", "body.1"), "span": "conv_1"}.get(name, "head")
    assert moved == {key for key, _ in network.named_parameters() if key.startswith(first)}


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_halving_of_a_resnet_is_seen_before_its_norm_activation_and_blur(norm: Any, images: torch.Tensor) -> None:
    network = ResNet(blocks=1, channels=4, norm=norm, halve="blurred").eval()
    with torch.no_grad():
        before, seen, output = network.features(images, [1, 2, network.layers])
        halving: Any = network.downsample[0]
        torch.testing.assert_close(seen, halving[0](before), rtol=0, atol=0)
        assert seen.min() < 0 and torch.equal(output, network(images))


def test_generator_of_images_from_zero_to_one_gives_its_output_in_that_range(images: torch.Tensor) -> None:
    network = Symmetric(ResNet(blocks=1, channels=4)).eval()
    middle, output = network.features(images, [3, 7])
    assert torch.equal(output, network(images))
    assert torch.equal(middle, network.network.features(images * 2 - 1, [3])[0])  # type: ignore[operator]


@pytest.mark.parametrize("layer", [-1, 5])
def test_layer_that_is_not_there_is_refused(layer: int, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=rf"expected layers from 0, the images, to 4, the output, got \[{layer}\]; choose among these"):
        MSRResNet(2, channels=4, blocks=2).features(images, [layer])
