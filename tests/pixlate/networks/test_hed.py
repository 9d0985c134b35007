"""HED against an independent computation of its layers, and its counts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from pixlate.networks.hed import HED, LAYERS


def random_network() -> HED:
    torch.manual_seed(0)
    network = HED().eval()
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.copy_(
                torch.randn_like(parameter) * (2 / max(1, parameter[0].numel())) ** 0.5 if parameter.ndim > 1 else torch.randn_like(parameter) * 0.1
            )
    return network


@pytest.fixture(scope="module")
def network() -> HED:
    return random_network()


def by_hand(network: HED, images: Tensor) -> Tensor:
    """Return what the paper's figure 3 computes, with the sizes rounded up by padding and the enlargement by Pillow's half-pixel rule."""
    state = network.state_dict()
    height, width = images.shape[2:]
    blue_green_red = images[:, [2, 1, 0]] * 255 - torch.tensor([104.00699, 116.66877, 122.67892]).view(1, 3, 1, 1)
    features, maps = blue_green_red, []
    for stage, depth in enumerate((2, 2, 3, 3, 3)):
        if stage:
            rows, columns = features.shape[2:]
            features = functional.pad(features, (0, columns % 2, 0, rows % 2), value=-torch.inf)
            batch, channels, rows, columns = features.shape
            features = features.reshape(batch, channels, rows // 2, 2, columns // 2, 2).amax((3, 5))
        for number in range(depth):
            features = functional.conv2d(features, state[f"stages.{stage}.{number}.weight"], state[f"stages.{stage}.{number}.bias"], padding=1).clamp(min=0)
        side = torch.einsum("bchw,c->bhw", features, state[f"sides.{stage}.weight"][0, :, 0, 0]) + state[f"sides.{stage}.bias"]
        maps.append(functional.interpolate(side[:, None], (height, width), mode="bilinear")[:, 0])
    fused = sum(weight * each for weight, each in zip(state["fuse.weight"][0, :, 0, 0], maps, strict=True)) + state["fuse.bias"]
    return 1 / (1 + torch.exp(-torch.as_tensor(fused)))[:, None]


def test_edges_are_those_of_the_layers_computed_by_hand(network: HED) -> None:
    images = torch.rand(2, 3, 33, 21)
    with torch.no_grad():
        torch.testing.assert_close(network(images), by_hand(network, images), atol=1e-4, rtol=1e-4)


def test_parameters_are_those_of_vgg16s_convolutions_and_six_small_ones(network: HED) -> None:
    trunk = 14_714_688  # VGG16 without its dense layers
    sides = 64 + 128 + 256 + 512 + 512 + 5
    assert sum(parameter.numel() for parameter in network.parameters()) == trunk + sides + (5 + 1) == 14_716_171


def test_features_stop_at_the_last_layer_asked_for(network: HED) -> None:
    found = network.features(torch.rand(1, 3, 17, 16), ["conv1_2", "conv3_1"])
    assert [tuple(each.shape) for each in found] == [(1, 64, 17, 16), (1, 256, 5, 4)]
    assert len(LAYERS) == 13 and LAYERS[-1] == "conv5_3"


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_every_size_gives_a_probability_for_each_pixel(height: int, width: int) -> None:
    network = random_network()
    with torch.no_grad():
        edges = network(torch.rand(1, 3, height, width)).numpy()
    assert edges.shape == (1, 1, height, width) and np.all((edges >= 0) & (edges <= 1))


def test_unknown_layers_are_refused(network: HED) -> None:
    with pytest.raises(ValueError, match=r"expected layers among conv1_1, .*, got pool5; choose among these"):
        network.features(torch.rand(1, 3, 8, 8), ["pool5"])
