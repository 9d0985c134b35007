"""StarGAN v2's networks and losses (Choi et al. 2020, "StarGAN v2: Diverse Image Synthesis for Multiple Domains")."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import pixlate
from pixlate.adversarial import to_symmetric
from pixlate.inference.sizes import spec_sizes
from pixlate.losses import discriminator_loss, explain_discriminator_loss, explain_generator_loss, generator_loss, l1, zero_centred_penalty
from pixlate.networks.initialisation import initialise
from pixlate.networks.styled import DomainDiscriminator, MappingNetwork, OneDomain, Styled, StyledGenerator, StyleEncoder
from pixlate.networks.symmetric import Symmetric, SymmetricInput
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import Images, Losses, Player, Verdicts
from pixlate_stargan.options import StarGANOptions

PHASES = {"latent": "target", "reference": "reference"}
"""Where styles come from, noise or an image, and the name of what is made with them. A step updates the discriminator with each, then the generator with each."""


class StarGAN(pixlate.GAN):
    """A generator, what makes its styles, and a discriminator, all for images in [0, 1]; losses are those of images in [-1, 1]."""

    def __init__(self, options: StarGANOptions, domains: tuple[str, ...], side: int) -> None:
        sizes = (side, options.channels, options.most_channels)
        generator = StyledGenerator(options.channels, options.most_channels, options.downsamplings, options.style_length)
        judge = DomainDiscriminator(len(domains), *sizes)
        super().__init__({"translate": Symmetric(generator)}, {"target": SymmetricInput(judge)})
        self.mapping = MappingNetwork(len(domains), options.latent_length, options.style_length, options.mapping_channels)
        self.style_encoder = SymmetricInput(StyleEncoder(len(domains), *sizes, options.style_length))
        initialise(self, "kaiming")
        self.options, self.domains, self.side, self.sizes = options, domains, side, spec_sizes(generator)
        self.diversity = options.diversity_weight

    @property
    def translate(self) -> nn.Module:
        """The generator, of images and styles."""
        return self.generators["translate"]

    def spec(self, generator: str = "latent") -> pixlate.ModelSpec:
        """Return sizes and inputs of an export."""
        options = self.options
        inputs = {
            "domain": pixlate.ModelInput("domain", "label", choices=self.domains),
            "latent": pixlate.ModelInput("latent", "noise", length=options.latent_length),
            "style": pixlate.ModelInput("style", "vector", length=options.style_length),
            "reference": pixlate.ModelInput("reference", "reference", channels=3, side=self.side),
        }
        names = {"latent": ("latent", "domain"), "reference": ("reference", "domain"), "style": ("style",)}.get(generator, ("latent",))
        return pixlate.ModelSpec(
            method="stargan", norm="per-image", inputs=(pixlate.ModelInput("image", "image"), *(inputs[name] for name in names)), **self.sizes
        )

    def exports(self) -> Mapping[str, pixlate.Export]:
        """Return the generator with a style from a domain and noise, from a domain and a reference, or as a vector, and ``to-DOMAIN`` for each, which takes noise alone."""
        styles: dict[str, nn.Module] = {"latent": self.mapping, "reference": self.style_encoder, "style": nn.Identity()}
        styles |= {f"to-{name}": OneDomain(self.mapping, label) for label, name in enumerate(self.domains)}
        return {name: pixlate.Export(Styled(self.translate, style), self.spec(name)) for name, style in styles.items()}

    def begin_step(self, step: int, steps: int) -> None:
        """Let the weight of the diversity fall."""
        self.diversity = self.options.diversity_weight * max(0.0, 1 - step / (self.options.diversity_steps or steps))

    def generate(self, batch: Batch) -> Images:
        """Return the source in the target's domain: as ``target`` with a style from noise, as ``reference`` with the target's own, and both styles."""
        styles = {"latent": self.mapping(batch["latent"], batch["domain"]), "reference": self.style_encoder(batch["target"], batch["domain"])}
        images = {name: self.translate(batch["source"], styles[phase]) for phase, name in PHASES.items()}
        return images | {f"{phase}_style": style for phase, style in styles.items()}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return images with their labels as one more channel, so that a pool keeps both together."""
        label = batch["domain"][:, None, None, None].expand(-1, 1, self.side, self.side)
        return {name: torch.cat([images[name], label.to(images[name].dtype)], dim=1) for name in PHASES.values()}

    def discriminator_terms(self, phase: str, batch: Batch, images: Images) -> Losses:
        """Return what the discriminator minimises (equation 1), with R1 at real images."""
        labelled = images[PHASES[phase]]
        real = self.judge("target", batch["source"], batch["origin"])
        fake = self.judge("target", labelled[:, :3], labelled[:, 3, 0, 0].round().long())
        losses = {f"discriminator_{phase}": discriminator_loss("vanilla", real, fake)}
        if self.options.r1:
            judge: Any = self.discriminators["target"]
            losses[f"r1_{phase}"] = self.options.r1 * zero_centred_penalty(lambda shown: judge.network(shown, batch["origin"]), to_symmetric(batch["source"]))
        return losses

    def generator_terms(self, phase: str, batch: Batch, images: Images) -> Losses:
        """Return what the generator minimises: adversarial, style reconstruction, diversity and cycle (equations 1 to 4)."""
        options, source, domain = self.options, batch["source"], batch["domain"]
        made = images[PHASES[phase]]
        losses = {f"adversarial_{phase}": generator_loss("vanilla", self.judge("target", made, domain))}
        losses[f"style_{phase}"] = options.style_weight * l1(self.style_encoder(made, domain), images[f"{phase}_style"])
        if self.diversity:
            with torch.no_grad():
                second = self.mapping(batch["latent_other"], domain) if phase == "latent" else self.style_encoder(batch["target_other"], domain)
                other = self.translate(source, second)
            losses[f"diversity_{phase}"] = -self.diversity * l1(to_symmetric(made), to_symmetric(other))
        cycled = self.translate(made, self.style_encoder(source, batch["origin"]))
        losses[f"cycle_{phase}"] = options.cycle_weight * l1(to_symmetric(cycled), to_symmetric(source))
        return losses

    def players(self) -> dict[str, Player]:
        """Return the discriminator twice, then generator, mapping network and style encoder with styles from noise, then the generator alone with those of images."""
        together = nn.ModuleList([self.translate, self.mapping, self.style_encoder])
        rates = ((self.mapping, self.options.mapping_learning_rate),)
        judged, made = ([partial(terms, phase) for phase in PHASES] for terms in (self.discriminator_terms, self.generator_terms))
        return {
            "discriminator": Player(self.discriminators, judged[0], adversary=True),
            "discriminator_reference": Player(self.discriminators, judged[1], adversary=True, shares="discriminator"),
            "generator": Player(together, made[0], rates=rates),
            "generator_reference": Player(self.translate, made[1], shares="generator"),
        }

    def compiled(self) -> list[nn.Module]:
        """Return the networks but the discriminator, where the penalty differentiates its gradients."""
        return [self.translate, self.mapping, self.style_encoder, *([] if self.options.r1 else self.discriminators.values())]

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return the discriminator's logits for sources and for what was made of them with noise."""
        return {"target": (self.judge("target", batch["source"], batch["origin"]), self.judge("target", images["target"], batch["domain"]))}

    def views(self, batch: Batch, output: Tensor) -> Mapping[str, Mapping[str, Tensor]]:
        """Return ``domains``, the source in each of them with the same noise, and ``reference``, the source in the style of the target."""
        latent, reference = (self.exports()[phase].module.eval() for phase in PHASES)
        labels = {name: torch.full_like(batch["domain"], label) for label, name in enumerate(self.domains)}
        every = {f"as {name}": latent(batch["source"], batch["latent"], label) for name, label in labels.items()}
        shown = {"source": batch["source"], "reference": batch["target"], "in its style": reference(batch["source"], batch["target"], batch["domain"])}
        return {"domains": {"source": batch["source"], **every}, "reference": shown}

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss."""
        sentences: dict[str, str] = {}
        for phase, origin in zip(PHASES, ("noise", "images"), strict=True):
            shown = f"images with styles from {origin}"
            sentences |= {
                f"discriminator_{phase}": explain_discriminator_loss("vanilla", 1, shown),
                f"r1_{phase}": "How steep the discriminator is at real images: small and steady is good.",
                f"adversarial_{phase}": explain_generator_loss("vanilla", 1, shown),
                f"style_{phase}": f"How far the style that the encoder finds in {shown} is from the one they were made with: smaller is better.",
                f"diversity_{phase}": f"How little {shown} change with the style, below 0: it nears 0 as its weight falls; near 0 from the start, all styles look alike.",
                f"cycle_{phase}": "How far an image is from what comes of it by way of another domain: smaller is better; where it does not fall, shapes are lost.",
            }
        return sentences
