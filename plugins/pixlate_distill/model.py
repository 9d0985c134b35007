"""A small network that learns the pictures of a large one (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network")."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.adversarial import to_symmetric
from pixlate.errors import PixlateError
from pixlate.losses import HEDDistance, discriminator_loss, explain_discriminator_loss, explain_generator_loss, generator_loss, l1, load_hed
from pixlate.networks.symmetric import Symmetric
from pixlate.networks.unet import UNet
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import GAN, MAIN_GENERATOR, Images, Losses, Verdicts
from pixlate.plugin.spec import ModelSpec, Provenance
from pixlate.restoration import NORMS, build_critic, build_restorer, finished, sizes_of
from pixlate_distill import COST
from pixlate_distill.costs import network_costs
from pixlate_distill.options import DistillOptions

DEFAULT_SCALE = 4
"""Of a student without a teacher, as tests build one."""
BRIGHTEST = 100.0
"""What counts for the infinite PSNR of equal images, in dB."""


class Student(GAN):
    """A generator trained on the pictures of a teacher, and where it is asked for on photographs, features and against a discriminator.

    Args:
        options: Network and weights of the losses.
        facts: Of the teacher: ``scale`` of its pictures, ``teacher`` (its name), ``sha256``, ``licence``, whether it ``keeps_grey``, and whether ``sources`` are degraded.

    Raises:
        PixlateError: The network cannot have the teacher's scale, or there are no photographs to learn from besides the sources.
    """

    def __init__(self, options: DistillOptions, facts: Mapping[str, Any]) -> None:
        self.scale = int(facts.get("scale", DEFAULT_SCALE))
        if options.truth_weight and facts.get("sources", "degraded") != "degraded":
            raise PixlateError(
                "expected a degradation with --truth-weight, without which photographs equal their sources; add --noise 25, --jpeg 30 or leave it out"
            )
        network = build_restorer(options.network, self.scale, options.channels, options.blocks, options.depth, options.tail, options.shrink)
        critics = {"target": build_critic(options.discriminator, options.discriminator_channels)} if options.adversarial_weight else {}
        super().__init__({MAIN_GENERATOR: Symmetric(network) if isinstance(network, UNet) else network}, critics)
        self.relit = bool(facts.get("relit", False))
        self.options, self.facts, self.sizes = options, dict(facts), sizes_of(network, self.relit)
        self._perceptual: list[HEDDistance] = []  # in a list, since it is no part of the model and its checkpoints

    def spec(self, generator: str = MAIN_GENERATOR) -> ModelSpec:
        """Return scale, tiling, norm mode, and who the teacher is; its licence is the student's, and whether grey stays grey."""
        facts = self.facts
        licence = str(facts.get("licence", ""))
        teacher = f"{facts['teacher']}, licence {licence or 'not stated'}, SHA-256 {facts['sha256']}" if facts else ""
        origin = Provenance(licence=licence, teacher=teacher)
        keeps_grey = bool(facts.get("keeps_grey", False))
        return ModelSpec(method="distill", scale=self.scale, **self.sizes, keeps_grey=keeps_grey, norm=NORMS[self.options.network], provenance=origin)

    def exported(self, generator: str = MAIN_GENERATOR) -> nn.Module:
        """Return the student as it is used."""
        return finished(self.generators[generator], self.relit)

    def prepare(self, device: torch.device) -> None:
        """Load the network whose features are compared."""
        if self.options.perceptual_weight:
            self._perceptual = [HEDDistance(load_hed(), self.options.perceptual_layers).to(device)]

    def generate(self, batch: Batch) -> Images:
        """Return ``target``, the student's picture."""
        return {"target": self.generators[MAIN_GENERATOR](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the differences from the teacher's picture (``teacher``, ``perceptual``), from the photograph (``truth``), and ``adversarial``."""
        options, output = self.options, images["target"]
        losses: Losses = {}
        for name, weight, image in (("teacher", options.teacher_weight, batch["target"]), ("truth", options.truth_weight, batch["truth"])):
            if weight:
                losses[name] = weight * l1(to_symmetric(output), to_symmetric(image))
        for perceptual in self._perceptual:
            losses["perceptual"] = options.perceptual_weight * perceptual(output, batch["target"])
        if self.discriminators:
            losses["adversarial"] = options.adversarial_weight * generator_loss("vanilla", self.judge("target", output))
        return losses

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the loss of the discriminator, to which the teacher's pictures are real, if there is one."""
        if not self.discriminators:
            return {}
        return {"discriminator": discriminator_loss("vanilla", self.judge("target", batch["target"]), self.judge("target", images["target"]))}

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss and figure."""
        compared = {
            "student": "the student's pictures",
            "teacher": "the teacher's pictures",
            "bicubic": "bicubic enlargements",
            "source": "the sources as they are",
        }
        return {
            "teacher": "How far the student's pictures are from its teacher's, pixel by pixel: smaller is better.",
            "truth": "How far the student's pictures are from the photographs, pixel by pixel: smaller is better.",
            "perceptual": "How far the student's pictures are from its teacher's in the features of a network that knows edges and textures: smaller is better.",
            "adversarial": explain_generator_loss("vanilla", self.options.adversarial_weight, "pictures"),
            "discriminator": explain_discriminator_loss("vanilla", 1.0, "pictures"),
            **{
                f"psnr_photograph_{name}": f"How near {what} are to the photographs, in dB: larger is better; compare the three."
                for name, what in compared.items()
            },
        }

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return the discriminator's logits for pictures of teacher and student."""
        if not self.discriminators:
            return {}
        real, fake = (self.judge("target", shown).flatten(1) for shown in (batch["target"], images["target"]))
        return {"target": (real, fake)}

    def costs(self, device: torch.device) -> Mapping[str, Mapping[str, float]]:
        """Return what student and teacher cost, where that is known."""
        export = self.exports()[MAIN_GENERATOR]
        teacher = {name.removeprefix(COST): float(value) for name, value in self.facts.items() if name.startswith(COST)}
        return {"student": network_costs(export.module, export.spec, device), "teacher": teacher}

    def measured(self, batch: Batch, output: Tensor) -> Mapping[str, float]:
        """Return the PSNR in dB of student and teacher with the photograph, and of the source, enlarged bicubically at scales above 1."""
        if self.facts.get("sources") != "degraded":
            return {}
        truth, source = batch["truth"], batch["source"]
        plain = functional.interpolate(source, scale_factor=float(self.scale), mode="bicubic").clamp(0, 1) if self.scale > 1 else source
        rivals = {"student": output, "teacher": batch["target"], "bicubic" if self.scale > 1 else "source": plain}
        return {f"psnr_photograph_{name}": _psnr(image, truth, self.scale) for name, image in rivals.items()}


def _psnr(image: Tensor, truth: Tensor, border: int) -> float:
    """Return the PSNR of RGB images in [0, 1] in dB, without ``border`` pixels on each side."""
    inner = slice(border, -border)
    error = float((image - truth)[..., inner, inner].float().square().mean())
    return min(BRIGHTEST, float(-10 * torch.tensor(max(error, 1e-30), dtype=torch.float64).log10()))
