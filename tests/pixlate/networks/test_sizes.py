"""Sizes, ranges and options of the generators."""

import re
from collections.abc import Callable
from typing import Literal, get_args

import pytest
import torch
from torch import nn

from pixlate.networks.blocks import Upsampling
from pixlate.networks.normalisation import Norm
from pixlate.networks.r3gan import R3Generator
from pixlate.networks.resnet import ResNet
from pixlate.networks.swin import Swin
from pixlate.networks.unet import UNet
from pixlate.networks.unet_vit import UNetViT

Network = UNet | ResNet
GENERATORS: dict[str, Callable[..., Network]] = {
    "unet": lambda **options: UNet(depth=3, channels=4, **options),
    "resnet": lambda **options: ResNet(blocks=1, channels=4, **options),
}
OPTIONS: list[dict[str, object]] = [
    *({"norm": norm, "upsampling": upsampling} for norm in get_args(Norm) for upsampling in get_args(Upsampling)),
    {"attention": True},
    {"dropout": 0.5, "channels_in": 1, "channels_out": 4},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("maker", GENERATORS)
def test_generator_keeps_height_and_width_and_stays_within_range_in_training(maker: str, options: dict[str, object]) -> None:
    network = GENERATORS[maker](**options)
    for factors in [(1, 1), (1, 3), (2, 1)]:
        height, width = (network.minimum * factor for factor in factors)
        output = network(torch.rand(1, network.channels_in, height, width) * 2 - 1)
        assert output.shape == (1, options.get("channels_out", 3), height, width)
        assert output.abs().max() < 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: UNetViT(1, 4, depth=2, channels=4, blocks=1, features=8, heads=2),
        lambda: UNetViT(1, 4, depth=2, channels=4, blocks=1, features=8, heads=2, norm="group"),
        lambda: Swin(1, 4, channels=8, groups=1, blocks=2, heads=2),
    ],
)
def test_generator_of_attention_takes_its_minimum_and_multiples_of_it_in_training(make: Callable[[], Swin | UNetViT]) -> None:
    network = make()
    for factors in [(1, 1), (1, 3), (2, 1)]:
        height, width = (network.minimum * factor for factor in factors)
        output = network(torch.rand(2, 1, height, width) * 2 - 1)
        assert output.shape == (2, 4, height, width)
        assert output.abs().max() < 1


@pytest.mark.parametrize(("scale", "tail"), [(2, "direct"), (3, "direct"), (2, "staged"), (3, "staged"), (4, "staged"), (8, "staged")])
def test_swin_enlarges(scale: int, tail: Literal["staged", "direct"]) -> None:
    network = Swin(scale=scale, channels=4, groups=1, blocks=1, heads=1, window=4, tail=tail)
    assert network(torch.rand(1, 3, 4, 8)).shape == (1, 3, 4 * scale, 8 * scale)


@pytest.mark.parametrize("downsamplings", [0, 1, 3])
def test_r3gan_generator_keeps_height_and_width(downsamplings: int) -> None:
    network = R3Generator(1, 4, blocks=1, channels=4, downsamplings=downsamplings)
    assert network.multiple == network.minimum == 2**downsamplings
    for height, width in [(network.minimum, network.minimum), (3 * network.minimum, network.minimum)]:
        assert network(torch.rand(1, 1, height, width)).shape == (1, 4, height, width)
    with pytest.raises(ValueError, match="at least 1 block and 0 downsamplings, got 0"):
        R3Generator(blocks=0)


@pytest.mark.parametrize("depth", range(2, 7))
def test_unet_of_any_depth_takes_its_minimum(depth: int) -> None:
    network = UNet(depth=depth, channels=2, norm="instance")
    assert network.multiple == network.minimum == 2**depth
    assert network(torch.rand(1, 3, network.minimum, 2 * network.minimum)).shape == (1, 3, 2**depth, 2 ** (depth + 1))


@pytest.mark.parametrize("upsampling", get_args(Upsampling))
@pytest.mark.parametrize("downsamplings", range(4))
def test_resnet_takes_its_minimum_and_nothing_smaller_would_do(downsamplings: int, upsampling: Upsampling) -> None:
    network = ResNet(blocks=1, channels=2, downsamplings=downsamplings, upsampling=upsampling)
    assert network(torch.rand(1, 3, network.minimum, network.minimum)).shape == (1, 3, network.minimum, network.minimum)
    smaller = network.minimum - network.multiple
    network.minimum = 1  # lets the layers themselves refuse
    with pytest.raises((RuntimeError, ValueError)):
        network(torch.rand(1, 3, smaller, smaller))


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        (UNet(depth=3, channels=2), (1, 3, 24, 20), "expected height and width of multiples of 8, at least 8, got 24 x 20; pad or scale the images"),
        (ResNet(blocks=1, channels=2), (1, 3, 4, 16), "expected height and width of multiples of 4, at least 8, got 4 x 16"),
        (ResNet(blocks=1, channels=2), (1, 3, 17, 16), "multiples of 4, at least 8, got 17 x 16"),
        (Swin(channels=2, groups=1, blocks=1, heads=1), (1, 3, 24, 20), "expected height and width of multiples of 8, at least 8, got 24 x 20"),
        (UNetViT(depth=2, channels=2, blocks=1, features=2, heads=1), (1, 3, 4, 8), "of multiples of 4, at least 8, got 4 x 8"),
        (UNet(depth=3, channels=2), (3, 16, 16), "expected (batch, 3, height, width), got (3, 16, 16); pass a batch"),
        (ResNet(2, 2, blocks=1, channels=2), (1, 3, 16, 16), "expected (batch, 2, height, width), got (1, 3, 16, 16)"),
    ],
)
def test_images_the_network_cannot_take_are_refused(network: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        network(torch.rand(shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UNet(depth=1), "expected a depth of at least 2, got 1"),
        (lambda: ResNet(blocks=0), "expected at least 1 block and 0 downsamplings, got 0 and 2"),
        (lambda: ResNet(downsamplings=-1), "got 9 and -1; choose more"),
        (lambda: ResNet(3, 1, blocks=1, skip=True), "expected as many channels out as in with skip, got 3 and 1"),
        (lambda: ResNet(pointwise=True), "expected no downsamplings with pointwise convolutions, got 2; set them to 0"),
        (lambda: ResNet(blocks=1, norm="layer"), "expected a norm of batch, instance, group or none, got 'layer'"),  # type: ignore[arg-type]
        (lambda: ResNet(halve="pooled"), "expected a halving of strided or blurred, got 'pooled'"),  # type: ignore[arg-type]
        (lambda: ResNet(padding="mirror"), "expected a padding of reflect, replicate or zero, got 'mirror'"),  # type: ignore[arg-type]
        (lambda: UNetViT(features=10, heads=3), "expected features that are a multiple of the heads, got 10 and 3"),
        (lambda: Swin(channels=64), "expected channels that are a multiple of the heads, got 64 and 6"),
        (lambda: Swin(window=7), "expected a window of an even number of pixels, got 7"),
        (lambda: Swin(scale=2, skip=True), "expected scale 1 and as many channels out as in with skip, got 2, 3 and 3"),
        (lambda: Swin(scale=5, tail="staged"), "expected a scale of 2, 3, 4 or 8, got 5"),
        (lambda: UNet(upsampling="nearest"), "expected an upsampling of transposed, resize or bilinear, got 'nearest'"),  # type: ignore[arg-type]
    ],
)
def test_invalid_network_options_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_unet_drops_in_the_three_innermost_decoder_blocks_of_full_width() -> None:
    with torch.device("meta"):
        depths = {depth: [any(isinstance(layer, nn.Dropout) for layer in block.modules()) for block in UNet(depth=depth).decoder] for depth in (3, 5, 8)}
    assert depths == {3: [False] * 3, 5: [True] + [False] * 4, 8: [True] * 3 + [False] * 5}


@pytest.mark.parametrize(
    ("where", "depth", "sizes"), [("paper", 8, [2, 4, 8]), ("code", 8, [4, 8, 16]), ("paper", 7, [2, 4, 8]), ("code", 7, [4, 8]), ("code", 5, [])]
)
def test_unet_drops_where_the_paper_or_its_code_does(where: Literal["paper", "code"], depth: int, sizes: list[int]) -> None:
    network = UNet(depth=depth, channels=1, dropout_blocks=where).eval()
    found: list[int] = []
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda module, given, made: found.append(made.shape[-1]))
    network(torch.rand(1, 3, 2**depth, 2**depth))
    assert found == sizes, "the code has depth - 5 blocks with dropout around its innermost one"


def test_dropout_acts_in_training_alone() -> None:
    network = ResNet(blocks=1, channels=8, dropout=0.5)
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert not torch.equal(network(image), network(image))
        network.eval()
        assert torch.equal(network(image), network(image))


@pytest.mark.parametrize("norm", get_args(Norm))
def test_resnet_with_skip_starts_as_the_identity(norm: Norm) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    network = ResNet(blocks=2, channels=16, norm=norm, skip=True)
    assert (network(images) - images).abs().max() < 1 / 255
    assert any(parameter.any() for parameter in network.tail.parameters())


def test_pointwise_resnet_translates_each_pixel_by_its_own_colour() -> None:
    torch.manual_seed(0)
    network = ResNet(blocks=1, channels=8, downsamplings=0, norm="none", pointwise=True)
    images = torch.rand(1, 3, 5, 7)
    pixel = images[..., 2:3, 4:5]
    assert network.halo == 0
    assert network.exact
    torch.testing.assert_close(network(images)[..., 2:3, 4:5], network(pixel))


def test_resnet_with_skip_may_leave_the_range() -> None:
    network = ResNet(blocks=1, channels=4, skip=True)
    assert network(torch.full((1, 3, 8, 8), 5.0)).max() > 4


@pytest.mark.parametrize("maker", GENERATORS)
def test_transposed_convolutions_draw_a_checkerboard_on_a_flat_image_and_resizing_does_not(maker: str) -> None:
    torch.manual_seed(0)
    spread = {}
    for upsampling in get_args(Upsampling):
        network = GENERATORS[maker](norm="batch", upsampling=upsampling).eval()
        side = -(-(2 * network.halo + 8) // network.multiple) * network.multiple
        with torch.no_grad():
            inner = network(torch.full((1, 3, side, side), 0.5))[:, :, network.halo : -network.halo, network.halo : -network.halo]
        spread[upsampling] = float((inner.amax((2, 3)) - inner.amin((2, 3))).max())
    assert spread["resize"] < 1e-6 < 1e-3 < spread["transposed"]
