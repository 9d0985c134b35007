"""Layers that compare the images of a batch, against their formulas."""

import math

import pytest
import torch

from pixlate.networks.minibatch import Minibatch, MinibatchDeviation, MinibatchDiscrimination, minibatch_layer


def test_deviation_is_the_mean_over_features_and_pixels_of_that_over_the_batch() -> None:
    features = torch.tensor([[1.0, 5.0], [3.0, 5.0]]).reshape(2, 2, 1, 1).repeat(1, 1, 2, 2)
    found = MinibatchDeviation()(features)
    assert torch.equal(found[:, :2], features)
    assert found.shape == (2, 3, 2, 2)
    assert found[:, 2].flatten().tolist() == pytest.approx([(1 + 1e-4) / 2] * 8)  # of 1 and 3 it is 1, of 5 and 5 it is 0


def test_discrimination_is_the_sum_of_exponentials_of_distances_to_the_other_images() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(2, kernels=3, dimensions=4)
    features = torch.randn(3, 2, 2, 2)
    found = layer(features)
    tensor = layer.tensor.detach()
    for image in range(3):
        for kernel in range(3):
            rows = [features[index].mean((1, 2)) @ tensor[:, kernel] for index in range(3)]
            expected = sum(math.exp(-float((rows[image] - rows[other]).abs().sum())) for other in range(3) if other != image)
            assert found[image, 2 + kernel].flatten().tolist() == pytest.approx([expected] * 4, rel=1e-4)


@pytest.mark.parametrize("kind", ["deviation", "discrimination"])
def test_comparison_sees_that_images_are_alike(kind: Minibatch) -> None:
    torch.manual_seed(0)
    (layer,), channels = minibatch_layer(kind, 4)
    alike, different = layer(torch.randn(1, 4, 3, 3).repeat(4, 1, 1, 1)), layer(torch.randn(4, 4, 3, 3))
    assert alike.shape[1] == channels
    added = [found[:, 4:].mean().item() for found in (alike, different)]
    assert added[0] == pytest.approx(1e-4 if kind == "deviation" else 3, rel=1e-3)
    assert abs(added[1] - added[0]) > 0.1


def test_gradients_of_images_that_are_alike_are_finite() -> None:
    kinds: tuple[Minibatch, ...] = ("deviation", "discrimination")
    for kind in kinds:
        (layer,), _ = minibatch_layer(kind, 4)
        images = torch.zeros(3, 4, 2, 2, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(images).square().sum(), images, create_graph=True)
        (second,) = torch.autograd.grad(gradient.sum(), images)
        assert gradient.isfinite().all() and second.isfinite().all()
