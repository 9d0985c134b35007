"""Gated convolutions against their equation, and the networks made of them against the paper's counts (Yu et al. 2019)."""

from itertools import pairwise

import pytest
import torch

from pixlate.networks.gated import GatedConv2d, GatedGenerator, SNPatchGAN


@torch.no_grad()
def test_gate_lets_through_what_its_convolution_says() -> None:
    torch.manual_seed(0)
    layer = GatedConv2d(2, 3)
    inputs = torch.randn(1, 2, 3, 3)
    weight, bias = layer.convolution.weight, layer.convolution.bias
    assert bias is not None
    for channel in range(3):
        feature, gate = ((weight[part] * inputs[0]).sum() + bias[part] for part in (channel, channel + 3))
        expected = (feature if feature > 0 else feature.exp() - 1) / (1 + (-gate).exp())
        assert float(layer(inputs)[0, channel, 1, 1]) == pytest.approx(float(expected), abs=1e-5)


def test_sizes_are_those_of_the_published_network() -> None:
    maps = [(4, 48, 5), (24, 96, 3), (48, 96, 3), (48, 192, 3), *((96, 192, 3),) * 8, (96, 96, 3), (48, 96, 3), (48, 48, 3), (24, 24, 3), (12, 3, 3)]
    with torch.device("meta"):
        network, judge = GatedGenerator(), SNPatchGAN()
    assert sum(parameter.numel() for parameter in network.parameters()) == sum(first * second * side**2 + second for first, second, side in maps)
    widths = [4, 64, 128, 256, 256, 256, 256]
    assert sum(each.numel() for each in judge.parameters()) == sum(25 * a * b + b for a, b in pairwise(widths))
    assert judge(torch.empty(1, 4, 256, 256, device="meta")).shape == (1, 256, 4, 4)


@pytest.mark.parametrize("side", [4, 20])
def test_height_and_width_stay(side: int) -> None:
    assert GatedGenerator(2)(torch.rand(2, 4, side, side + 4)).shape == (2, 3, side, side + 4)


def test_pixels_beyond_the_halo_change_nothing_and_those_within_do() -> None:
    torch.manual_seed(0)
    network = GatedGenerator(2).double()
    inputs = torch.rand(1, 4, 4, 8 * (network.halo // 4 + 1), dtype=torch.float64, requires_grad=True)
    network(inputs)[0, 0, 0, network.halo].backward()
    assert inputs.grad is not None
    (reached,) = inputs.grad.abs().sum((0, 1, 2)).nonzero(as_tuple=True)
    seen = max(network.halo - int(reached.min()), int(reached.max()) - network.halo)
    assert network.halo - 4 <= seen <= network.halo


@torch.no_grad()
def test_features_keep_their_size_from_the_first_layer_to_the_last() -> None:
    torch.manual_seed(0)
    network, features = GatedGenerator(8), torch.randn(1, 4, 128, 128)
    for layer in network.layers[:-2]:
        features = layer(features)
        assert 0.1 < float(features.square().mean()) < 10
