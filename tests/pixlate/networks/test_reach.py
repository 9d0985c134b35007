"""How far generators see, and tiles cut accordingly."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pixlate.inference.sizes import spec_sizes
from pixlate.networks.r3gan import R3Generator
from pixlate.networks.resnet import ResNet
from pixlate.networks.swin import Swin
from pixlate.networks.unet import DEPTH_256, UNet
from pixlate.networks.unet_vit import UNetViT

Network = UNet | ResNet | R3Generator | Swin | UNetViT
MAKERS: dict[str, Callable[[], Network]] = {
    "resnet": lambda: ResNet(blocks=2, channels=2, norm="batch"),
    "resnet without halving": lambda: ResNet(blocks=1, channels=2, downsamplings=0, norm="none"),
    "resnet with three halvings": lambda: ResNet(blocks=1, channels=2, downsamplings=3, norm="none"),
    "resnet that resizes": lambda: ResNet(blocks=1, channels=2, norm="batch", upsampling="resize"),
    "resnet that blurs": lambda: ResNet(blocks=1, channels=2, norm="batch", upsampling="bilinear", halve="blurred", padding="replicate"),
    "resnet with zeros beyond the border": lambda: ResNet(blocks=1, channels=2, norm="none", padding="zero"),
    "resnet with skip": lambda: ResNet(blocks=1, channels=2, norm="none", skip=True),
    "resnet of single pixels": lambda: ResNet(blocks=1, channels=2, downsamplings=0, norm="none", pointwise=True),
    "r3gan": lambda: R3Generator(blocks=1, channels=2, downsamplings=2),
    "r3gan without halving": lambda: R3Generator(blocks=1, channels=2, downsamplings=0),
    "unet of depth 2": lambda: UNet(depth=2, channels=2),
    "unet of depth 4": lambda: UNet(depth=4, channels=2, norm="none"),
    "unet that resizes": lambda: UNet(depth=3, channels=2, upsampling="resize"),
    "swin": lambda: Swin(channels=2, groups=1, blocks=2, heads=1, window=4),
    "swin of two groups and three blocks": lambda: Swin(channels=2, groups=2, blocks=3, heads=1, window=4, skip=True),
}


def lively(network: Network) -> Network:
    """Return the network in eval mode and 64 bits with positive weights, so that every pixel within reach is seen before the tanh."""
    torch.manual_seed(0)
    for parameter in network.double().parameters():
        with torch.no_grad():
            parameter.copy_(torch.rand_like(parameter) + 0.5)
            if parameter.ndim == 4:
                parameter.div_(parameter[0].numel())
    return network.eval()


def without_tanh(network: Network) -> Network:
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Tanh):
            network.set_submodule(name, nn.Identity())
    return network


def reached(network: Network, centre: int, side: int, axis: int) -> Tensor:
    """Return the offsets along an axis of the input pixels on which an output pixel depends, by its gradient."""
    images = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(images)[0, :, centre, centre].sum(), images)
    return gradient[0].abs().amax((0, 2 - axis)).nonzero().flatten() - centre


@pytest.mark.parametrize("maker", MAKERS)
def test_halo_is_exactly_the_radius_of_the_receptive_field(maker: str) -> None:
    network = without_tanh(lively(MAKERS[maker]()))
    period = network.multiple
    side = -(-(2 * network.halo + 2 * period + 1) // period) * period
    start = -(-network.halo // period) * period
    farthest = [
        max(int(-offsets.min()), int(offsets.max())) for axis in (0, 1) for at in range(period) if len(offsets := reached(network, start + at, side, axis))
    ]
    assert max(farthest) == network.halo


@pytest.mark.parametrize("maker", MAKERS)
def test_tiles_with_halo_are_exact(maker: str) -> None:
    """Tiles on the grid of strides, some of them at the image's own border, where reflection and padding stay what they are."""
    network = without_tanh(lively(MAKERS[maker]()))
    assert network.exact
    period, halo = network.multiple, -(-network.halo // network.multiple) * network.multiple
    tile = 2 * halo + 2 * period
    image = torch.rand(1, 3, tile + 2 * period, tile + 4 * period, dtype=torch.float64)
    with torch.no_grad():
        whole = network(image)
        for top in (0, 2 * period):
            for left in (0, 2 * period, 4 * period):
                part = network(image[:, :, top : top + tile, left : left + tile])
                rows = slice(0 if top == 0 else network.halo, tile if top == 2 * period else tile - network.halo)
                columns = slice(0 if left == 0 else network.halo, tile if left == 4 * period else tile - network.halo)
                expected = whole[:, :, top : top + tile, left : left + tile]
                assert torch.allclose(part[:, :, rows, columns], expected[:, :, rows, columns], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "network",
    [
        ResNet(blocks=1, channels=8, norm="instance"),
        ResNet(blocks=1, channels=8, norm="group"),
        ResNet(blocks=1, channels=8, norm="none", attention=True),
        UNet(depth=2, channels=8, norm="instance"),
        UNet(depth=2, channels=8, norm="group"),
        UNet(depth=2, channels=8, attention=True),
        UNetViT(depth=2, channels=8, blocks=1, features=8, heads=2, norm="none"),
    ],
    ids=lambda network: type(network).__name__,
)
def test_networks_with_a_global_receptive_field_are_not_exact_in_tiles(network: Network) -> None:
    torch.manual_seed(0)
    for module in network.modules():  # made where this file was imported, with whatever random numbers came
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.reset_parameters()
    for name, parameter in network.named_parameters():
        if name.endswith(("gamma", "alpha")):
            nn.init.ones_(parameter)
    assert not network.exact
    assert reached(network.double().eval(), 0, 4 * (network.halo + 4), 0).max() > network.halo


def test_published_networks_have_the_receptive_field_computed_by_hand() -> None:
    """U-Net: 2^8 - 1 pixels of the eight 4x4 convolutions of stride 2 to each side and the same on the way back, and a bottleneck pixel's own width."""
    with torch.device("meta"):
        unet, resnet = UNet(depth=DEPTH_256), ResNet()
    assert unet.halo == 3 * (2**8 - 1)
    # 3 pixels at either end, 1 + 2 of the strided convolutions, 2 x 9 convolutions at a quarter of the size, and what the transposed ones look ahead
    assert resnet.halo == 3 + 3 + (1 + 2) + 2 * 9 * 4 + 3


def test_spec_says_where_tiles_begin_and_how_much_context_they_have() -> None:
    exact, blended = ResNet(blocks=1, channels=2, norm="none"), ResNet(channels=2, norm="instance")
    assert spec_sizes(exact) == {"multiple": 4, "minimum": 8, "tiling_exact": True, "halo": -(-exact.halo // 4) * 4}
    assert spec_sizes(blended) == {"multiple": 4, "minimum": 8, "tiling_exact": False, "halo": 84} and blended.halo == 84
    with torch.device("meta"):
        assert spec_sizes(UNet(depth=DEPTH_256))["halo"] == 768
        assert spec_sizes(UNet(depth=DEPTH_256, norm="instance"))["halo"] == 128, "no context makes these exact"
