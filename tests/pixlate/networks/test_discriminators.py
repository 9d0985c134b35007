"""Sizes, patches and features of the discriminators."""

import re
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from pixlate.networks.discriminator import Discriminator
from pixlate.networks.multiscale import MultiScale
from pixlate.networks.normalisation import Norm
from pixlate.networks.patchgan import PatchGAN, PixelDiscriminator
from pixlate.networks.r3gan import R3Discriminator
from pixlate.networks.srgan_discriminator import SRGANDiscriminator
from pixlate.networks.unet_discriminator import UNetDiscriminator

MAKERS: dict[str, Callable[..., Discriminator]] = {
    "patchgan": lambda spectral: PatchGAN(channels=8, spectral=spectral),
    "patchgan with attention": lambda spectral: PatchGAN(channels=8, spectral=spectral, attention=True),
    "patchgan that blurs": lambda spectral: PatchGAN(channels=8, spectral=spectral, antialias=True),
    "pixel": lambda spectral: PixelDiscriminator(channels=8, spectral=spectral),
    "patchgan that compares": lambda spectral: PatchGAN(channels=8, spectral=spectral, minibatch="discrimination"),
    "pixel that compares": lambda spectral: PixelDiscriminator(channels=8, spectral=spectral, minibatch="deviation"),
    "srgan": lambda spectral: SRGANDiscriminator(channels=4, spectral=spectral),
    "unet": lambda spectral: UNetDiscriminator(channels=4),
}
LAYERS = {
    "patchgan": 5,
    "patchgan with attention": 5,
    "patchgan that blurs": 5,
    "patchgan that compares": 5,
    "pixel": 3,
    "pixel that compares": 3,
    "srgan": 10,
    "unet": 10,
}
UNCONSTRAINED = {"patchgan with attention": 4, "unet": 2}
"""Layers outside spectral norm: those of attention; first and last."""


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_patches_have_the_sides_of_the_paper(layers: int, side: int) -> None:
    assert PatchGAN(channels=1, layers=layers, norm="none").receptive_field == side


@pytest.mark.parametrize(("antialias", "side"), [(False, 34), (True, 40)])
def test_a_logit_depends_on_its_patch_alone(antialias: bool, side: int) -> None:
    torch.manual_seed(0)
    network = PatchGAN(channels=8, layers=2, norm="none", antialias=antialias).double()
    images = torch.rand(1, 3, 128, 128, dtype=torch.float64, requires_grad=True)
    logits = network(images)
    (gradient,) = torch.autograd.grad(logits[0, 0, 15, 15], images)
    for axis in (1, 2):
        seen = gradient[0].abs().amax((0, 3 - axis)).nonzero().flatten()
        assert int(seen.max() - seen.min()) + 1 == network.receptive_field == side


@pytest.mark.parametrize("antialias", [False, True])
def test_patchgan_of_a_published_size_gives_its_patches(antialias: bool) -> None:
    assert PatchGAN(channels=4, antialias=antialias)(torch.rand(2, 3, 256, 256)).shape == (2, 1, 30, 30)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("norm", get_args(Norm))
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_patchgan_takes_its_minimum_and_nothing_smaller_would_do(layers: int, norm: Norm, antialias: bool) -> None:
    network = PatchGAN(channels=4, layers=layers, norm=norm, antialias=antialias)
    assert network(torch.rand(1, 3, network.minimum, network.minimum)).shape == (1, 1, 1, 1)
    network.minimum, smaller = 1, network.minimum - 1
    with pytest.raises((RuntimeError, ValueError)):
        network(torch.rand(1, 3, smaller, smaller))


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("maker", MAKERS)
def test_discriminator_in_training_takes_its_minimum_and_odd_sizes(maker: str, spectral: bool) -> None:
    network = MAKERS[maker](spectral)
    for height, width in [(network.minimum, network.minimum), (network.minimum + 13, network.minimum + 6)]:
        logits = network(torch.rand(1, 3, height, width))
        assert logits.isfinite().all()
        assert logits.shape[:2] == (1, 1)


@pytest.mark.parametrize("maker", MAKERS)
def test_features_are_those_of_every_layer_and_end_with_the_logits(maker: str) -> None:
    network = MAKERS[maker](False).eval()
    images = torch.rand(2, 3, 32, 40)
    features = network.features(images)
    assert len(features) == LAYERS[maker]
    assert torch.equal(features[-1], network(images))
    assert all((feature < 0).any() and (feature > 0).any() for feature in features[:-1])


@pytest.mark.parametrize("maker", MAKERS)
def test_spectral_norm_keeps_the_largest_singular_value_of_every_convolution_at_one(maker: str) -> None:
    network = MAKERS[maker](True)
    for _ in range(100):  # each pass is one power iteration
        network(torch.rand(2, 3, 32, 32))
    layers = [layer for layer in network.modules() if parametrize.is_parametrized(layer)]
    plain = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear) and layer not in layers]
    assert len(plain) == UNCONSTRAINED.get(maker, 0)
    assert len(layers) == LAYERS[maker] - (2 if maker == "unet" else 0)
    for layer in network.eval().modules():
        if parametrize.is_parametrized(layer):
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.03)


def test_r3gan_discriminator_judges_a_published_patch_as_a_whole_and_larger_ones_by_position() -> None:
    network = R3Discriminator(channels=2, layers=2)
    assert network.minimum == 16
    assert [network(torch.rand(2, 3, side, 24)).shape for side in (16, 20)] == [(2, 1, 1, 3), (2, 1, 2, 3)]
    assert [features.shape[1:] for features in network.features(torch.rand(1, 3, 16, 16))] == [(2, 16, 16), (4, 8, 8), (8, 4, 4), (1, 1, 1)]
    with pytest.raises(ValueError, match="at least 16, got 15 x 16"):
        network(torch.rand(1, 3, 15, 16))


def test_srgan_discriminator_takes_the_papers_crops_as_they_are() -> None:
    network = SRGANDiscriminator(channels=2).eval()
    images = torch.rand(2, 3, 96, 96)
    features = network.features(images)
    assert features[7].shape == (2, 16, 6, 6)
    expected = network.stages[8][2:](features[7].flatten(1))  # type: ignore[index]
    assert torch.equal(features[8], expected)
    assert network(images).shape == (2, 1)


def test_unet_discriminator_judges_every_pixel_of_any_size() -> None:
    network = UNetDiscriminator(channels=2)
    assert all(network(torch.rand(1, 3, *size)).shape[2:] == size for size in [(8, 8), (9, 15), (16, 24)])
    with pytest.raises(ValueError, match="at least 8, got 7 x 8"):
        network(torch.rand(1, 3, 7, 8))


def test_unet_discriminator_is_that_of_real_esrgan() -> None:
    """Its forward pass, as published, on the same weights."""
    torch.manual_seed(0)
    network = UNetDiscriminator(channels=4).eval()
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    images = torch.rand(2, 3, 24, 16)

    def leaky(number: int, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.leaky_relu(convolutions[number](features), 0.2)

    def doubled(features: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)

    first = leaky(0, images)
    second = leaky(1, first)
    third = leaky(2, second)
    features = leaky(4, doubled(leaky(3, third))) + third
    features = leaky(5, doubled(features)) + second
    features = leaky(6, doubled(features)) + first
    expected = convolutions[9](leaky(8, leaky(7, features)))
    assert torch.allclose(network(images), expected, atol=1e-6)


def test_pixel_discriminator_judges_each_pixel_by_itself() -> None:
    network = PixelDiscriminator(channels=4).eval()
    images = torch.rand(1, 3, 5, 7)
    logits = network(images)
    assert logits.shape == (1, 1, 5, 7)
    images[0, :, 2, 3] += 1
    changed = (network(images) != logits)[0, 0]
    assert changed.nonzero().tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PatchGAN(layers=0), "expected at least 1 layer, got 0"),
        (lambda: MultiScale([]), "expected at least one discriminator, got none"),
        (lambda: PatchGAN(channels=2)(torch.rand(1, 3, 23, 40)), "expected height and width of at least 24, got 23 x 40; pad or scale"),
        (lambda: PatchGAN(6, channels=2)(torch.rand(1, 3, 40, 40)), "expected (batch, 6, height, width), got (1, 3, 40, 40)"),
    ],
)
def test_invalid_discriminator_options_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_each_scale_halves_the_image_of_the_one_before() -> None:
    torch.manual_seed(0)
    networks = [PatchGAN(channels=2, norm="none") for _ in range(3)]
    images = torch.rand(1, 3, 101, 128)
    # at a border, only what is within the image is averaged
    weight = torch.ones(3, 1, 3, 3)
    scales = [images]
    for _ in range(2):
        summed = nn.functional.conv2d(scales[-1], weight, stride=2, padding=1, groups=3)
        scales.append(summed / nn.functional.conv2d(torch.ones_like(scales[-1]), weight, stride=2, padding=1, groups=3))
    logits = MultiScale(networks)(images)
    assert [tuple(scale.shape[2:]) for scale in scales] == [(101, 128), (51, 64), (26, 32)]
    for network, scale, found in zip(networks, scales, logits, strict=True):
        assert torch.allclose(found, network(scale), atol=1e-6)


def test_multiscale_takes_its_minimum_and_nothing_smaller_would_do() -> None:
    network = MultiScale([PatchGAN(channels=2, layers=2), PatchGAN(channels=2, layers=3), PatchGAN(channels=2, layers=2)])
    features = network.features(torch.rand(1, 3, network.minimum, network.minimum))
    assert [len(scale) for scale in features] == [4, 5, 4]
    images = torch.rand(1, 3, 64, 64)
    network.eval()
    assert all(torch.equal(logits, scale[-1]) for logits, scale in zip(network(images), network.features(images), strict=True))
    with pytest.raises(ValueError, match=f"at least 24, got {(network.minimum - 1) // 2 + (network.minimum - 1) % 2}"):
        network(torch.rand(1, 3, network.minimum - 1, network.minimum - 1))
