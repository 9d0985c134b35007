"""The contract between a method's networks and the engine."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pixlate.plugin.data import Batch
from pixlate.plugin.spec import ModelSpec

Images = dict[str, Tensor]
"""What the generators made, by a name of the method's choice."""
Losses = dict[str, Tensor]
"""Scalars by name; the engine minimises their sum and logs each."""
Verdicts = dict[str, tuple[Tensor, Tensor]]
"""What each discriminator says of real and of generated images, by its name: larger numbers for what it holds for real."""

MAIN_GENERATOR = "source_to_target"


@dataclass(frozen=True)
class Player:
    """One who is updated once a step by an optimiser of its own."""

    module: nn.Module
    """Whose weights are updated."""
    losses: Callable[[Batch, Images], Losses]
    """Return what this player minimises, already weighted; nothing where it sits out the step."""
    adversary: bool = False
    """Whether it takes the generated images as they are: detached, and mixed with past ones where there is a pool."""


class GAN(nn.Module):
    """A method's networks and losses; devices, optimisers, precision, pools and averages belong to the engine.

    Args:
        generators: Networks that translate, by direction; ``source_to_target`` is the one exported unless another is asked for.
        discriminators: Networks that judge; empty for methods without an adversary.
    """

    def __init__(self, generators: Mapping[str, nn.Module], discriminators: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        if MAIN_GENERATOR not in generators:
            raise ValueError(f"expected a generator named {MAIN_GENERATOR!r}, got {sorted(generators)}; name it so")
        self.generators = nn.ModuleDict(generators)
        self.discriminators = nn.ModuleDict(discriminators or {})
        self.augment: nn.Module = nn.Identity()
        """Put by the engine over everything the discriminators see, where that is asked for."""

    def spec(self, generator: str = MAIN_GENERATOR) -> ModelSpec:
        """Return what a model file of that generator says of itself."""
        raise NotImplementedError(f"{type(self).__name__} must say how its generators are run: define spec()")

    def exported(self, generator: str = MAIN_GENERATOR) -> nn.Module:
        """Return the module a model file holds: (batch, channels, height, width) in [0, 1] to the same range, clamped."""
        return nn.Sequential(self.generators[generator], nn.Hardtanh(0.0, 1.0))

    def prepare(self, device: torch.device) -> None:
        """Load what only training needs, such as the weights of a loss's network; called once, before the first step.

        Raises:
            PixlateError: It cannot be had; says where to put it.
        """

    def begin_step(self, step: int, steps: int) -> None:
        """Be told the step that begins, counted from 0, and how many there are; for methods of several stages."""

    def generate(self, batch: Batch) -> Images:
        """Return the generators' images for a batch; ``target`` is what the source becomes."""
        raise NotImplementedError(f"{type(self).__name__} must translate a batch: define generate()")

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the generators' losses, already weighted."""
        raise NotImplementedError(f"{type(self).__name__} must say what its generators minimise: define generator_losses()")

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the discriminators' losses, already weighted; ``images`` are those of :meth:`judged`, detached. None for methods without an adversary."""
        return {}

    def judged(self, batch: Batch, images: Images) -> Images:
        """Return what discriminators are shown of the generated images; each entry goes through a pool of its own where there is one."""
        return images

    def judge(self, discriminator: str, images: Tensor) -> Tensor:
        """Return what a discriminator says of images, augmented where that is asked for."""
        logits: Tensor = self.discriminators[discriminator](self.augment(images))
        return logits

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return what the discriminators say of a batch, for the engine to tell whether one has won; none where that has no meaning."""
        return {}

    def players(self) -> dict[str, Player]:
        """Return who is updated in a step, in this order."""
        return {
            "discriminators": Player(self.discriminators, self.discriminator_losses, adversary=True),
            "generators": Player(self.generators, self.generator_losses),
        }

    def compiled(self) -> Iterable[nn.Module]:
        """Return the networks that torch.compile may take: not those whose gradients are differentiated again."""
        return [*self.generators.values(), *self.discriminators.values()]
