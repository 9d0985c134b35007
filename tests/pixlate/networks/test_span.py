"""SPAN against its authors' network, as spandrel has it, and its convolutions before and after they are fused."""

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from pixlate.networks.span import SPAN, FusedConv2d, fused


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def published(scale: int, normalise: bool) -> Any:
    torch.manual_seed(scale)
    return import_module("spandrel.architectures.SPAN").SPAN(num_in_ch=3, num_out_ch=3, feature_channels=12, upscale=scale, norm=normalise).eval()


def test_span_has_the_published_parameters_once_fused() -> None:
    """426 k of the paper's table 1; without the plain convolutions that the authors keep beside the split ones."""
    network, reference = SPAN(), import_module("spandrel.architectures.SPAN").SPAN(num_in_ch=3, num_out_ch=3)
    assert parameters(fused(network)) == 426_288
    assert parameters(network) == sum(value.numel() for name, value in reference.named_parameters() if "eval_conv" not in name)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_published_weights_give_the_published_pictures(scale: int, normalise: bool) -> None:
    reference, network = published(scale, normalise), SPAN(scale, 12, 6, normalise=normalise)
    weights = {name: value for name, value in reference.state_dict().items() if "eval_conv" not in name}
    network.load_state_dict(weights)
    images = torch.rand(2, 3, 9, 14)
    with torch.no_grad():
        expected, found, plain = reference(images), network(images), fused(network)(images)
    scope = float(expected.abs().max())
    assert (found - expected).abs().max() < 1e-5 * scope and (plain - found).abs().max() < 1e-5 * scope


def chained(convolution: FusedConv2d, images: torch.Tensor) -> torch.Tensor:
    """Return the images through the chain, as the authors train it: padded with zeros, then without padding."""
    first, middle, last = convolution.conv
    features = functional.conv2d(first(functional.pad(images, (1, 1, 1, 1))), middle.weight, middle.bias)  # type: ignore[arg-type]
    found: torch.Tensor = last(features) + convolution.sk(images)
    return found


def test_one_kernel_has_the_values_and_gradients_of_the_chain() -> None:
    torch.manual_seed(0)
    convolution = FusedConv2d(3, 5).double()
    images, weights = torch.rand(2, 3, 6, 7, dtype=torch.float64), torch.rand(2, 5, 6, 7, dtype=torch.float64)
    gradients = []
    for made in (chained(convolution, images), convolution(images)):
        gradients.append(torch.autograd.grad((made * weights).sum(), list(convolution.parameters())))
    assert torch.allclose(chained(convolution, images), convolution(images), rtol=1e-10)
    assert all(torch.allclose(first, second, rtol=1e-10) for first, second in zip(*gradients, strict=True))


def test_fusing_leaves_the_network_as_it_is() -> None:
    network = SPAN(2, 4, 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plain = fused(network)
    assert not any(isinstance(module, FusedConv2d) for module in plain.modules())
    assert network.state_dict().keys() == before.keys() and all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    other = nn.Conv2d(1, 1, 1)
    assert fused(other) is other


def test_span_learns_one_picture() -> None:
    torch.manual_seed(0)
    network = SPAN(2, 8, 2)
    target = functional.interpolate(torch.rand(1, 3, 8, 8), scale_factor=3, mode="bicubic").clamp(0, 1)
    source = functional.interpolate(target, scale_factor=0.5, mode="area")
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(60):
        loss = (network(source) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
