"""CUT's networks and losses (Park et al. 2020, "Contrastive Learning for Unpaired Image-to-Image Translation")."""

from collections.abc import Mapping
from math import log
from typing import Any

import torch
from torch import Tensor, nn

from pixlate.adversarial import AdversarialGAN, build_discriminator, build_generator
from pixlate.errors import PixlateError
from pixlate.networks.initialisation import initialise
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import MAIN_GENERATOR, Images, Losses, Player, Verdicts
from pixlate_cut.contrast import Projection, at_places, patch_nce
from pixlate_cut.options import CUTOptions


class CUT(AdversarialGAN):
    """A generator against a discriminator, whose own layers, and projections of them, must know each patch of an output by its source (equation 5)."""

    def __init__(self, options: CUTOptions) -> None:
        generator, discriminator = build_generator(options, options.channels_in, options.channels_out), build_discriminator(options, options.channels_out)
        super().__init__("cut", options, {MAIN_GENERATOR: generator}, {"target": discriminator})
        self.cut, self.layers = options, options.compared_layers()
        self.projections = nn.ModuleList(Projection(width, options.projection_channels) for width in _widths(generator, self.layers, options.channels_in))
        initialise(self.projections, options.initialisation, options.initial_gain)

    def players(self) -> dict[str, Player]:
        """Return the discriminator, then generator and projections, which learn from one loss together."""
        learners = nn.ModuleList([self.generators, self.projections])
        return {"discriminators": super().players()["discriminators"], "generators": Player(learners, self.generator_losses)}

    def generate(self, batch: Batch) -> Images:
        """Return ``target``, made from the source, where requested ``identity``, made from a target, and whether both are ``mirrored``."""
        shown = torch.cat([batch["source"], batch["target"]]) if self.cut.identity_nce else batch["source"]
        mirrored = torch.rand(()) < 0.5 if self.cut.flip_equivariance else torch.tensor(False)
        made = self.generators[MAIN_GENERATOR](shown.flip(3) if mirrored else shown)
        images = dict(zip(("target", "identity"), made.split(len(batch["source"])), strict=False))
        return {**images, "mirrored": mirrored}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return the generated target."""
        return {"target": images["target"]}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial loss, and PatchNCE of outputs with sources and, where requested, of outputs with targets."""
        losses = self.generator_terms("target", batch["target"], images["target"]) | self.smoothness("target", images["target"])
        pairs = {"source": images["target"]} | ({"target": images["identity"]} if self.cut.identity_nce else {})
        weight = self.cut.nce_weight / len(pairs)
        return losses | {f"nce_{domain}": weight * self.contrast(image, batch[domain], bool(images["mirrored"])) for domain, image in pairs.items()}

    def contrast(self, output: Tensor, origin: Tensor, mirrored: bool) -> Tensor:
        """Return PatchNCE, the mean over the layers, of an output, which may be made from the mirrored image, with the image."""
        generator: Any = self.generators[MAIN_GENERATOR]
        with torch.no_grad():
            wanted = generator.features(origin, self.layers)
        losses = []
        for projection, made, true in zip(self.projections, generator.features(output, self.layers), wanted, strict=True):
            places = torch.randperm(true[0, 0].numel(), device=true.device)[: self.cut.nce_patches]
            with torch.no_grad():
                key = projection(at_places(true, places))
            losses.append(patch_nce(projection(at_places(made.flip(3) if mirrored else made, places)), key, self.cut.temperature))
        return torch.stack(losses).mean()

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the discriminator's loss, halved as published."""
        return self.discriminator_terms("target", batch["target"], images["target"])

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return the discriminator's logits for true and generated targets."""
        return {"target": self.verdict("target", batch["target"], images["target"])}

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss."""
        chance = self.cut.nce_weight / (1 + self.cut.identity_nce) * log(self.cut.nce_patches)
        of_chance = f"{chance:.2g} by chance, smaller is better, and it should fall"
        return self.explained_terms("target", "targets") | {
            "nce_source": f"How badly patches of outputs are known among those of their source: {of_chance}; where it does not, pictures lose what is in them.",
            "nce_target": f"The same of targets and what the generator makes of them: {of_chance}; high, it changes what is a target already.",
        }


def _widths(generator: Any, layers: tuple[int, ...], channels: int) -> list[int]:
    """Return the channels of a generator's layers.

    Raises:
        PixlateError: It has no such layers.
    """
    network = generator.network
    if not hasattr(network, "features"):
        raise PixlateError(f"expected a generator whose layers can be compared, got {type(network).__name__}; choose another --generator")
    if max(layers) > network.layers:
        raise PixlateError(f"expected --nce-layers from 0, the images, to {network.layers}, the output, got {max(layers)}; choose among these")
    side = -(-max(network.minimum, 2) // network.multiple) * network.multiple
    with torch.no_grad():
        widths = [features.shape[1] for features in network.eval().features(torch.zeros(1, channels, side, side), layers)]
    network.train()
    return widths
