"""Comparison of a discriminator's features."""

import pytest
import torch
from torch import Tensor

from pixlate.losses import feature_matching
from pixlate.networks.multiscale import MultiScale
from pixlate.networks.patchgan import PatchGAN


def layers(*values: int) -> list[Tensor]:
    """Return features of growing number, since each layer counts alike."""
    return [torch.full((1, 2**index, 2), float(value)) for index, value in enumerate(values)]


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
