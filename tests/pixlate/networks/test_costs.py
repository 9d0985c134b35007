"""Parameters and multiply-adds of the published networks."""

import pytest
import torch
from torch import Tensor, nn

from pixlate.networks.patchgan import PatchGAN, PixelDiscriminator
from pixlate.networks.resnet import ResNet
from pixlate.networks.srgan_discriminator import SRGANDiscriminator
from pixlate.networks.swin import Swin
from pixlate.networks.unet import DEPTH_128, UNet
from pixlate.networks.unet_discriminator import UNetDiscriminator
from pixlate.networks.unet_vit import UNetViT


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


@pytest.mark.parametrize(("scale", "thousands"), [(2, 878), (3, 886), (4, 897)])
def test_swin_has_the_parameters_of_swinir_light(scale: int, thousands: int) -> None:
    """Liang et al. 2021, table 3, which leaves out the weights of one 3x3 convolution of 60 channels; the network itself has 910, 918 and 930 K."""
    assert round((parameters(Swin(scale=scale)) - 9 * 60 * 60) / 1e3) == thousands


def test_swin_has_the_parameters_of_classical_swinir() -> None:
    """Liang et al. 2021, table 6: 11.9 M; and layer by layer."""
    norm, dense, width = 2 * 180, 180 * 360 + 360 + 360 * 180 + 180, 9 * 180 * 180 + 180
    block = 2 * norm + 15 * 15 * 6 + 180 * 540 + 540 + 180 * 180 + 180 + dense
    tail = 9 * 180 * 64 + 64 + 2 * (9 * 64 * 256 + 256) + 9 * 64 * 3 + 3
    count = parameters(Swin(scale=4, channels=180, groups=6, tail="staged"))
    assert count == 9 * 3 * 180 + 180 + 2 * norm + 6 * (6 * block + width) + width + tail
    assert round(count / 1e6, 1) == 11.9


def test_unet_vit_has_the_parameters_of_uvcgan() -> None:
    """Torbunov et al. 2022, layer by layer: 48, 96, 192 and 384 channels, 12 blocks of 384 features and 1536 between the dense layers."""

    def convolution(channels: int, out: int, kernel: int = 3) -> int:
        return kernel**2 * channels * out + out

    levels = 0
    for above, width in ((48, 48), (48, 96), (96, 192), (192, 384)):
        levels += convolution(above, width) + convolution(width, width) + convolution(width, width, 2)
        levels += convolution(width, width) + convolution(2 * width, width) + convolution(width, above)
    dense = {(2, 384): 1, (768, 384): 1, (384, 384): 1 + 12 * 4, (384, 1536): 12, (1536, 384): 12}
    transformer = sum(count * (start * end + end) for (start, end), count in dense.items()) + 12 * (2 * 2 * 384 + 1)
    assert parameters(UNetViT()) == convolution(3, 48) + levels + transformer + convolution(48, 3, 1)


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
