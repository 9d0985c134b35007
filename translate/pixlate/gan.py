"""The contract between a method's networks and the engine."""

from collections.abc import Mapping

from torch import Tensor, nn

from pixlate.data import Batch
from pixlate.spec import ModelSpec

Images = dict[str, Tensor]
"""What the generators made, by a name of the method's choice."""
Losses = dict[str, Tensor]
"""Scalars by name; the engine minimises their sum and logs each."""

MAIN_GENERATOR = "source_to_target"


class GAN(nn.Module):
    """A method's networks and losses; devices, optimisers, precision and averages belong to the engine.

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

    def spec(self, generator: str = MAIN_GENERATOR) -> ModelSpec:
        """Return what a model file of that generator says of itself."""
        raise NotImplementedError(f"{type(self).__name__} must say how its generators are run: define spec()")

    def exported(self, generator: str = MAIN_GENERATOR) -> nn.Module:
        """Return the module a model file holds: (batch, channels, height, width) in [0, 1] to the same range, clamped."""
        return nn.Sequential(self.generators[generator], nn.Hardtanh(0.0, 1.0))

    def generate(self, batch: Batch) -> Images:
        """Return the generators' images for a batch; ``target`` is what validation compares with the batch's target."""
        raise NotImplementedError(f"{type(self).__name__} must translate a batch: define generate()")

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the generators' losses, already weighted."""
        raise NotImplementedError(f"{type(self).__name__} must say what its generators minimise: define generator_losses()")

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the discriminators' losses, already weighted; ``images`` are detached. None for methods without an adversary."""
        return {}
