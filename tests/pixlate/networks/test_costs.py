"""Parameters and multiply-adds of the published networks."""

import pytest
import torch
from torch import Tensor, nn

from pixlate.networks.patchgan import PatchGAN, PixelDiscriminator
from pixlate.networks.resnet import ResNet
from pixlate.networks.srgan_discriminator import SRGANDiscriminator
from pixlate.networks.unet import DEPTH_128, UNet
from pixlate.networks.unet_discriminator import UNetDiscriminator


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, channels: int, side: int) -> int:
    """Return the multiply-adds of all convolutions and dense layers for one image, counted as they run, without arithmetic."""
    total = 0

    def count(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        # a transposed convolution spreads each input pixel; the others gather each output pixel
        pixels = given[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += pixels[0].numel() * layer.get_parameter("weight")[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.device("meta"):
        network.to("meta").eval()(torch.empty(1, channels, side, side))
    return total


@pytest.mark.parametrize(
    ("network", "channels", "count", "billions"),
    [(ResNet(), 3, 11_378_179, 49.55), (UNet(), 3, 54_413_955, 6.05), (PatchGAN(6), 6, 2_768_705, 3.20)],
    ids=["resnet", "unet", "patchgan"],
)
def test_network_has_the_parameters_and_cost_of_the_reference(network: nn.Module, channels: int, count: int, billions: float) -> None:
    assert parameters(network) == count
    assert round(multiply_adds(network, channels, 256) / 1e9, 2) == billions


def test_smaller_published_networks_have_their_counts() -> None:
    """6 blocks are 3 fewer of two 3x3 convolutions each; U-Net-128 lacks one level of two 4x4 convolutions and two batch norms."""
    assert parameters(ResNet(blocks=6)) == 11_378_179 - 3 * 2 * (9 * 256 * 256 + 256)
    assert parameters(UNet(depth=DEPTH_128)) == 54_413_955 - 16 * 512 * (512 + 1024) - 2 * 2 * 512


def test_unet_has_as_many_tensors_as_published_checkpoints() -> None:
    counts = {}
    for norm in ("batch", "instance"):
        with torch.device("meta"):
            counts[norm] = len(UNet(norm=norm).state_dict())
    assert counts == {"batch": 82, "instance": 32}


def test_srgan_discriminator_has_the_layers_of_the_paper() -> None:
    with torch.device("meta"):
        network = SRGANDiscriminator()
    convolutions = [(layer.out_channels, layer.stride[0]) for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert convolutions == [(width, stride) for width in (64, 128, 256, 512) for stride in (1, 2)]
    weights = 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 256 * 256 + 256 * 512 + 512 * 512)
    batch_norms = 2 * (64 + 2 * 128 + 2 * 256 + 2 * 512)
    assert parameters(network) == weights + 64 + batch_norms + 512 * 36 * 1024 + 1024 + 1024 + 1


def test_pixel_discriminator_has_the_layers_of_the_paper() -> None:
    assert parameters(PixelDiscriminator(6)) == (6 * 64 + 64) + 64 * 128 + 2 * 128 + (128 + 1)


def test_unet_discriminator_has_the_published_parameters() -> None:
    with torch.device("meta"):
        assert parameters(UNetDiscriminator()) == 4_376_897
