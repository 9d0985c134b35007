"""DCGAN's players and losses: pictures from noise against one discriminator."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import pixlate
from pixlate.losses import discriminator_loss, explain_discriminator_loss, explain_generator_loss, generator_loss, gradient_penalty, zero_centred_penalty
from pixlate.networks.dcgan import DCGANDiscriminator, Generator
from pixlate.networks.initialisation import initialise
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import MAIN_GENERATOR, Images, Losses, Verdicts
from pixlate.training.schedules import Growth
from pixlate_dcgan.options import SIDES, DCGANOptions

SIDE = 64
"""Of the published networks, where no folder says another."""
COLUMNS = 16
"""Pictures in a row of the sheet that the report shows."""


class DCGAN(pixlate.GAN):
    """A generator of noise, and a discriminator of pictures.

    Args:
        options: Networks and losses.
        facts: ``side`` of the pictures, and ``grow_from`` where the networks grow.
    """

    def __init__(self, options: DCGANOptions, facts: Mapping[str, Any]) -> None:
        self.side, self.grow_from = int(facts.get("side", SIDE)), int(facts.get("grow_from", 0))
        sides = [side for side in SIDES if min(self.grow_from or self.side, self.side) <= side <= self.side]
        generator = Generator(options.latent, options.channels, options.channels_out, sides)
        discriminator = DCGANDiscriminator(options.channels_out, options.discriminator_channels, sides, options.discriminator_norm)
        super().__init__({MAIN_GENERATOR: generator}, {"target": discriminator})
        initialise(self)
        self.options, self.fade = options, 1.0

    def spec(self, generator: str = MAIN_GENERATOR) -> pixlate.ModelSpec:
        """Return what the generator takes and gives."""
        options = self.options
        return pixlate.ModelSpec(
            method="dcgan",
            direction="noise-to-target",
            channels_in=options.channels_out,
            channels_out=options.channels_out,
            norm="running",
            inputs=(pixlate.ModelInput("noise", "noise", length=options.latent),),
            output_size=(self.side, self.side),
        )

    def begin_step(self, step: int, steps: int) -> None:
        """Set how far the newest side has faded in."""
        self.fade = Growth(self.grow_from, self.side, steps, self.spec()).faded(step) if self.grow_from else 1.0

    def generate(self, batch: Batch) -> Images:
        """Return pictures of the side that real ones have in this step."""
        return {"target": self.generators[MAIN_GENERATOR](batch["noise"], batch["target"].shape[-1], self.fade)}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the sum of the terms for real and for generated pictures, and the penalties that are enabled, on the range [-1, 1]."""
        options, real, fake = self.options, self._real(batch), images["target"]
        losses = {"discriminator": discriminator_loss(options.objective, self._logits(real), self._logits(fake), options.smoothing)}
        if options.gradient_penalty:
            losses["gradient_penalty"] = options.gradient_penalty * gradient_penalty(self._judged, 2 * real - 1, 2 * fake - 1)
        if options.r1:
            losses["r1"] = options.r1 * zero_centred_penalty(self._judged, 2 * real - 1)
        if options.r2:
            losses["r2"] = options.r2 * zero_centred_penalty(self._judged, 2 * fake - 1)
        return losses

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return how easily the discriminator knows the pictures."""
        real = self._logits(self._real(batch)) if self.options.objective == "relativistic" else None
        return {"adversarial": generator_loss(self.options.objective, self._logits(images["target"]), real)}

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return what the discriminator says of real and of generated pictures."""
        return {"target": (self._logits(self._real(batch)), self._logits(images["target"]))}

    def views(self, batch: Batch, output: Tensor) -> Mapping[str, Mapping[str, Tensor]]:
        """Return ``grid``: a row of pictures from noise that is the same each time, and belongs to this held-out image."""
        seed = int(batch["noise"].abs().sum() * 2**16)
        noise = torch.randn(COLUMNS, self.options.latent, generator=torch.Generator().manual_seed(seed)).to(output.device)
        drawn = self.exports()[MAIN_GENERATOR].module.eval()(noise)
        return {"grid": {"drawn from noise that stays the same": torch.cat([*drawn], dim=2)[None]}}

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss."""
        return {
            "adversarial": explain_generator_loss(self.options.objective, 1.0, "pictures"),
            "discriminator": explain_discriminator_loss(self.options.objective, 1.0, "pictures"),
            "gradient_penalty": "How far the slope of the discriminator is from 1: small and steady is good, a rise means that it is unstable.",
            "r1": "How steep the discriminator is at real pictures: small and steady is good.",
            "r2": "How steep the discriminator is at generated pictures: small and steady is good.",
        }

    def compiled(self) -> Iterable[nn.Module]:
        """Return the generator, and the discriminator where no penalty differentiates its gradients."""
        penalised = self.options.gradient_penalty or self.options.r1 or self.options.r2
        return [*self.generators.values(), *([] if penalised else self.discriminators.values())]

    def _real(self, batch: Batch) -> Tensor:
        """Return real pictures as sharp as generated ones are while a side fades in."""
        real = batch["target"]
        if self.fade == 1:
            return real
        half = functional.interpolate(functional.avg_pool2d(real, 2), scale_factor=2.0)
        return torch.lerp(half, real, self.fade)

    def _judged(self, images: Tensor) -> Tensor:
        """Return logits of images in [-1, 1], without augmentation."""
        logits: Tensor = self.discriminators["target"](images, self.fade)
        return logits

    def _logits(self, images: Tensor) -> Tensor:
        """Return logits of images in [0, 1], augmented where requested."""
        return self._judged(2 * self.augment(images) - 1)
