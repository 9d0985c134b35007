"""Losses of generator against discriminator, against the formulas of the papers in plain arithmetic."""

import math
from collections.abc import Callable
from statistics import fmean
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pixlate.losses import Objective, discriminator_loss, generator_loss


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


Values = list[float]
DISCRIMINATOR: dict[Objective, Callable[[Values, Values], float]] = {
    "vanilla": lambda real, fake: fmean(-math.log(sigmoid(x)) for x in real) + fmean(-math.log(1 - sigmoid(x)) for x in fake),
    "least-squares": lambda real, fake: fmean((x - 1) ** 2 for x in real) + fmean(x**2 for x in fake),
    "hinge": lambda real, fake: fmean(max(0, 1 - x) for x in real) + fmean(max(0, 1 + x) for x in fake),
    "wasserstein": lambda real, fake: fmean(fake) - fmean(real),
    "relativistic": lambda real, fake: fmean(-math.log(sigmoid(x - y)) for x, y in zip(real, fake, strict=True)),
}
GENERATOR: dict[Objective, Callable[[Values, Values], float]] = {
    "vanilla": lambda real, fake: fmean(-math.log(sigmoid(x)) for x in fake),
    "least-squares": lambda real, fake: fmean((x - 1) ** 2 for x in fake),
    "hinge": lambda real, fake: -fmean(fake),
    "wasserstein": lambda real, fake: -fmean(fake),
    "relativistic": lambda real, fake: fmean(-math.log(sigmoid(y - x)) for x, y in zip(real, fake, strict=True)),
}
LOGITS = st.lists(st.tuples(st.floats(-15, 15), st.floats(-15, 15)), min_size=1, max_size=12)


@pytest.mark.parametrize("objective", get_args(Objective))
@given(pairs=LOGITS)
def test_losses_are_those_of_the_papers(objective: Objective, pairs: list[tuple[float, float]]) -> None:
    real, fake = [x for x, _ in pairs], [y for _, y in pairs]
    real_map, fake_map = (torch.tensor(values).reshape(-1, 1, 1, 1) for values in (real, fake))
    assert discriminator_loss(objective, real_map, fake_map).item() == pytest.approx(DISCRIMINATOR[objective](real, fake), rel=1e-4, abs=1e-4)
    assert generator_loss(objective, fake_map, real_map).item() == pytest.approx(GENERATOR[objective](real, fake), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("objective", get_args(Objective))
def test_discriminator_and_generator_pull_at_generated_images_in_opposite_directions(objective: Objective) -> None:
    real, fake = torch.tensor([0.2, -0.3]), torch.tensor([0.1, -0.4], requires_grad=True)
    (down,) = torch.autograd.grad(discriminator_loss(objective, real, fake), fake)
    (up,) = torch.autograd.grad(generator_loss(objective, fake, real), fake)
    descent = fake - 0.1 * up
    assert (up < 0).all() and (descent > fake).all()
    if objective != "least-squares":  # whose targets are on either side of a logit
        assert (down > 0).all()


@pytest.mark.parametrize("objective", get_args(Objective))
def test_scales_count_alike_however_many_patches_they_have(objective: Objective) -> None:
    torch.manual_seed(0)
    real, fake = ([torch.randn(2, 1, side, side) for side in (8, 3)] for _ in range(2))
    each = [discriminator_loss(objective, one, other) for one, other in zip(real, fake, strict=True)]
    assert torch.isclose(discriminator_loss(objective, real, fake), torch.stack(each).mean())
    each = [generator_loss(objective, other, one) for one, other in zip(real, fake, strict=True)]
    assert torch.isclose(generator_loss(objective, tuple(fake), real), torch.stack(each).mean())


@pytest.mark.parametrize("objective", get_args(Objective))
def test_losses_of_half_precision_logits_are_computed_in_32_bits(objective: Objective) -> None:
    real, fake = torch.full((4,), 300.0, dtype=torch.float16), torch.full((4,), 290.0, dtype=torch.float16)
    for loss in (discriminator_loss(objective, real, fake), generator_loss(objective, fake, real)):
        assert loss.dtype == torch.float32
        assert loss.isfinite()  # 300 squared is beyond 16 bits


def test_smoothing_moves_the_target_of_real_images_alone() -> None:
    """With a target t the vanilla loss is least at the logit log(t / (1 - t)), least squares at t; fakes keep the target 0."""
    for objective, best in (("vanilla", math.log(0.9 / 0.1)), ("least-squares", 0.9)):
        real, fake = torch.tensor([best], requires_grad=True), torch.tensor([0.3], requires_grad=True)
        loss = discriminator_loss(objective, real, fake, smoothing=0.1)  # type: ignore[arg-type]
        at_real, at_fake = torch.autograd.grad(loss, (real, fake))
        (plain,) = torch.autograd.grad(discriminator_loss(objective, real, fake), fake)  # type: ignore[arg-type]
        assert at_real.abs().item() < 1e-6
        assert torch.equal(at_fake, plain)


ONE = torch.zeros(2, 1)
REFUSED: list[tuple[Callable[[], Tensor], str]] = [
    (lambda: discriminator_loss("hinge", ONE, ONE, smoothing=0.1), "no smoothing with the objective 'hinge'"),
    (lambda: discriminator_loss("relativistic", ONE, ONE, smoothing=0.1), "no smoothing with the objective 'relativistic'"),
    (lambda: discriminator_loss("vanilla", ONE, ONE, smoothing=1.0), r"a smoothing in \[0, 1\), got 1.0"),
    (lambda: discriminator_loss("vanilla", ONE, ONE, smoothing=-0.1), r"a smoothing in \[0, 1\), got -0.1"),
    (lambda: generator_loss("relativistic", ONE), "logits of real images with the objective 'relativistic', got none; pass real"),
    (lambda: discriminator_loss("relativistic", ONE, torch.zeros(1, 1)), r"as many logits of real as of generated images, got \(2, 1\) and \(1, 1\)"),
    (lambda: discriminator_loss("vanilla", [ONE, ONE], [ONE]), r"logits of the same scales, at least one, got \[2, 1\]"),
    (lambda: generator_loss("vanilla", []), r"at least one, got \[0\]"),
    (lambda: discriminator_loss("lsgan", ONE, ONE), "hinge, wasserstein or relativistic, got 'lsgan'; choose one"),  # type: ignore[arg-type]
    (lambda: generator_loss("lsgan", ONE), "an objective of vanilla, least-squares"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("compute", "message"), REFUSED)
def test_invalid_objectives_and_arguments_are_refused(compute: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute()
