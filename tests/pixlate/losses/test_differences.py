"""Losses that compare pixels, neighbours, and a discriminator's features."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pixlate.losses import feature_matching, l1, mse, total_variation
from pixlate.networks.multiscale import MultiScale
from pixlate.networks.patchgan import PatchGAN


def layers(*values: int) -> list[Tensor]:
    """Return features of growing number, since each layer counts alike."""
    return [torch.full((1, 2**index, 2), float(value)) for index, value in enumerate(values)]


def test_l1_is_the_mean_absolute_difference() -> None:
    assert l1(torch.tensor([[0.0, 2.0], [5.0, -1.0]]), torch.tensor([[1.0, 2.0], [3.0, 0.0]])).item() == (1 + 0 + 2 + 1) / 4


def test_l1_has_the_sign_over_the_count_as_gradient() -> None:
    output = torch.tensor([1.0, 5.0, 2.0, 0.5], requires_grad=True)
    l1(output, torch.tensor([3.0, 1.0, 1.0, 1.0])).backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None and output.grad.tolist() == [-0.25, 0.25, 0.25, -0.25]


def test_l1_refuses_shapes_that_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3, 4, 4\) and \(2, 3, 1, 4\)"):
        l1(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 1, 4))


def test_mse_is_the_mean_squared_difference() -> None:
    assert mse(torch.tensor([[0.0, 2.0], [5.0, -1.0]]), torch.tensor([[1.0, 2.0], [3.0, 0.0]])).item() == (1 + 0 + 4 + 1) / 4


def test_mse_refuses_shapes_that_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3\) and \(3,\)"):
        mse(torch.zeros(2, 3), torch.zeros(3))


@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
def test_total_variation_is_the_mean_difference_of_vertical_and_of_horizontal_neighbours(batch: int, channels: int, height: int, width: int, seed: int) -> None:
    images = torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))
    expected = sum(float(np.abs(np.diff(images.double().numpy(), axis=axis)).mean()) for axis in (2, 3))
    assert total_variation(images).item() == pytest.approx(expected, abs=1e-6)


def test_total_variation_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(5.0) * 0.25 + torch.arange(4.0).unsqueeze(1) * 0.5
    assert total_variation(ramp.expand(2, 3, 4, 5)).item() == pytest.approx(0.25 + 0.5)


@pytest.mark.parametrize("shape", [(1, 3, 1, 4), (1, 3, 4, 1), (3, 4, 4)])
def test_images_without_neighbours_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="of at least 2x2 pixels, got"):
        total_variation(torch.zeros(shape))


def test_layers_are_summed_and_logits_do_not_count() -> None:
    assert feature_matching(layers(1, 2, 100), layers(0, 5, -100)).item() == 1 + 3


def test_scales_count_alike() -> None:
    assert feature_matching([layers(1, 9), layers(0, 0, 0, 9)], [layers(0, 0), layers(1, 2, 3, 0)]).item() == (1 + (1 + 2 + 3)) / 2


def test_gradient_reaches_the_generated_features_alone() -> None:
    fake, real = ([torch.rand(2, 3).requires_grad_(), torch.rand(2, 1).requires_grad_()] for _ in range(2))
    feature_matching(fake, real).backward()  # type: ignore[no-untyped-call]
    assert fake[0].grad is not None and torch.allclose(fake[0].grad, (fake[0] - real[0]).sign() / 6)
    assert fake[1].grad is None and real[0].grad is None and real[1].grad is None


@pytest.mark.parametrize("network", [PatchGAN(channels=2, layers=1), MultiScale([PatchGAN(channels=2, layers=1), PatchGAN(channels=2, layers=1)])])
def test_discriminators_features_fit_and_equal_images_match(network: PatchGAN | MultiScale) -> None:
    network.eval()
    images = torch.rand(1, 3, 32, 32)
    assert feature_matching(network.features(images), network.features(images)).item() == 0
    assert feature_matching(network.features(images.flip(3)), network.features(images)).item() > 0


def test_features_of_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the same layers, at least one before the logits, got \[3\] and \[2\] of them"):
        feature_matching(layers(1, 2, 3), layers(1, 2))
    with pytest.raises(ValueError, match=r"one shape, got \(1, 1, 2\) and \(1, 1, 3\)"):
        feature_matching(layers(1, 2), [torch.zeros(1, 1, 3), torch.zeros(1)])
    with pytest.raises(ValueError, match=r"got \[1\] and \[1\] of them; use one discriminator"):
        feature_matching(layers(1), layers(1))
