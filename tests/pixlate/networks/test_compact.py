"""Compact against Real-ESRGAN's SRVGGNetCompact, as spandrel has it."""

from importlib import import_module

import pytest
import torch

from pixlate.networks.compact import Compact


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_compact_has_the_published_parameters() -> None:
    assert parameters(Compact()) == 621_424


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_published_weights_give_the_published_pictures(scale: int) -> None:
    published = import_module("spandrel.architectures.Compact.__arch.SRVGG").SRVGGNetCompact(num_feat=8, num_conv=3, upscale=scale)
    network = Compact(scale, 8, 3)
    network.load_state_dict(published.state_dict())
    images = torch.rand(2, 3, 9, 14)
    with torch.no_grad():
        assert torch.allclose(network(images), published(images), atol=1e-6)


def test_compact_learns_to_sharpen_one_picture() -> None:
    torch.manual_seed(0)
    network = Compact(2, 8, 2)
    target = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), scale_factor=3, mode="bicubic").clamp(0, 1)
    source = torch.nn.functional.interpolate(target, scale_factor=0.5, mode="area")
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(60):
        loss = (network(source) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
