"""What networks keep in 32 bits under mixed precision."""

import torch
from torch import nn

from pixlate.networks.blocks import ImageConv2d
from pixlate.networks.resnet import ResNet


def test_the_convolution_that_makes_an_image_computes_in_32_bits_on_features_of_16() -> None:
    torch.manual_seed(0)
    convolution = ImageConv2d(8, 3, 3)
    features = torch.randn(1, 8, 16, 16).bfloat16()
    exact = nn.functional.conv2d(features.double(), convolution.weight.double(), convolution.bias.double())  # type: ignore[union-attr]
    with torch.autocast("cpu", torch.bfloat16):
        found, rounded = convolution(features), nn.functional.conv2d(features, convolution.weight, convolution.bias)
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 1e-5 < 1e-3 < (rounded - exact).abs().max()
    found.sum().backward()
    assert convolution.weight.grad is not None and convolution.weight.grad.dtype == torch.float32


def test_images_of_a_resnet_are_of_32_bits_under_mixed_precision() -> None:
    torch.manual_seed(0)
    network = ResNet(channels=8, blocks=1)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(torch.rand(1, 3, 16, 16)).dtype == torch.float32
