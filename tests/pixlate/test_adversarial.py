"""Networks and losses of adversarial methods, made from their options."""

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.adversarial import AdversarialGAN, build_discriminator, build_generator, to_symmetric
from pixlate.networks.patchgan import PatchGAN, PixelDiscriminator
from pixlate.networks.r3gan import R3Generator
from pixlate.networks.resnet import ResNet
from pixlate.networks.swin import Swin
from pixlate.networks.unet import UNet
from pixlate.networks.unet_vit import UNetViT
from pixlate.options import AdversarialOptions
from pixlate.training.augment import DiffAugment

SMALL = AdversarialOptions(depth=3, channels=8, norm="none", discriminator_channels=8, discriminator_layers=2, discriminator_norm="none")


class Toy(AdversarialGAN):
    """One direction, one discriminator."""

    def __init__(self, options: AdversarialOptions) -> None:
        torch.manual_seed(0)
        super().__init__("toy", options, {"source_to_target": build_generator(options, 3, 3)}, {"target": build_discriminator(options, 3)})


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    """Return real and generated images."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(3, 3, 32, 32, generator=generator), torch.rand(3, 3, 32, 32, generator=generator)


def logits(gan: AdversarialGAN, shown: Tensor) -> list[Tensor]:
    """Return a discriminator's logits, asked without the GAN."""
    network: Any = gan.discriminators["target"].network
    found: list[Tensor] = network(shown * 2 - 1)
    return found


def value(loss: Tensor) -> float:
    return float(loss.detach())


def test_objectives_are_those_of_their_papers(images: tuple[Tensor, Tensor]) -> None:
    real, fake = images
    one, zero = torch.ones(()), torch.zeros(())
    formulas: dict[str, Any] = {
        "vanilla": lambda r, f: (
            0.5 * functional.binary_cross_entropy(r.sigmoid(), one.expand_as(r)) + 0.5 * functional.binary_cross_entropy(f.sigmoid(), zero.expand_as(f)),
            functional.binary_cross_entropy(f.sigmoid(), one.expand_as(f)),
        ),
        "least-squares": lambda r, f: (0.5 * functional.mse_loss(r, one.expand_as(r)) + 0.5 * f.square().mean(), functional.mse_loss(f, one.expand_as(f))),
        "hinge": lambda r, f: ((1 - r).clamp_min(0).mean() + (1 + f).clamp_min(0).mean(), -f.mean()),
        "wasserstein": lambda r, f: (f.mean() - r.mean(), -f.mean()),
        "relativistic": lambda r, f: (-(r - f).sigmoid().log().mean(), -(f - r).sigmoid().log().mean()),
    }
    for objective, formula in formulas.items():
        gan = Toy(replace(SMALL, objective=objective, spectral_norm=objective == "wasserstein", adversarial_weight=3.0)).eval()  # type: ignore[arg-type]
        (r,), (f,) = logits(gan, real), logits(gan, fake)
        judged, made = formula(r, f)
        assert value(gan.discriminator_terms("target", real, fake)["discriminator_target"]) == pytest.approx(value(judged), rel=1e-4), objective
        assert value(gan.generator_terms("target", real, fake)["adversarial_target"]) == pytest.approx(3 * value(made), rel=1e-4), objective


def test_smoothing_lowers_the_target_of_real_images_alone(images: tuple[Tensor, Tensor]) -> None:
    real, fake = images
    gan = Toy(replace(SMALL, objective="least-squares", smoothing=0.2))
    (r,), (f,) = logits(gan, real), logits(gan, fake)
    assert value(gan.discriminator_terms("target", real, fake)["discriminator_target"]) == pytest.approx(
        value(0.5 * (r - 0.8).square().mean() + 0.5 * f.square().mean())
    )
    assert value(gan.generator_terms("target", real, fake)["adversarial_target"]) == pytest.approx(value((f - 1).square().mean()))


@pytest.mark.parametrize(("penalty_range", "steepness"), [("unit", 1), ("symmetric", 2)])
def test_penalties_are_weighted_norms_of_the_gradient(penalty_range: Literal["symmetric", "unit"], steepness: int, images: tuple[Tensor, Tensor]) -> None:
    real, fake = images
    gan = Toy(replace(SMALL, r1=4.0, r2=6.0, gradient_penalty=10.0, penalty_range=penalty_range))
    terms = gan.discriminator_terms("target", real, fake)
    for name, weight, shown in (("r1", 4.0, real), ("r2", 6.0, fake)):
        squares = []
        for image in shown:  # one by one, by the definition; on [-1, 1] the same change of a picture is twice as long
            single = image[None].clone().requires_grad_()
            (gradient,) = torch.autograd.grad(logits(gan, single)[0].mean(), single)
            squares.append(value((gradient / steepness).square().sum()))
        assert value(terms[f"{name}_target"]) == pytest.approx(weight * 0.5 * sum(squares) / len(squares), rel=1e-4)
    assert value(terms["gradient_penalty_target"]) > 0
    assert terms.keys() == {"discriminator_target", "gradient_penalty_target", "r1_target", "r2_target"}


@pytest.mark.parametrize(("step", "gamma"), [(0, 150.0), (50, 82.5), (100, 15.0), (120, 15.0)])
def test_r3gan_is_trained_by_its_published_losses(step: int, gamma: float, images: tuple[Tensor, Tensor]) -> None:
    """Pairs of logits under softplus, and gamma / 2 of each squared gradient, whose weight falls to a tenth by half a cosine (Huang et al. 2025, equations 2 and 4)."""
    published: dict[str, Any] = {
        "discriminator": ("r3gan",),
        "discriminator_layers": 3,
        "objective": "relativistic",
        "r1": 150.0,
        "r2": 150.0,
        "penalty_end": 0.1,
    }
    gan = Toy(AdversarialOptions(**{"generator": "r3gan", "blocks": 1, "channels": 8, "discriminator_channels": 8, **published}))
    network: Any = gan.discriminators["target"].network
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, 0.0, 0.1)
    real, fake = ((2 * shown - 1).requires_grad_() for shown in images)
    (real_logits,), (fake_logits,) = network(real), network(fake)
    assert real_logits.shape == (3, 1, 1, 1), "one of each picture, so that gradients are those of an image's only logit"
    gan.begin_step(step, 100)
    terms = gan.discriminator_terms("target", *images)
    assert value(terms["discriminator_target"]) == pytest.approx(value((1 + (-(real_logits - fake_logits)).exp()).log().mean()), rel=1e-4)
    for name, logits_of, shown in (("r1", real_logits, real), ("r2", fake_logits, fake)):
        (gradient,) = torch.autograd.grad(logits_of.sum(), shown, retain_graph=True)
        assert value(terms[f"{name}_target"]) == pytest.approx(gamma / 2 * value(gradient.square().sum((1, 2, 3)).mean()), rel=1e-3)
    adversarial = gan.generator_terms("target", *images)["adversarial_target"]
    assert value(adversarial) == pytest.approx(value((1 + (-(fake_logits - real_logits)).exp()).log().mean()), rel=1e-4)
    assert gan.spec().norm == "none" and gan.spec().tiling_exact


def test_gradient_penalty_with_a_norm_is_that_of_uvcgan(images: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Torbunov et al. 2022, eq. 5: weight (||gradient|| - gamma)^2 / gamma^2 of the sum of the logits of images in [0, 1], between real and generated."""
    real, fake = images
    share, gamma = torch.tensor([0.2, 0.5, 0.9]).reshape(3, 1, 1, 1), 100.0
    monkeypatch.setattr(torch, "rand", lambda *size, **kwargs: share)
    gan = Toy(SMALL)
    (example,) = logits(gan, real)
    chosen = replace(SMALL, gradient_penalty=0.1, gradient_norm=gamma / example[0].numel(), penalty_range="unit")
    between = (real + share * (fake - real)).requires_grad_()
    (gradient,) = torch.autograd.grad(logits(gan, between)[0].sum(), between)
    expected = 0.1 / gamma**2 * (gradient.flatten(1).norm(dim=1) - gamma).square().mean()
    gan.options = chosen
    assert value(gan.discriminator_terms("target", real, fake)["gradient_penalty_target"]) == pytest.approx(value(expected), rel=1e-4)


def test_discriminators_without_weight_are_not_asked(images: tuple[Tensor, Tensor]) -> None:
    gan = Toy(replace(SMALL, adversarial_weight=0.0))
    assert gan.discriminator_terms("target", *images) == gan.generator_terms("target", *images) == {}
    assert [len(verdict[0]) for verdict in gan.verdict("target", *images)] == [0, 0]
    matching = Toy(replace(SMALL, adversarial_weight=0.0, feature_matching=1.0))
    assert matching.discriminator_terms("target", *images) and matching.generator_terms("target", *images)


def test_feature_matching_draws_generated_images_towards_real_ones(images: tuple[Tensor, Tensor]) -> None:
    real, fake = images
    gan = Toy(replace(SMALL, feature_matching=10.0, discriminator_scales=2))
    fake.requires_grad_()
    terms = gan.generator_terms("target", real, fake)
    network: Any = gan.discriminators["target"].network
    pairs = list(zip(network.features(fake * 2 - 1), network.features(real * 2 - 1), strict=True))
    assert len(pairs) == 2
    distances = [sum(value((one - other).abs().mean()) for one, other in zip(*scale, strict=True) if one.shape[1] > 1) for scale in pairs]
    assert value(terms["feature_matching_target"]) == pytest.approx(10 * sum(distances) / 2, rel=1e-4)
    terms["feature_matching_target"].backward()  # type: ignore[no-untyped-call]
    assert fake.grad is not None and float(fake.grad.abs().max()) > 0
    fake.grad = None
    (gradient,) = torch.autograd.grad(gan.generator_terms("target", real, fake)["feature_matching_target"], fake)
    closer = (fake - 1e-3 * gradient / gradient.abs().max()).detach()
    assert value(gan.generator_terms("target", real, closer)["feature_matching_target"]) < value(terms["feature_matching_target"])


def test_features_of_a_pair_are_compared_under_the_same_augmentation(images: tuple[Tensor, Tensor]) -> None:
    gan = Toy(replace(SMALL, feature_matching=10.0))
    gan.augment = DiffAugment(("color", "translation", "cutout"))
    terms = [gan.generator_terms("target", images[0], images[0]) for _ in range(5)]
    assert [value(each["feature_matching_target"]) for each in terms] == [0] * 5
    assert len({value(each["adversarial_target"]) for each in terms}) == 5, "each time another one"


def test_total_variation_is_of_images_from_minus_one_to_one() -> None:
    image = torch.zeros(1, 3, 32, 32)
    image[..., 16:] = 1.0  # one edge of height 2 on [-1, 1], between two of 32 columns
    assert Toy(SMALL).smoothness("target", image) == {}
    assert value(Toy(replace(SMALL, total_variation=3.0)).smoothness("target", image)["total_variation_target"]) == pytest.approx(3 * 2 / 31)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, UNet),
        ({"generator": "resnet", "depth": 8, "blocks": 2}, ResNet),
        ({"generator": "resnet", "depth": 8, "blocks": 2, "skip": True}, ResNet),
        ({"generator": "r3gan", "depth": 8, "blocks": 2, "norm": "batch"}, R3Generator),
        ({"generator": "resnet", "depth": 8, "blocks": 2, "downsamplings": 0, "dropout": 0.0, "pointwise": True}, ResNet),
        ({"generator": "unet-vit", "blocks": 1, "features": 8, "heads": 2}, UNetViT),
        ({"generator": "swin", "depth": 8, "blocks": 1, "groups": 1, "heads": 2, "norm": "batch"}, Swin),
    ],
)
def test_generator_works_on_images_from_zero_to_one(changes: dict[str, Any], kind: type[nn.Module], images: tuple[Tensor, Tensor]) -> None:
    network: Any = build_generator(replace(SMALL, **changes), 3, 3)
    assert isinstance(network.network, kind)
    network.eval()  # in training swin passes over blocks
    torch.testing.assert_close(network(images[0]), (network.network(images[0] * 2 - 1) + 1) / 2)
    if changes.get("skip"):
        torch.testing.assert_close(network(images[0]), images[0], atol=0.05, rtol=0)


def test_every_kind_of_discriminator_is_built_at_every_scale(images: tuple[Tensor, Tensor]) -> None:
    gan = Toy(replace(SMALL, discriminator=("patch", "pixel"), discriminator_scales=2))
    kinds = [type(module) for module in gan.modules() if isinstance(module, PatchGAN | PixelDiscriminator)]
    assert kinds == [PatchGAN, PatchGAN, PixelDiscriminator, PixelDiscriminator]
    assert [tuple(found.shape[2:]) for found in logits(gan, images[0])][2:] == [(32, 32), (16, 16)]
    real, fake = gan.verdict("target", *images)
    assert real.shape == fake.shape == (3, sum(found[0].numel() for found in logits(gan, images[0])))


def test_networks_whose_gradients_are_differentiated_are_not_compiled() -> None:
    penalties: list[dict[str, Any]] = [{"gradient_penalty": 1.0}, {"r1": 1.0}, {"r2": 1.0}]
    for penalty in penalties:
        gan = Toy(replace(SMALL, **penalty))
        assert gan.compiled() == [gan.generators["source_to_target"]]
    assert len(Toy(SMALL).compiled()) == 2


def test_spec_says_what_the_network_takes_both_ways() -> None:
    gan = Toy(replace(SMALL, depth=5, channels_in=3, channels_out=1))
    spec = gan.spec()
    assert (spec.method, spec.multiple, spec.minimum, spec.channels_in, spec.channels_out, spec.norm) == ("toy", 32, 32, 3, 1, "none")
    assert Toy(replace(SMALL, norm="batch")).spec().norm == "running"
    assert Toy(replace(SMALL, norm="group")).spec().norm == "per-image"
    assert to_symmetric(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1, 0, 1]
