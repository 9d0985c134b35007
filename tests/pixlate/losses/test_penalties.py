"""Penalties, against the gradients of discriminators that are known in closed form."""

import pytest
import torch
from torch import Tensor, nn

from pixlate.losses import gradient_penalty, zero_centred_penalty
from pixlate.networks.multiscale import MultiScale
from pixlate.networks.patchgan import PatchGAN


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
