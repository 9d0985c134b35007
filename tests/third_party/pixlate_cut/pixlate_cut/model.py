"""CUT's networks and losses."""

import torch
from torch import Tensor, nn
from torch.nn import functional

import pixlate
from pixlate.inference.sizes import spec_sizes
from pixlate.losses import discriminator_loss, generator_loss
from pixlate.networks.initialisation import initialise
from pixlate.networks.patchgan import PatchGAN
from pixlate.networks.resnet import ResNet
from pixlate.networks.symmetric import Symmetric, SymmetricInput
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import Images, Losses, Verdicts
from pixlate_cut import CUTOptions

HALVINGS = 2
MAIN = "source_to_target"


class Projection(nn.Module):
    """Makes vectors of unit length from the features of one layer: (batch, patches, channels) to (batch, patches, ``length``)."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, length), nn.ReLU(), nn.Linear(length, length))

    def forward(self, features: Tensor) -> Tensor:
        """Return the vectors."""
        return functional.normalize(self.layers(features), dim=-1)


class CUT(pixlate.GAN):
    """A generator, a discriminator, and projections: a third player, which is neither."""

    def __init__(self, options: CUTOptions) -> None:
        network = ResNet(blocks=options.blocks, channels=options.channels, downsamplings=HALVINGS, halve="blurred", upsampling="bilinear")
        judge = PatchGAN(channels=options.discriminator_channels, norm="instance")
        super().__init__({MAIN: Symmetric(network)}, {"target": SymmetricInput(judge)})
        self.options, self.sizes = options, spec_sizes(network)
        # The pixels, both halvings, the first block and the one in the middle: layers 0, 4, 8, 12 and 16 as the authors count them.
        self.layers = sorted({0, 2, 3, HALVINGS + 2, HALVINGS + 2 + (options.blocks - 1) // 2})
        with torch.no_grad():
            widths = [features.shape[1] for features in network.features(torch.zeros(1, 3, network.minimum, network.minimum), self.layers)]
        self.projections = nn.ModuleList(Projection(width, options.projection_channels) for width in widths)
        for module in (network, judge, self.projections):
            initialise(module, "xavier")

    def spec(self, generator: str = MAIN) -> pixlate.ModelSpec:
        """Return sizes and norm mode."""
        return pixlate.ModelSpec(method="cut", norm="per-image", **self.sizes)

    def players(self) -> dict[str, pixlate.Player]:
        """Return discriminator, projections and generator, which step in this order; each has an optimiser of its own."""
        players = super().players()
        return {
            "discriminators": players["discriminators"],
            "projections": pixlate.Player(self.projections, lambda batch, images: {"projection": self.contrast(batch, images)}),
            "generators": players["generators"],
        }

    def generate(self, batch: Batch) -> Images:
        """Return the translated source, and what the generator makes of a target, which should stay as it is."""
        generator = self.generators[MAIN]
        return {"target": generator(batch["source"]), "identity": generator(batch["target"])}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return what the discriminator is shown."""
        return {"target": images["target"]}

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return what the discriminator says of real and of generated targets."""
        return {"target": (self.judge("target", batch["target"]), self.judge("target", images["target"]))}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the least squares of the discriminator, halved as published."""
        return {"discriminator": 0.5 * discriminator_loss("least-squares", *self.verdicts(batch, images)["target"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the discriminator's doubt, and the contrast (equation 5)."""
        fooled = generator_loss("least-squares", self.judge("target", images["target"]))
        return {"adversarial": fooled, "contrast": self.options.contrast_weight * self.contrast(batch, images)}

    def contrast(self, batch: Batch, images: Images) -> Tensor:
        """Return the contrastive loss of patches against those of their source: of sources, and of targets that should not change (equations 3 and 4)."""
        return 0.5 * (self._patch_nce(images["target"], batch["source"]) + self._patch_nce(images["identity"], batch["target"]))

    def _patch_nce(self, generated: Tensor, origin: Tensor) -> Tensor:
        generator = self.generators[MAIN]
        assert isinstance(generator, Symmetric)
        losses = []
        for projection, *pair in zip(self.projections, generator.features(generated, self.layers), generator.features(origin, self.layers), strict=True):
            rows = [features.flatten(2).transpose(1, 2) for features in pair]  # (batch, height * width, channels)
            chosen = torch.randperm(rows[0].shape[1], device=generated.device)[: self.options.patches]
            query, key = (projection(row[:, chosen]) for row in rows)
            similarity = query @ key.detach().transpose(1, 2) / self.options.temperature  # of each patch with all of its image
            itself = torch.arange(len(chosen), device=generated.device).expand(len(generated), -1)
            losses.append(functional.cross_entropy(similarity.flatten(0, 1), itself.flatten()))
        return torch.stack(losses).mean()
