"""Counts of the papers, sizes and halos of the super-resolution generators."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pixlate.networks.blocks import upsampling_stages
from pixlate.networks.compact import Compact
from pixlate.networks.initialisation import scaled_kaiming
from pixlate.networks.span import SPAN
from pixlate.networks.srresnet import MSRResNet, SRResNet

SCALES = (2, 3, 4, 8)
Network = SRResNet | MSRResNet | Compact | SPAN
MAKERS: dict[str, Callable[[int, int], Network]] = {
    "srresnet": lambda scale, blocks: SRResNet(scale, 4, blocks),
    "msrresnet staged": lambda scale, blocks: MSRResNet(scale, 4, blocks, "staged"),
    "msrresnet direct": lambda scale, blocks: MSRResNet(scale, 4, blocks, "direct"),
    "msrresnet shrunk": lambda scale, blocks: MSRResNet(scale, 4, blocks, "direct", shrink=2),
    "compact": lambda scale, blocks: Compact(scale, 4, blocks),
    "compact shrunk": lambda scale, blocks: Compact(scale, 4, blocks, shrink=2),
    "span": lambda scale, blocks: SPAN(scale, 4, blocks),
    "span shrunk": lambda scale, blocks: SPAN(scale, 4, blocks, shrink=2),
}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, side: int = 16) -> float:
    """Return the multiply-adds of all convolutions for each input pixel, counted as they run."""
    total = 0

    def count(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += output[0].numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.rand(1, 3, side, side))
    return total / side**2


def test_srresnet_has_the_parameters_and_cost_of_the_reference() -> None:
    network = SRResNet()
    assert parameters(network) == 1_549_462
    assert round(multiply_adds(network) / 1e6, 3) == 2.218


def test_msrresnet_has_the_parameters_and_cost_of_the_reference() -> None:
    network = MSRResNet()
    assert parameters(network) == 1_517_571
    assert round(multiply_adds(network) / 1e6, 3) == 2.536


def test_direct_tail_costs_what_its_docstring_says() -> None:
    assert round(multiply_adds(MSRResNet(4, 48, 10, "direct")) / 1e6, 2) == 0.44
    assert round(multiply_adds(MSRResNet(4, 48, 10, "staged")) / 1e6, 1) == 1.2


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (8, 13)])
def test_output_is_scale_times_the_input(maker: str, scale: int, size: tuple[int, int]) -> None:
    with torch.no_grad():
        network = MAKERS[maker](scale, 1).eval()
        height, width = (side * network.multiple for side in size)
        output = network(torch.rand(2, 3, height, width))
    assert output.shape == (2, 3, height * scale, width * scale)


def test_restoration_starts_near_the_image_itself() -> None:
    torch.manual_seed(0)
    shrunk = (MSRResNet(1, 16, 2, "direct", shrink=2), Compact(1, 16, 2, shrink=2), SPAN(1, 16, 2, shrink=2))
    for network in (MSRResNet(1, 16, 2), Compact(1, 16, 2), SPAN(1, 16, 2), *shrunk):
        image = torch.rand(1, 3, 12, 14)
        with torch.no_grad():
            assert (network(image) - image).abs().max() < 0.05


def test_shrinking_by_two_costs_about_a_quarter() -> None:
    costs = [multiply_adds(MSRResNet(1, 48, 10, "direct", shrink)) for shrink in (1, 2)]
    assert costs[1] / costs[0] == pytest.approx(0.25, abs=0.01)


def test_shrinking_needs_the_direct_tail() -> None:
    with pytest.raises(ValueError, match="expected the direct tail with shrink, got staged"):
        MSRResNet(1, 8, 1, "staged", shrink=2)


def lively(network: Network) -> Network:
    """Return the network in eval mode and 64 bits with weights that let every pixel within reach be seen at the output."""
    network.double().eval()
    for name, parameter in network.named_parameters():
        with torch.no_grad():
            parameter.copy_(torch.rand_like(parameter) + 0.5 if parameter.ndim > 1 else torch.rand_like(parameter))
            if parameter.ndim == 4:
                parameter.div_(parameter[0].numel())
        assert parameter.isfinite().all(), name
    return network


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("blocks", [1, 2])
def test_halo_is_exactly_how_far_an_input_pixel_reaches(maker: str, scale: int, blocks: int) -> None:
    torch.manual_seed(scale)
    network = lively(MAKERS[maker](scale, blocks))
    period = network.multiple
    halo, side = network.halo, -(-(2 * network.halo + 4) // period) * period
    image = torch.rand(1, 3, side, side, dtype=torch.float64)
    reached = [each for middle in range(side // 2, side // 2 + period) for each in offsets_reached(network, image, middle, scale)]
    assert (min(reached), max(reached)) == (-halo, halo)


def offsets_reached(network: Network, image: Tensor, middle: int, scale: int) -> list[int]:
    """Return how far, in input pixels, the outputs are that change with the input pixel in the middle of a row and of a column."""
    changed, side = image.clone(), image.shape[-1]
    changed[0, :, middle, middle] += 1000
    with torch.no_grad():
        seen = (network(changed) - network(image)).abs().amax((0, 1))  # (height, width)
    return [int(each) - middle for profile in (seen.amax(0), seen.amax(1)) for each in profile.unflatten(0, (side, scale)).amax(1).gt(0).nonzero()]


@pytest.mark.parametrize("scale", [0, 1, 5, 6, 16])
def test_unknown_scale_is_refused(scale: int) -> None:
    with pytest.raises(ValueError, match=f"a scale of 2, 3, 4 or 8, got {scale}"):
        upsampling_stages(scale)
    with pytest.raises(ValueError, match="choose one of these"):
        SRResNet(scale)


def test_msrresnet_starts_near_bilinear_enlargement() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        difference = MSRResNet(4, 16, 2)(image) - nn.functional.interpolate(image, scale_factor=4.0, mode="bilinear")
    assert difference.abs().max() < 0.01


def test_initial_weights_have_a_tenth_of_hes_deviation() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 64, 3)
    scaled_kaiming(layer, 0.1)
    assert layer.weight.std().item() == pytest.approx(0.1 * (2 / (64 * 9)) ** 0.5, rel=0.02)
    assert layer.bias is not None and not layer.bias.any()
