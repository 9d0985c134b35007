"""What adversarial translations between images of one size share: networks and losses from their options."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pixlate.inference.sizes import spec_sizes
from pixlate.losses import (
    discriminator_loss,
    explain_discriminator_loss,
    explain_generator_loss,
    feature_matching,
    generator_loss,
    gradient_penalty,
    total_variation,
    zero_centred_penalty,
)
from pixlate.losses.ramps import half_cosine
from pixlate.networks.blocks import Halving, Upsampling
from pixlate.networks.discriminator import Discriminator
from pixlate.networks.initialisation import initialise
from pixlate.networks.multiscale import MultiScale
from pixlate.networks.patchgan import PatchGAN, PixelDiscriminator
from pixlate.networks.r3gan import R3Discriminator, R3Generator
from pixlate.networks.resnet import ResNet
from pixlate.networks.swin import Swin
from pixlate.networks.symmetric import Symmetric, SymmetricInput
from pixlate.networks.unet import UNet
from pixlate.networks.unet_vit import UNetViT
from pixlate.options import AdversarialOptions
from pixlate.options.adversarial import READ
from pixlate.plugin.gan import GAN, MAIN_GENERATOR, Losses
from pixlate.plugin.spec import ModelSpec, Norm

HALVED = ("vanilla", "least-squares")
"""Objectives whose discriminator losses are the mean of the real and the generated term, as published with Pix2Pix and CycleGAN; others are sums."""

NORMS: Mapping[str, Norm] = {"batch": "running", "instance": "per-image", "group": "per-image", "none": "none"}
"""Norm mode of a spec, by the normalisation in the generator."""


def build_generator(options: AdversarialOptions, channels_in: int, channels_out: int) -> nn.Module:
    """Return the generator the options describe, for images in [0, 1], with its initial weights."""
    network = GENERATORS[options.generator](options, channels_in, channels_out)
    initialise(network, options.initialisation, options.initial_gain)
    return Symmetric(network)


def _unet(options: AdversarialOptions, channels_in: int, channels_out: int) -> nn.Module:
    shared = (options.norm, options.dropout, options.upsampling, options.attention)
    return UNet(channels_in, channels_out, options.depth, options.channels, *shared, options.dropout_blocks)


def _resnet(options: AdversarialOptions, channels_in: int, channels_out: int) -> nn.Module:
    upsampling: Upsampling = "bilinear" if options.antialias else options.upsampling
    halve: Halving = "blurred" if options.antialias else "strided"
    shared = (options.norm, options.dropout, upsampling, options.attention, options.skip, halve)
    return ResNet(channels_in, channels_out, options.blocks, options.channels, options.downsamplings, *shared, pointwise=options.pointwise)


def _unet_vit(options: AdversarialOptions, channels_in: int, channels_out: int) -> nn.Module:
    return UNetViT(channels_in, channels_out, options.depth, options.channels, options.blocks, options.features, options.heads, options.norm)


def _swin(options: AdversarialOptions, channels_in: int, channels_out: int) -> nn.Module:
    numbers = (options.channels, options.groups, options.blocks, options.heads, options.window)
    return Swin(channels_in, channels_out, 1, *numbers, skip=options.skip)


def _r3gan(options: AdversarialOptions, channels_in: int, channels_out: int) -> nn.Module:
    return R3Generator(channels_in, channels_out, options.blocks, options.channels, options.downsamplings)


GENERATORS: Mapping[str, Callable[[AdversarialOptions, int, int], nn.Module]] = {
    "unet": _unet,
    "resnet": _resnet,
    "unet-vit": _unet_vit,
    "swin": _swin,
    "r3gan": _r3gan,
}
"""Makes a network of images in [-1, 1] from options, channels in and channels out, by the value of ``--generator``. Each has ``multiple``, ``minimum``, ``halo`` and
``exact``; which options it reads is in ``PUBLISHED`` and ``READ`` of :mod:`pixlate.options.adversarial`."""


def build_discriminator(options: AdversarialOptions, channels: int) -> nn.Module:
    """Return the discriminators the options describe, as one network for images in [0, 1], with its initial weights."""
    kinds = [MultiScale([_discriminator(kind, options, channels) for _ in range(options.discriminator_scales)]) for kind in options.discriminator]
    jury = Jury(kinds)
    initialise(jury, options.initialisation, options.initial_gain)
    return SymmetricInput(jury)


class Jury(nn.Module):
    """Discriminators of several kinds for the same images."""

    def __init__(self, members: Sequence[MultiScale]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the logits of every member at every scale."""
        return [logits for member in self.members for logits in member(images)]

    def features(self, images: Tensor) -> list[list[Tensor]]:
        """Return the features of every member at every scale, logits last."""
        return [features for member in self.members for features in member.features(images)]  # type: ignore[operator]


class AdversarialGAN(GAN):
    """Generators by direction, made by :func:`build_generator`, discriminators by what they judge, made by :func:`build_discriminator`, and their losses.

    ``method`` is the name of the method, for the spec. Discriminators that have no say are left out.
    """

    def __init__(self, method: str, options: AdversarialOptions, generators: Mapping[str, nn.Module], discriminators: Mapping[str, nn.Module]) -> None:
        super().__init__(generators, discriminators if options.judged else {})
        self.method, self.options = method, options
        self.penalty_share = 1.0
        """Of the weights of R1 and R2, in this step."""

    def begin_step(self, step: int, steps: int) -> None:
        """Let the penalties fall."""
        self.penalty_share = half_cosine(step / steps, 1.0, self.options.penalty_end)

    def spec(self, generator: str = MAIN_GENERATOR) -> ModelSpec:
        """Return channels, sizes, tiling and norm mode of a generator."""
        options = self.options
        network: Any = self.generators[generator].network
        channels = (options.channels_in, options.channels_out)
        channels_in, channels_out = channels if generator == MAIN_GENERATOR else channels[::-1]
        return ModelSpec(
            method=self.method,
            direction=generator.replace("_", "-"),
            channels_in=channels_in,
            channels_out=channels_out,
            **spec_sizes(network),
            norm="none" if options.generator not in READ["norm"] else NORMS[options.norm],
        )

    def compiled(self) -> list[nn.Module]:
        """Return the generators, and the discriminators where no penalty differentiates their gradients."""
        penalised = self.options.gradient_penalty or self.options.r1 or self.options.r2
        return [*self.generators.values(), *([] if penalised else self.discriminators.values())]

    def discriminator_terms(self, name: str, real: Tensor, fake: Tensor) -> Losses:
        """Return what a discriminator minimises, images given: its objective and the penalties that are enabled; nothing where it has no say."""
        options = self.options
        if not options.judged:
            return {}
        logits_real, logits_fake = self.judge(name, real), self.judge(name, fake)
        half = 0.5 if options.objective in HALVED else 1.0
        losses = {f"discriminator_{name}": half * discriminator_loss(options.objective, logits_real, logits_fake, options.smoothing)}
        judge: Any = self.discriminators[name]
        if options.penalty_range == "symmetric" and isinstance(judge, SymmetricInput):
            judge, real, fake = judge.network, to_symmetric(real), to_symmetric(fake)
        if options.gradient_penalty:
            losses[f"gradient_penalty_{name}"] = options.gradient_penalty * gradient_penalty(judge, real, fake, options.gradient_norm)
        if options.r1:
            losses[f"r1_{name}"] = self.penalty_share * options.r1 * zero_centred_penalty(judge, real)
        if options.r2:
            losses[f"r2_{name}"] = self.penalty_share * options.r2 * zero_centred_penalty(judge, fake)
        return losses

    def generator_terms(self, name: str, real: Tensor, fake: Tensor) -> Losses:
        """Return what a generator minimises against a discriminator: its objective, and feature matching where requested; nothing where that has no say."""
        options = self.options
        if not options.judged:
            return {}
        losses: Losses = {}
        if options.feature_matching:
            seed = int(torch.randint(2**31, ()))
            features = self._features(name, fake, seed)
            with torch.no_grad():
                features_real = self._features(name, real, seed)
            logits: Any = [scale[-1] for scale in features]
            losses[f"feature_matching_{name}"] = options.feature_matching * feature_matching(features, features_real)
        else:
            logits = self.judge(name, fake)
        logits_real = self.judge(name, real) if options.objective == "relativistic" else None
        return {f"adversarial_{name}": options.adversarial_weight * generator_loss(options.objective, logits, logits_real)} | losses

    def explained_terms(self, name: str, shown: str) -> dict[str, str]:
        """Return a sentence for each loss of a discriminator and of what it judges; ``shown`` says in words what that is, such as ``photographs``."""
        options = self.options
        half = 0.5 if options.objective in HALVED else 1.0
        sentences = {
            f"adversarial_{name}": explain_generator_loss(options.objective, options.adversarial_weight, shown),
            f"discriminator_{name}": explain_discriminator_loss(options.objective, half, shown),
        }
        if options.feature_matching:
            sentences[f"feature_matching_{name}"] = f"How far generated {shown} are from real ones in the discriminator's features: smaller is better."
        if options.gradient_penalty:
            sentences[f"gradient_penalty_{name}"] = (
                f"How far the slope of the discriminator is from {options.gradient_norm:.3g}: small and steady is good, a rise means that it is unstable."
            )
        for penalty, images in (("r1", "real"), ("r2", "generated")):
            if getattr(options, penalty):
                sentences[f"{penalty}_{name}"] = f"How steep the discriminator is at {images} {shown}: small and steady is good."
        return sentences | self.explained_smoothness(name)

    def explained_smoothness(self, name: str) -> dict[str, str]:
        """Return the sentence of :meth:`smoothness`, where that is requested."""
        return (
            {f"total_variation_{name}": "How much neighbouring pixels of outputs differ: it falls as noise goes, and with detail."}
            if self.options.total_variation
            else {}
        )

    def smoothness(self, name: str, fake: Tensor) -> Losses:
        """Return the total variation of an image on the range [-1, 1], where requested."""
        return {f"total_variation_{name}": self.options.total_variation * total_variation(2 * fake)} if self.options.total_variation else {}

    def verdict(self, name: str, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return all logits of a discriminator for real and for generated images, (batch, positions); none where it has no say."""
        if not self.options.judged:
            return real.new_zeros(len(real), 0), fake.new_zeros(len(fake), 0)
        first, second = (torch.cat([logits.flatten(1) for logits in self.judge(name, images)], dim=1) for images in (real, fake))
        return first, second

    def _features(self, name: str, images: Tensor, seed: int) -> list[list[Tensor]]:
        """Return a discriminator's features of images that are augmented as the seed has it, so that those of two batches compare."""
        before = torch.mps.get_rng_state() if images.is_mps else None  # fork_rng knows CUDA and the CPU
        with torch.random.fork_rng([images.device] if images.is_cuda else []):
            torch.manual_seed(seed)
            shown = self.augment(images)
        if before is not None:
            torch.mps.set_rng_state(before)
        found: list[list[Tensor]] = self.discriminators[name].features(shown)  # type: ignore[operator]
        return found


def to_symmetric(images: Tensor) -> Tensor:
    """Return images in [0, 1] on the range [-1, 1], where the published weights of losses hold."""
    return 2 * images - 1


def _discriminator(kind: str, options: AdversarialOptions, channels: int) -> Discriminator:
    width, layers, minibatch = options.discriminator_channels, options.discriminator_layers, options.minibatch
    if kind == "r3gan":
        return R3Discriminator(channels, width, layers, minibatch)
    norm, spectral = options.discriminator_norm, options.spectral_norm
    if kind == "pixel":
        return PixelDiscriminator(channels, width, norm, spectral, minibatch)
    return PatchGAN(channels, width, layers, norm, spectral, options.attention, options.antialias, minibatch)
