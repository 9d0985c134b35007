"""Losses of generator against discriminator, against the formulas of the papers in plain arithmetic; penalties, against gradients known in closed form."""

import math
from collections.abc import Callable
from statistics import fmean
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pixlate.losses import Objective, discriminator_loss, generator_loss, gradient_penalty, zero_centred_penalty
from pixlate.networks.multiscale import MultiScale
from pixlate.networks.patchgan import PatchGAN


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


class Linear(nn.Module):
    """The inner product with one weight for each value of an image, whose gradient is the weights wherever one looks."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        weight = torch.randn(3, 4, 5)
        self.weight = nn.Parameter(weight * norm / weight.norm())

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.weight).flatten(1).sum(1, keepdim=True)


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.rand(6, 3, 4, 5), torch.rand(6, 3, 4, 5)


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_penalties_of_a_linear_discriminator_are_those_of_its_weights(norm: float, pair: tuple[Tensor, Tensor]) -> None:
    network = Linear(norm)
    assert gradient_penalty(network, *pair).item() == pytest.approx((norm - 1) ** 2, abs=1e-5)
    assert zero_centred_penalty(network, pair[0]).item() == pytest.approx(norm**2 / 2, rel=1e-5)


def test_penalties_of_a_square_discriminator_are_taken_image_by_image(pair: tuple[Tensor, Tensor]) -> None:
    """Half the squared norm has the image itself as gradient."""
    real, _ = pair
    norms = real.flatten(1).norm(dim=1)

    def square(images: Tensor) -> Tensor:
        return images.square().flatten(1).sum(1) / 2

    assert torch.isclose(zero_centred_penalty(square, real), norms.square().mean() / 2)
    assert torch.isclose(gradient_penalty(square, real, real), (norms - 1).square().mean())


def test_gradients_are_taken_between_real_and_generated_images_at_a_share_of_its_own_for_each() -> None:
    torch.manual_seed(0)
    seen: list[Tensor] = []

    def watch(images: Tensor) -> Tensor:
        seen.append(images.detach().clone())
        return images.flatten(1).sum(1)

    gradient_penalty(watch, torch.zeros(64, 3, 4, 4), torch.ones(64, 3, 4, 4))
    shares = seen[0].flatten(1)
    assert torch.equal(shares.amin(1), shares.amax(1))
    assert shares.min() < 0.1 and shares.max() > 0.9 and len(set(shares[:, 0].tolist())) == 64


def test_penalties_move_the_weights_to_where_they_want_them(pair: tuple[Tensor, Tensor]) -> None:
    for penalty, wanted in ((lambda network: gradient_penalty(network, *pair), 1.0), (lambda network: zero_centred_penalty(network, pair[0]), 0.0)):
        network = Linear(3.0)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(200):
            optimizer.zero_grad()
            penalty(network).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        assert network.weight.norm().item() == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("spectral", [False, True])
def test_penalties_reach_every_convolution_of_a_real_discriminator(spectral: bool, attention: bool) -> None:
    torch.manual_seed(0)
    network = PatchGAN(channels=4, layers=2, norm="instance", spectral=spectral, attention=attention)
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            nn.init.ones_(parameter)
    real, fake = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32, requires_grad=True)
    (gradient_penalty(network, real, fake) + zero_centred_penalty(network, real)).backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4:
            assert parameter.grad is not None and parameter.grad.any(), name
    assert fake.grad is None  # the generator is not the one that is penalised


def test_patches_count_as_their_mean() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 4, 5)
    weight = torch.randn(3, 4, 5)

    def judge(images: Tensor) -> Tensor:
        one = (images * weight).flatten(1).sum(1)
        return torch.stack([one, 3 * one], 1).reshape(-1, 1, 1, 2)

    assert torch.isclose(zero_centred_penalty(judge, images), (2 * weight.norm()).square() / 2)


def test_scales_are_penalised_each_by_itself(pair: tuple[Tensor, Tensor]) -> None:
    one, two = Linear(1.0), Linear(3.0)
    assert zero_centred_penalty(lambda images: [one(images), two(images)], pair[0]).item() == pytest.approx((1 + 9) / 2 / 2, rel=1e-5)
    assert gradient_penalty(lambda images: [one(images), two(images)], *pair).item() == pytest.approx((0 + 4) / 2, rel=1e-4)
    scales = MultiScale([PatchGAN(channels=2, layers=1, norm="none") for _ in range(2)])
    assert zero_centred_penalty(scales, torch.rand(1, 3, 32, 32)) > 0


def test_penalties_are_computed_in_32_bits_under_autocast(pair: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(24, 1))
    expected = zero_centred_penalty(network, pair[0])
    with torch.autocast("cpu", torch.bfloat16):
        assert network(pair[0]).dtype == torch.bfloat16
        found = zero_centred_penalty(network, pair[0].bfloat16().float())
        steep = gradient_penalty(network, pair[0].bfloat16(), pair[1])
    assert found.dtype == steep.dtype == torch.float32
    assert torch.isclose(found, expected, rtol=1e-3)


def test_flat_discriminator_has_a_penalty_of_one_and_finite_gradients(pair: tuple[Tensor, Tensor]) -> None:
    network = Linear(1.0)
    nn.init.zeros_(network.weight)
    penalty = gradient_penalty(network, *pair)
    penalty.backward()  # type: ignore[no-untyped-call]
    assert penalty.item() == pytest.approx(1)
    assert network.weight.grad is not None and network.weight.grad.isfinite().all()


def test_images_handed_over_are_left_as_they_are(pair: tuple[Tensor, Tensor]) -> None:
    zero_centred_penalty(Linear(1.0), pair[0])
    gradient_penalty(Linear(1.0), *pair)
    assert not pair[0].requires_grad and not pair[1].requires_grad


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3, 4, 5\) and \(1, 3, 4, 5\)"):
        gradient_penalty(Linear(1.0), torch.zeros(2, 3, 4, 5), torch.zeros(1, 3, 4, 5))
