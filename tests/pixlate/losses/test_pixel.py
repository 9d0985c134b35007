"""Pixel losses."""

import pytest
import torch

from pixlate.losses import l1, mse


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
