"""CycleGAN's networks and losses (Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks")."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from pixlate.adversarial import AdversarialGAN, build_discriminator, build_generator, to_symmetric
from pixlate.losses import l1
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import MAIN_GENERATOR, Images, Losses, Player, Verdicts
from pixlate_cyclegan.options import CycleGANOptions

BACK = "target_to_source"


class CycleGAN(AdversarialGAN):
    """Generators there and back, whose round trip must give the image again (equations 1 to 3)."""

    def __init__(self, options: CycleGANOptions) -> None:
        source, target = options.channels_in, options.channels_out
        generators = {MAIN_GENERATOR: build_generator(options, source, target), BACK: build_generator(options, target, source)}
        discriminators = {"target": build_discriminator(options, target), "source": build_discriminator(options, source)}
        super().__init__("cyclegan", options, generators, discriminators)
        self.order = options.order
        back = options.cycle_weight if options.cycle_weight_target is None else options.cycle_weight_target
        self.cycle_weights, self.identity_weight = {"source": options.cycle_weight, "target": back}, options.identity_weight

    def generate(self, batch: Batch) -> Images:
        """Return ``target`` and ``source``, each made from the other's batch, and both brought back: ``cycled_source``, ``cycled_target``."""
        there, back = self.generators[MAIN_GENERATOR], self.generators[BACK]
        target, source = there(batch["source"]), back(batch["target"])
        return {"target": target, "source": source, "cycled_source": back(target), "cycled_target": there(source)}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return the generated ``target`` and ``source``."""
        return {"target": images["target"], "source": images["source"]}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return adversarial, cycle and identity losses of both directions (equation 3, and section 5.2 for the identity)."""
        losses: Losses = {}
        for domain, generator in (("target", MAIN_GENERATOR), ("source", BACK)):
            losses |= self.generator_terms(domain, batch[domain], images[domain])
            losses[f"cycle_{domain}"] = self.cycle_weights[domain] * _difference(images[f"cycled_{domain}"], batch[domain])
            if self.identity_weight:
                losses[f"identity_{domain}"] = self.identity_weight * _difference(self.generators[generator](batch[domain]), batch[domain])
            losses |= self.smoothness(domain, images[domain])
        return losses

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return both discriminators' losses, each halved as published."""
        target = self.discriminator_terms("target", batch["target"], images["target"])
        return target | self.discriminator_terms("source", batch["source"], images["source"])

    def views(self, batch: Batch, output: Tensor) -> Mapping[str, Mapping[str, Tensor]]:
        """Return ``cycle``, the source there and back again, and ``other-direction``, the target, which is another picture, back and there again."""
        there, back = (export.module for export in self.exports().values())
        source = back(batch["target"])
        return {
            "cycle": {"source": batch["source"], "as target": output, "as source again": back(output)},
            "other-direction": {"target": batch["target"], "as source": source, "as target again": there(source)},
        }

    def reconstruct(self, source: Tensor) -> Tensor:
        """Return sources there and back again."""
        there, back = (export.module for export in self.exports().values())
        again: Tensor = back(there(source))
        return again

    def judge_sources(self, source: Tensor) -> Sequence[Tensor]:
        """Return the logits of the discriminator of sources."""
        return list(self.judge("source", source)) if self.discriminators else ()

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss."""
        sentences: dict[str, str] = {}
        for domain, other in (("target", "source"), ("source", "target")):
            sentences |= self.explained_terms(domain, f"{domain}s")
            sentences[f"cycle_{domain}"] = (
                f"How far a {domain} is from what comes of it by way of a {other}: smaller is better, and it should fall; where it does not, pictures lose what is in them."
            )
            sentences[f"identity_{domain}"] = (
                f"How much the generator of {domain}s changes what is a {domain} already: smaller is better; high, it shifts colours."
            )
        return sentences

    def players(self) -> dict[str, Player]:
        """Return generators, then discriminators, as published; the other way round where requested."""
        players = super().players()
        return dict(reversed(players.items())) if self.order == "generators-first" else players

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return each discriminator's logits for true and generated images of its domain."""
        return {domain: self.verdict(domain, batch[domain], images[domain]) for domain in ("target", "source")}


def _difference(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean absolute difference on the range [-1, 1]."""
    return l1(to_symmetric(first), to_symmetric(second))
