"""Networks that take a label, their losses, and what is exported: the generator with its label, and one file for each domain."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

import pixlate
from pixlate.inference.sizes import spec_sizes
from pixlate.losses import discriminator_loss, generator_loss, l1
from pixlate.networks.patchgan import PatchGAN
from pixlate.networks.resnet import ResNet
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import Images, Losses, Verdicts
from pixlate_domains import DomainsOptions

ANY = "any"


def planes(domain: Tensor, domains: int, image: Tensor) -> Tensor:
    """Return labels (batch,) as (batch, ``domains``, height, width): 1 in the plane of the label, 0 in the others."""
    chosen = domain[:, None] == torch.arange(domains, device=domain.device)
    return chosen.to(image.dtype)[:, :, None, None].expand(-1, -1, *image.shape[2:])


class LabelledResNet(nn.Module):
    """A generator of an image and the label of a domain."""

    def __init__(self, domains: int, options: DomainsOptions) -> None:
        super().__init__()
        self.domains = domains
        self.network = ResNet(3 + domains, 3, blocks=options.blocks, channels=options.channels)
        self.tint = nn.Parameter(0.1 * torch.randn(domains, 3))
        """What is added to each channel of a domain's images: instance norm takes out what a plane of one value adds."""

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        """Return images (batch, 3, height, width) in [0, 1] of the domain."""
        labels = planes(domain, self.domains, image)
        translated: Tensor = self.network(torch.cat([image * 2 - 1, labels], dim=1))
        tint = torch.einsum("bdhw,dc->bchw", labels[:, :, :1, :1], self.tint)
        return (translated + tint + 1) / 2


class Judge(nn.Module):
    """A discriminator of images and the planes of their labels."""

    def __init__(self, domains: int, options: DomainsOptions) -> None:
        super().__init__()
        self.network = PatchGAN(3 + domains, options.discriminator_channels, norm="instance")

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the logits of patches."""
        logits: Tensor = self.network(torch.cat([images * 2 - 1, labels], dim=1))
        return logits


class Fixed(nn.Module):
    """A generator whose label is baked in: (batch, 3, height, width) in [0, 1] to the same."""

    def __init__(self, generator: nn.Module, label: int) -> None:
        super().__init__()
        self.generator, self.label = generator, label

    def forward(self, image: Tensor) -> Tensor:
        """Return images of the domain."""
        translated: Tensor = self.generator(image, torch.full_like(image[:, 0, 0, 0], self.label, dtype=torch.int64))
        return translated.clamp(0, 1)


class MultiDomain(pixlate.GAN):
    """One generator and one discriminator for all domains."""

    def __init__(self, options: DomainsOptions, names: tuple[str, ...]) -> None:
        generator = LabelledResNet(len(names), options)
        super().__init__({ANY: generator}, {"target": Judge(len(names), options)})
        self.names, self.cycle_weight, self.sizes = names, options.cycle_weight, spec_sizes(generator.network)

    def spec(self, generator: str = ANY) -> pixlate.ModelSpec:
        """Return sizes, norm mode and inputs."""
        inputs = (pixlate.ModelInput("image", "image"), pixlate.ModelInput("domain", "label", choices=self.names))
        return pixlate.ModelSpec(method="domains", norm="per-image", inputs=inputs, **self.sizes)

    def exports(self) -> Mapping[str, pixlate.Export]:
        """Return the generator, which takes a label, and ``to-NAME`` for each domain, which takes the image alone."""
        alone = {f"to-{name}": pixlate.Export(Fixed(self.generators[ANY], label), replace(self.spec(), inputs=())) for label, name in enumerate(self.names)}
        return {**super().exports(), **alone}

    def generate(self, batch: Batch) -> Images:
        """Return sources brought to the domain of the target, and back."""
        generator = self.generators[ANY]
        target = generator(batch["source"], batch["domain"])
        return {"target": target, "cycled": generator(target, batch["origin"])}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return what the discriminator is shown: images with their labels as more channels, so that a pool keeps both together."""
        return {"target": self._labelled(images["target"], batch)}

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return what the discriminator says of real and of generated images."""
        return {"target": (self._judge(self._labelled(batch["target"], batch)), self._judge(self._labelled(images["target"], batch)))}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the least squares of the discriminator."""
        real, generated = self._judge(self._labelled(batch["target"], batch)), self._judge(images["target"])
        return {"discriminator": discriminator_loss("least-squares", real, generated)}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the discriminator's doubt, and the difference that going there and back makes."""
        fooled = generator_loss("least-squares", self._judge(self._labelled(images["target"], batch)))
        return {"adversarial": fooled, "cycle": self.cycle_weight * l1(images["cycled"], batch["source"])}

    def _labelled(self, images: Tensor, batch: Batch) -> Tensor:
        return torch.cat([images, planes(batch["domain"], len(self.names), images)], dim=1)

    def _judge(self, labelled: Tensor) -> Tensor:
        return self.judge("target", labelled[:, :3], labelled[:, 3:])
