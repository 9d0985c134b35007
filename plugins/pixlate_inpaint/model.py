"""Inpainting's networks and losses."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

import pixlate
from pixlate.adversarial import to_symmetric
from pixlate.inference.sizes import spec_sizes
from pixlate.losses import contextual_loss, discriminator_loss, explain_discriminator_loss, explain_generator_loss, generator_loss, l1, load_hed
from pixlate.networks.filling import Filling, MaskedInput, laid_over
from pixlate.networks.gated import GatedGenerator, SNPatchGAN
from pixlate.networks.hed import HED
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import MAIN_GENERATOR, Images, Losses, Verdicts
from pixlate_inpaint.options import InpaintOptions


class Inpainting(pixlate.GAN):
    """A generator that fills, against a discriminator that sees where (Yu et al. 2019, 3.3)."""

    def __init__(self, options: InpaintOptions) -> None:
        network = GatedGenerator(options.channels)
        super().__init__({MAIN_GENERATOR: Filling(network)}, {"target": MaskedInput(SNPatchGAN(4, options.discriminator_channels))})
        self.options, self.sizes = options, spec_sizes(network)
        self._features: list[HED] = []  # in a list, since it is no part of the model and its checkpoints

    def spec(self, generator: str = MAIN_GENERATOR) -> pixlate.ModelSpec:
        """Return sizes, tiling and inputs."""
        inputs = (pixlate.ModelInput("image", "image"), pixlate.ModelInput("mask", "mask"))
        return pixlate.ModelSpec(method="inpaint", inputs=inputs, keeps_grey=True, padding="reflect", **self.sizes)

    def prepare(self, device: torch.device) -> None:
        """Load HED, where its features are compared."""
        if self.options.contextual_weight:
            self._features = [load_hed().to(device)]

    def generate(self, batch: Batch) -> Images:
        """Return ``target``, the source filled, and ``made``, what the network makes of all of it."""
        filling = self.generators[MAIN_GENERATOR]
        assert isinstance(filling, Filling)
        made = filling.made(batch["source"], batch["mask"])
        return {"target": laid_over(batch["source"], made, batch["mask"]), "made": made}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return what the discriminator is shown: images with their masks as one more channel, so that a pool keeps both together."""
        return {"target": torch.cat([images["target"], batch["mask"]], dim=1)}

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return what the discriminator says of real and of filled images."""
        real, fake = (self.judge("target", shown, batch["mask"]).flatten(1) for shown in (batch["target"], images["target"]))
        return {"target": (real, fake)}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the hinge loss of the discriminator."""
        real, shown = self.judge("target", batch["target"], batch["mask"]), images["target"]
        return {"discriminator": discriminator_loss("hinge", real, self.judge("target", shown[:, :3], shown[:, 3:]))}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the difference of the whole picture from the photograph, the adversarial loss of what was filled, and its contextual loss where requested."""
        options = self.options
        losses: Losses = {}
        if options.pixel_weight:
            losses["pixel"] = options.pixel_weight * l1(to_symmetric(images["made"]), to_symmetric(batch["target"]))
        losses["adversarial"] = options.adversarial_weight * generator_loss("hinge", self.judge("target", images["target"], batch["mask"]))
        for network in self._features:
            with torch.no_grad():
                wanted = network.features(batch["target"], options.perceptual_layers)
            found = network.features(images["target"], options.perceptual_layers)
            terms = [contextual_loss(one, other) for one, other in zip(found, wanted, strict=True)]
            losses["contextual"] = options.contextual_weight * torch.stack(terms).mean()
        return losses

    def reconstruct(self, source: Tensor) -> Tensor:
        """Return sources of which every square was filled from those around it."""
        filling = self.generators[MAIN_GENERATOR]
        assert isinstance(filling, Filling)
        return filling.reconstruct(source)

    def measured(self, batch: Batch, output: Tensor) -> Mapping[str, float]:
        """Return ``hole_error``, the mean absolute difference from the photograph inside of the mask."""
        mask = batch["mask"].expand_as(output)
        return {"hole_error": float(((output - batch["target"]).abs() * mask).sum() / mask.sum())}

    def compiled(self) -> Iterable[nn.Module]:
        """Return the networks, of which losses see more than their modules return."""
        return [self.generators[MAIN_GENERATOR].network, *self.discriminators.values()]  # type: ignore[list-item]

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss and figure."""
        options = self.options
        return {
            "pixel": "How far the network's pictures are from the photographs, pixel by pixel, inside and outside of the holes: smaller is better.",
            "adversarial": explain_generator_loss("hinge", options.adversarial_weight, "filled pictures"),
            "discriminator": explain_discriminator_loss("hinge", 1.0, "filled pictures"),
            "contextual": "How far the textures of filled pictures are from those of the photographs, wherever they are: smaller is better.",
            "hole_error": "How far what was filled is from the photograph, of a range of 1: smaller is better, though what is there may be something else.",
        }
