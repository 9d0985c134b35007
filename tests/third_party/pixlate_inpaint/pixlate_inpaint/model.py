"""Networks that take a mask, and their losses."""

import torch
from torch import Tensor, nn

import pixlate
from pixlate.inference.sizes import spec_sizes
from pixlate.losses import discriminator_loss, generator_loss, l1
from pixlate.networks.patchgan import PatchGAN
from pixlate.networks.resnet import ResNet
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import Images, Losses, Verdicts
from pixlate_inpaint import InpaintOptions

MAIN = "source_to_target"


class Filling(nn.Module):
    """A generator of an image and a mask, which leaves the pixels that the mask does not cover as they are."""

    def __init__(self, options: InpaintOptions) -> None:
        super().__init__()
        self.network = ResNet(4, 3, blocks=options.blocks, channels=options.channels, norm="none")

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return images (batch, 3, height, width) in [0, 1], filled where the mask, (batch, 1, height, width), is 1."""
        known = image * (1 - mask)
        filled: Tensor = self.network(torch.cat([known * 2 - 1, mask], dim=1))
        return known + (filled + 1) / 2 * mask


class Judge(nn.Module):
    """A discriminator of images and their masks."""

    def __init__(self, options: InpaintOptions) -> None:
        super().__init__()
        self.network = PatchGAN(4, options.discriminator_channels, norm="instance")

    def forward(self, images: Tensor, masks: Tensor) -> Tensor:
        """Return the logits of patches."""
        logits: Tensor = self.network(torch.cat([images * 2 - 1, masks], dim=1))
        return logits


class Inpainting(pixlate.GAN):
    """A generator that fills, against a discriminator that sees where."""

    def __init__(self, options: InpaintOptions) -> None:
        generator = Filling(options)
        super().__init__({MAIN: generator}, {"target": Judge(options)})
        self.pixel_weight, self.sizes = options.pixel_weight, spec_sizes(generator.network)

    def spec(self, generator: str = MAIN) -> pixlate.ModelSpec:
        """Return sizes, tiling and inputs; without statistics over the image, tiles with enough context are exact."""
        inputs = (pixlate.ModelInput("image", "image"), pixlate.ModelInput("mask", "mask"))
        return pixlate.ModelSpec(method="inpaint", inputs=inputs, **self.sizes)

    def generate(self, batch: Batch) -> Images:
        """Return the source, filled."""
        return {"target": self.generators[MAIN](batch["source"], batch["mask"])}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return what the discriminator is shown: images with their masks as one more channel, so that a pool keeps both together."""
        return {"target": torch.cat([images["target"], batch["mask"]], dim=1)}

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return what the discriminator says of real and of filled images."""
        return {"target": (self.judge("target", batch["target"], batch["mask"]), self.judge("target", images["target"], batch["mask"]))}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the least squares of the discriminator."""
        real, shown = self.judge("target", batch["target"], batch["mask"]), images["target"]
        return {"discriminator": discriminator_loss("least-squares", real, self.judge("target", shown[:, :3], shown[:, 3:]))}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the discriminator's doubt, and the difference from the photograph, which is in what was filled."""
        fooled = generator_loss("least-squares", self.judge("target", images["target"], batch["mask"]))
        return {"adversarial": fooled, "pixel": self.pixel_weight * l1(images["target"], batch["target"])}
