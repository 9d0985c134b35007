"""The contract between a method's networks and the engine."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pixlate.errors import PixlateError
from pixlate.plugin.data import Batch
from pixlate.plugin.spec import ModelSpec

Images = dict[str, Tensor]
"""What the generators made, by a name of the method's choice."""
Losses = dict[str, Tensor]
"""Scalars by name; the engine minimises their sum and logs each."""
Verdicts = dict[str, tuple[Tensor, Tensor]]
"""The logits of each discriminator for real and generated images, by its name: larger for images that it judges real."""

MAIN_GENERATOR = "source_to_target"
"""Name of the generator that is exported unless another is asked for, where a method does not define exports of its own."""
MakeOptimizer = Callable[[list[nn.Parameter], float, tuple[float, float]], Optimizer]
"""Makes an optimiser of weights, a learning rate and betas."""


@dataclass(frozen=True)
class Player:
    """A module that is updated once a step by its own optimiser, or by that of a player before it."""

    module: nn.Module
    """Whose weights are updated; several modules in one ``nn.ModuleList`` are updated together."""
    losses: Callable[[Batch, Images], Losses]
    """Return what this player minimises, already weighted; nothing where it sits out the step."""
    adversary: bool = False
    """Whether it takes the images made before the first update of the step, detached, and mixed with past ones where there is a pool."""
    optimizer: MakeOptimizer | None = None
    """Makes its optimiser; left out, Adam."""
    learning_rate: float | None = None
    """Step size at the start of the schedule; left out, that of the run: for adversaries --discriminator-learning-rate where it is given."""
    betas: tuple[float, float] | None = None
    """Decay rates of the optimiser's moments; left out, those of the run."""
    rates: tuple[tuple[nn.Module, float], ...] = ()
    """Modules within it whose step size is another one."""
    shares: str = ""
    """Name of an earlier player whose optimiser, with its moments, updates this one: for weights that a step updates several times. All of them are that player's."""


@dataclass(frozen=True)
class Export:
    """What one model file is made of."""

    module: nn.Module
    """Takes the image, (batch, channels, height, width) in [0, 1], then the conditions in the order of ``spec.inputs``; returns images in [0, 1]."""
    spec: ModelSpec
    """Metadata of the file; its ``inputs`` name the image and the conditions as batches do."""

    def __call__(self, batch: Batch) -> Tensor:
        """Return what the module makes of the tensors of a batch that ``spec.inputs`` name; noise that is not there is drawn, the same each time."""
        found: list[Tensor] = []
        for item in self.spec.inputs:
            name = "source" if item.kind == "image" and item.name not in batch else item.name
            if name in batch:
                found.append(batch[name])
            elif item.kind == "noise":
                some = next(iter(batch.values()))
                found.append(torch.randn(len(some), item.length, generator=torch.Generator().manual_seed(0)).to(some.device))
            else:
                raise PixlateError(f"expected batches that hold {name!r}, which the model takes, got {', '.join(batch)}; add it to those of the data kind")
        translated: Tensor = self.module(*found or [batch["source"]])
        return translated


class GAN(nn.Module):
    """A method's networks and losses; devices, optimisers, precision, pools and averages belong to the engine.

    Args:
        generators: Networks that translate, by direction; ``source_to_target`` is the one exported unless another is asked for. A method that defines
            :meth:`exports` names them as it likes.
        discriminators: Networks that judge; empty for methods without an adversary.
    """

    def __init__(self, generators: Mapping[str, nn.Module], discriminators: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        if MAIN_GENERATOR not in generators and type(self).exports is GAN.exports:
            raise ValueError(f"expected a generator named {MAIN_GENERATOR!r}, got {sorted(generators)}; name it so")
        self.generators = nn.ModuleDict(generators)
        self.discriminators = nn.ModuleDict(discriminators or {})
        self.augment: nn.Module = nn.Identity()
        """Set by the engine to augment the discriminators' inputs, where requested."""

    def spec(self, generator: str = MAIN_GENERATOR) -> ModelSpec:
        """Return the metadata of a model file of that generator."""
        raise NotImplementedError(f"{type(self).__name__} must say how its generators are run: define spec()")

    def exports(self) -> Mapping[str, Export]:
        """Return what can be exported, by the name that ``--generator`` takes; validation and export take the first unless another is asked for.

        By default each generator, clamped, with its spec, ``source_to_target`` first. Override it where what is exported is not what is trained: a
        label fixed, an encoder and a decoder together.
        """
        names = sorted(self.generators, key=lambda name: name != MAIN_GENERATOR)
        plain = type(self).exported is GAN.exported
        specs = {name: self.spec(name) for name in names}
        return {name: Export(clamped(self.generators[name]) if plain and spec.conditions else self.exported(name), spec) for name, spec in specs.items()}

    def exported(self, generator: str = MAIN_GENERATOR) -> nn.Module:
        """Return a generator, clamped to [0, 1], for the default of :meth:`exports` where a model takes the image alone."""
        return nn.Sequential(self.generators[generator], nn.Hardtanh(0.0, 1.0))

    def prepare(self, device: torch.device) -> None:
        """Load what only training needs, such as the weights of a loss's network; called once, before the first step.

        Raises:
            PixlateError: It cannot be had; says where to put it.
        """

    def begin_run(self, start_from: str) -> None:
        """Called when a new run begins, before :meth:`prepare`, with what it starts from: that of ``--start-from``, empty for random weights; not when one is resumed.

        Raises:
            PixlateError: These options cannot start so.
        """

    def begin_step(self, step: int, steps: int) -> None:
        """Called with the step that starts, counted from 0, and how many there are; for methods of several stages."""

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
        """Return the generated images that discriminators receive; each entry goes through a pool of its own where there is one.

        A mask or label that a discriminator takes is stacked on its image as further channels, so that the pool keeps both together.
        """
        return images

    def judge(self, discriminator: str, images: Tensor, *conditions: Tensor) -> Tensor:
        """Return a discriminator's logits for images, with conditions where it takes any, augmented where requested.

        Masks, (batch, channels, height, width), are transformed as the images are; their values, and labels and vectors, stay.
        """
        masks = [condition for condition in conditions if condition.ndim == images.ndim]
        if masks and not isinstance(self.augment, nn.Identity):
            images, moved = self.augment(images, torch.cat(masks, dim=1))
            split = iter(moved.split([mask.shape[1] for mask in masks], dim=1))
            conditions = tuple(next(split) if condition.ndim == images.ndim else condition for condition in conditions)
        else:
            images = self.augment(images)
        logits: Tensor = self.discriminators[discriminator](images, *conditions)
        return logits

    def verdicts(self, batch: Batch, images: Images) -> Verdicts:
        """Return the discriminators' logits for a batch, for the engine to detect whether one has won; none if that has no meaning."""
        return {}

    def measured(self, batch: Batch, output: Tensor) -> Mapping[str, float]:
        """Return further figures of a held-out image, a batch of one, and what the first export made of it; validation logs the means of each name."""
        return {}

    def views(self, batch: Batch, output: Tensor) -> Mapping[str, Mapping[str, Tensor]]:
        """Return further sheets of a held-out image, a batch of one, and what the first export made of it: images in [0, 1] by name of the sheet and by caption.

        Such as the way back. A name is small letters, digits and hyphens; the report shows the sheets beside that of source, output and target. Called for the
        few images that are shown, without gradients.
        """
        return {}

    def reconstruct(self, source: Tensor) -> Tensor | None:
        """Return sources, (batch, channels, height, width) in [0, 1], as the networks give them back, such as there and back again; None where that has no meaning.

        What a network has not learned comes back changed: ``pixlate anomaly`` finds it so. Called without gradients, in evaluation mode.
        """
        return None

    def judge_sources(self, source: Tensor) -> Sequence[Tensor]:
        """Return the logits of a discriminator that knows sources: maps of any size, (batch, ..., height, width), larger where they look real; none if there is none."""
        return ()

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss, and each figure of :meth:`measured`, by its name: what it says and what is good. The report shows them."""
        return {}

    def costs(self, device: torch.device) -> Mapping[str, Mapping[str, float]]:
        """Return what models cost, such as parameters, by model and name; the report shows them side by side. Called once, before the first step."""
        return {}

    def players(self) -> dict[str, Player]:
        """Return who is updated in a step; the order of the mapping is the order of the updates."""
        return {
            "discriminators": Player(self.discriminators, self.discriminator_losses, adversary=True),
            "generators": Player(self.generators, self.generator_losses),
        }

    def compiled(self) -> Iterable[nn.Module]:
        """Return the networks that torch.compile may take: not those whose gradients are differentiated again."""
        return [*self.generators.values(), *self.discriminators.values()]


def clamped(network: nn.Module) -> nn.Module:
    """Return a network that takes what this one takes, with weights of the same names, and clamps its images to [0, 1]."""
    shown = copy.copy(network)
    shown._forward_hooks = OrderedDict()
    shown.register_forward_hook(_clamp)
    return shown


def _clamp(module: nn.Module, inputs: tuple[Tensor, ...], images: Tensor) -> Tensor:
    """Clamp what a module returns, as its forward hook."""
    return images.clamp(0.0, 1.0)
