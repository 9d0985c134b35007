"""SRGAN's networks and losses (Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network")."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pixlate.adversarial import to_symmetric
from pixlate.errors import PixlateError
from pixlate.losses import (
    HEDDistance,
    Perceptual,
    discriminator_loss,
    explain_discriminator_loss,
    explain_generator_loss,
    generator_loss,
    l1,
    load_hed,
    load_vgg19,
    mse,
)
from pixlate.networks.swin import Swin
from pixlate.networks.symmetric import Symmetric
from pixlate.networks.unet import UNet
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import GAN, MAIN_GENERATOR, Images, Losses, Verdicts
from pixlate.plugin.spec import ModelSpec
from pixlate.restoration import NORMS, build_critic, build_restorer, finished, sizes_of
from pixlate_srgan.options import SRGANOptions


class SRGAN(GAN):
    """First a generator trained on pixel loss alone, called SRResNet in the paper (section 3.2); then the same against a discriminator."""

    def __init__(self, options: SRGANOptions, facts: Mapping[str, Any]) -> None:
        attention = (options.groups, options.heads, options.window)
        network = build_restorer(options.network, options.scale, options.channels, options.blocks, options.depth, options.tail, options.shrink, *attention)
        critics = {"target": build_critic(options.discriminator, options.discriminator_channels, options.spectral_norm)} if options.second else {}
        generator = Symmetric(network) if isinstance(network, UNet | Swin) else network
        super().__init__({MAIN_GENERATOR: generator}, critics)
        self.relit = bool(facts.get("relit", False))
        self.options, self.sizes = options, sizes_of(network, self.relit)
        self.adversarial = options.stages == "adversarial"
        """Whether the second stage has begun."""
        self._perceptual: list[Perceptual | HEDDistance] = []  # in a list, since it is no part of the model and its checkpoints

    def spec(self, generator: str = MAIN_GENERATOR) -> ModelSpec:
        """Return scale, tiling and norm mode; what is in a picture is kept, so grey stays grey."""
        return ModelSpec(method="srgan", scale=self.options.scale, **self.sizes, keeps_grey=True, norm=NORMS[self.options.network])

    def exported(self, generator: str = MAIN_GENERATOR) -> nn.Module:
        """Return the generator as it is used."""
        return finished(self.generators[generator], self.relit)

    def prepare(self, device: torch.device) -> None:
        """Load the network whose features are compared."""
        options = self.options
        if options.second and options.perceptual_weight:
            weights = Path(options.perceptual_weights) if options.perceptual_weights else None
            of_vgg19 = options.perceptual == "vgg19"
            perceptual = Perceptual(load_vgg19(weights, options.perceptual_layer)) if of_vgg19 else HEDDistance(load_hed(), options.perceptual_layers)
            self._perceptual = [perceptual.to(device)]

    def begin_run(self, start_from: str) -> None:
        """Refuse the second stage without a first, whose weights it continues."""
        if self.options.stages == "adversarial" and not start_from:
            raise PixlateError(
                "expected --start-from with --stages adversarial, which continues a first stage, got none; name a run of --stages pixel or a ready model, or "
                "leave out --stages for both"
            )

    def begin_step(self, step: int, steps: int) -> None:
        """Choose the stage."""
        self.adversarial = self.options.stages == "adversarial" or (self.options.stages == "both" and step >= self.options.pixel_share * steps)

    def generate(self, batch: Batch) -> Images:
        """Return ``target``, the enlarged source."""
        return {"target": self.generators[MAIN_GENERATOR](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return ``pixel`` in the first stage; ``perceptual``, ``adversarial`` and what pixel loss is asked for in the second (equation 3)."""
        options, output, target = self.options, images["target"], batch["target"]
        distance = {"mse": mse, "l1": l1}[options.pixel]
        weight = options.second_pixel_weight if self.adversarial else options.pixel_weight
        losses = {"pixel": weight * distance(to_symmetric(output), to_symmetric(target))} if weight else {}
        if not self.adversarial:
            return losses
        for perceptual in self._perceptual:
            losses["perceptual"] = options.perceptual_weight * perceptual(output, target)
        real = self.judge("target", target) if options.objective == "relativistic" else None
        losses["adversarial"] = options.adversarial_weight * generator_loss(options.objective, self.judge("target", output), real)
        return losses

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the discriminator's loss in the second stage (equation 2)."""
        if not self.adversarial:
            return {}
        real, fake = self.judge("target", batch["target"]), self.judge("target", images["target"])
        return {"discriminator": discriminator_loss(self.options.objective, real, fake)}

    def reconstruct(self, source: Tensor) -> Tensor | None:
        """Return the outputs where they are as large as their sources, which are then cleaned pictures."""
        if self.options.scale > 1:
            return None
        output: Tensor = self.exported()(source)
        return output

    def judge_sources(self, source: Tensor) -> Sequence[Tensor]:
        """Return the logits of the discriminator, if there is one, which knows undegraded pictures."""
        if not self.discriminators:
            return ()
        logits = self.judge("target", source)
        return [logits] if isinstance(logits, Tensor) else logits

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss."""
        options = self.options
        return {
            "pixel": "How far outputs are from the photographs, pixel by pixel: smaller is better; in the second stage it may rise, for detail is not where it was.",
            "perceptual": "How far outputs are from the photographs in the features of a network that knows textures: smaller is better.",
            "adversarial": explain_generator_loss(options.objective, options.adversarial_weight, "pictures"),
            "discriminator": explain_discriminator_loss(options.objective, 1.0, "pictures"),
        }

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return the discriminator's logits for true and enlarged images, in the second stage."""
        if not self.adversarial:
            return {}
        real, fake = (_together(self.judge("target", shown)) for shown in (batch["target"], images["target"]))
        return {"target": (real, fake)}


def _together(logits: Tensor | Sequence[Tensor]) -> Tensor:
    """Return the logits of all scales as (batch, positions)."""
    return torch.cat([each.flatten(1) for each in ([logits] if isinstance(logits, Tensor) else logits)], dim=1)
