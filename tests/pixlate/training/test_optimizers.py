"""Each optimiser makes the updates of its paper."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pixlate.options import TrainingOptions
from pixlate.training.optimizers import make_optimizer

RATE, FIRST, SECOND, DECAY = 0.01, 0.9, 0.99, 0.1
GRADIENTS = (np.array([1.0, -2.0, 0.5]), np.array([-0.5, -1.0, 0.25]), np.array([3.0, 0.1, 0.0]))


def adam(weights: NDArray[Any], apart: bool) -> NDArray[Any]:
    """Algorithm 2 of Loshchilov and Hutter (2019), with weight decay in the gradient or apart from it."""
    first = second = np.zeros(3)
    for step, given in enumerate(GRADIENTS, start=1):
        gradient = given if apart else given + DECAY * weights
        first, second = FIRST * first + (1 - FIRST) * gradient, SECOND * second + (1 - SECOND) * gradient**2
        change = (first / (1 - FIRST**step)) / (np.sqrt(second / (1 - SECOND**step)) + 1e-8)
        weights = weights - RATE * (change + (DECAY * weights if apart else 0))
    return weights


def lion(weights: NDArray[Any]) -> NDArray[Any]:
    """Algorithm 2 of Chen et al. (2023)."""
    kept = np.zeros(3)
    for gradient in GRADIENTS:
        weights = weights - RATE * (np.sign(FIRST * kept + (1 - FIRST) * gradient) + DECAY * weights)
        kept = SECOND * kept + (1 - SECOND) * gradient
    return weights


@pytest.mark.parametrize("name", ["adam", "adamw", "lion"])
def test_optimiser_makes_the_updates_of_its_paper(name: Any) -> None:
    start = np.array([0.3, -0.7, 2.0])
    weights = torch.nn.Parameter(torch.tensor(start))
    optimizer = make_optimizer(TrainingOptions(optimizer=name, weight_decay=DECAY), [weights], RATE, (FIRST, SECOND))
    for gradient in GRADIENTS:
        weights.grad = torch.tensor(gradient)
        optimizer.step()
    expected = lion(start) if name == "lion" else adam(start, apart=name == "adamw")
    np.testing.assert_allclose(weights.detach().numpy(), expected, rtol=1e-10)
