"""Normalisation layers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pixlate.networks.normalisation import Norm, norm_layer


def test_instance_norm_has_no_weights_and_no_running_statistics() -> None:
    layer = norm_layer("instance", 4)
    assert not layer.state_dict()
    images = torch.rand(2, 4, 6, 6)
    expected = (images - images.mean((2, 3), keepdim=True)) / (images.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    assert torch.allclose(layer(images), expected, atol=1e-5)
    assert torch.equal(layer(images), layer.eval()(images))


@pytest.mark.parametrize("kind", ["batch", "instance", "group"])
@pytest.mark.parametrize("mean", [0.0, 20.0])
def test_norms_are_computed_in_32_bits_under_mixed_precision(kind: Norm, mean: float) -> None:
    features = (torch.randn(2, 32, 32, 32, generator=torch.Generator().manual_seed(0)) * 3 + mean).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = norm_layer(kind, 32)(features)
    exact = norm_layer(kind, 32)(features.float()).detach()
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).square().mean() <= 1.1 * (exact.bfloat16().float() - exact).square().mean(), "no more than rounding the result"


@given(st.integers(1, 300))
def test_group_norm_has_the_most_groups_that_divide_the_channels(channels: int) -> None:
    layer = norm_layer("group", channels)
    assert isinstance(layer, nn.GroupNorm)
    assert channels % layer.num_groups == 0 and layer.num_groups <= 32
    assert not any(channels % groups == 0 for groups in range(layer.num_groups + 1, 33))


def test_batch_norm_has_weights_and_running_statistics_and_none_is_the_identity() -> None:
    assert set(norm_layer("batch", 4).state_dict()) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    images = torch.rand(1, 4, 2, 2)
    assert norm_layer("none", 4)(images) is images


def test_unknown_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a norm of batch, instance, group or none, got 'layer'; choose one of these"):
        norm_layer("layer", 4)  # type: ignore[arg-type]
