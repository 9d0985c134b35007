"""Pix2Pix's networks and losses (Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks")."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pixlate.adversarial import AdversarialGAN, build_discriminator, build_generator, to_symmetric
from pixlate.errors import PixlateError
from pixlate.inference.sizes import round_up
from pixlate.losses import HEDDistance, l1, load_hed
from pixlate.networks.lab import LabColours
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import MAIN_GENERATOR, Images, Losses, Verdicts
from pixlate.plugin.spec import ModelSpec
from pixlate_pix2pix.options import Pix2PixOptions
from pixlate_pix2pix.whole_drawing import WholeDrawing


class Pix2Pix(AdversarialGAN):
    """A generator with paired images, judged by a discriminator that sees source and target together (equations 1 to 4)."""

    options: Pix2PixOptions

    def __init__(self, options: Pix2PixOptions) -> None:
        generator = build_generator(options, options.channels_in, 2 if options.lab else options.channels_out)
        if options.lab:
            generator = LabColours(generator.network)  # type: ignore[arg-type]
        if options.whole:
            generator = _whole_drawing(generator, options.whole)
        discriminator = build_discriminator(options, options.channels_in + options.channels_out)
        super().__init__("pix2pix", options, {MAIN_GENERATOR: generator}, {"pair": discriminator})
        self.l1_weight, self.perceptual_weight, self.perceptual_layers = options.l1_weight, options.perceptual_weight, options.perceptual_layers
        self._perceptual: list[HEDDistance] = []  # in a list, since it is no part of the model and its checkpoints

    def spec(self, generator: str = MAIN_GENERATOR) -> ModelSpec:
        """Return channels, sizes, tiling and norm mode; drawings are on white paper."""
        spec = super().spec(generator)
        return replace(spec, whole=True, on_white=True, multiple=1, minimum=1, tiling_exact=False) if self.options.whole else spec

    def prepare(self, device: torch.device) -> None:
        """Load HED, where its features are compared."""
        if self.perceptual_weight:
            self._perceptual = [HEDDistance(load_hed(), self.perceptual_layers).to(device)]

    def generate(self, batch: Batch) -> Images:
        """Return ``target``, the translated source."""
        return {"target": self.generators[MAIN_GENERATOR](batch["source"])}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return ``pair``: source and generated target, stacked, so that a pool keeps them together."""
        return {"pair": _pair(batch["source"], images["target"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial loss and the weighted L1 (equation 4), and the distance of features where requested."""
        real, fake = _pair(batch["source"], batch["target"]), _pair(batch["source"], images["target"])
        difference = l1(to_symmetric(images["target"]), to_symmetric(batch["target"]))
        losses = self.generator_terms("pair", real, fake) | {"l1": self.l1_weight * difference} | self.smoothness("target", images["target"])
        for perceptual in self._perceptual:
            losses["perceptual"] = self.perceptual_weight * perceptual(images["target"], batch["target"])
        return losses

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the discriminator's loss, halved as published."""
        return self.discriminator_terms("pair", _pair(batch["source"], batch["target"]), images["pair"])

    def reconstruct(self, source: Tensor) -> Tensor | None:
        """Return the outputs where they can be compared with their sources: those of whole drawings, and of other channels, cannot."""
        if self.options.whole or self.options.channels_in != self.options.channels_out:
            return None
        output: Tensor = self.exported()(source)
        return output

    def judge_sources(self, source: Tensor) -> Sequence[Tensor]:
        """Return the discriminator's logits for sources that are their own targets."""
        return list(self.judge("pair", _pair(source, source))) if self.discriminators else ()

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss."""
        return {
            **self.explained_terms("pair", "pairs"),
            **self.explained_smoothness("target"),
            "l1": f"How far outputs are from their targets, pixel by pixel (times {self.l1_weight:g}): smaller is better; it falls quickly, then slowly.",
            "perceptual": "How far outputs are from their targets in the features of a network that knows edges and textures: smaller is better.",
        }

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return the discriminator's logits for true and generated pairs."""
        return {"pair": self.verdict("pair", _pair(batch["source"], batch["target"]), _pair(batch["source"], images["target"]))}


def _whole_drawing(generator: nn.Module, side: int) -> WholeDrawing:
    """Return a generator that colours whole drawings with the network of another."""
    network: Any = generator.network
    multiple: int = max(network.multiple, network.minimum)
    if side % multiple:
        raise PixlateError(
            f"expected --whole of a multiple of {multiple}, which the network takes, got {side}; use {round_up(side, multiple)}, or fewer halvings"
        )
    return WholeDrawing(network, side)


def _pair(source: Tensor, target: Tensor) -> Tensor:
    return torch.cat([source, target.to(source.dtype)], dim=1)
