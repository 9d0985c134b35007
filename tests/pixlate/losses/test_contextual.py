"""The contextual loss against its equations, feature by feature."""

import math

import pytest
import torch

from pixlate.losses import contextual_loss


def by_hand(output: torch.Tensor, target: torch.Tensor, band: float) -> float:
    """Return the loss of one picture's features, (positions, channels) each (Mechrez et al. 2018, equations 1 to 4)."""
    mean = target.mean(dim=0)
    ones, others = ([each / each.norm() for each in features - mean] for features in (output, target))
    similarities = []
    for one in ones:
        distances = [1 - float(one @ other) for other in others]
        weights = [math.exp((1 - distance / (min(distances) + 1e-5)) / band) for distance in distances]
        similarities.append([weight / sum(weights) for weight in weights])
    return -math.log(sum(max(row[place] for row in similarities) for place in range(len(others))) / len(others))


@pytest.mark.parametrize("band", [0.1, 0.5])
def test_loss_is_that_of_the_equations(band: float) -> None:
    torch.manual_seed(0)
    output, target = torch.rand(1, 5, 3, 4), torch.rand(1, 5, 2, 4)
    one, other = (features[0].flatten(1).T for features in (output, target))
    assert float(contextual_loss(output, target, band)) == pytest.approx(by_hand(one, other, band), rel=1e-4)


def test_features_are_found_wherever_they_are() -> None:
    torch.manual_seed(0)
    target = torch.rand(2, 8, 4, 4)
    moved = target.flatten(2)[:, :, torch.randperm(16)].reshape(target.shape)
    same, other = contextual_loss(moved, target), contextual_loss(torch.rand(2, 8, 4, 4), target)
    assert float(same) < 1e-3 < 0.1 < float(other)


def test_gradients_reach_the_output() -> None:
    output = torch.rand(1, 4, 3, 3, requires_grad=True)
    contextual_loss(output, torch.rand(1, 4, 3, 3)).backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None and bool(torch.isfinite(output.grad).all()) and float(output.grad.abs().max()) > 0


def test_features_of_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected features of one batch and channels, got \(1, 4, 3, 3\) and \(1, 5, 3, 3\)"):
        contextual_loss(torch.rand(1, 4, 3, 3), torch.rand(1, 5, 3, 3))
