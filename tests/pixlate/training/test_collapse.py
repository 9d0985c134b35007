"""What keeps a generator from collapsing onto one of two modes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from pixlate.adversarial import AdversarialGAN, build_discriminator
from pixlate.data.patches import epoch_indices
from pixlate.errors import PixlateError
from pixlate.options import AdversarialOptions, AdversarialTraining, DataOptions
from pixlate.plugin.data import Batch, DataKind, Draw
from pixlate.plugin.gan import Images, Losses
from pixlate.plugin.method import Method
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer

MODES = (0.25, 0.75)
SPREAD = 0.02


class TwoModes:
    """Sources of noise, and targets of which half are of one grey and half of another."""

    images = 2048
    validated = False

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.sources = torch.rand(self.images, 3, 1, 1, generator=generator).expand(-1, -1, 2, 2)
        modes = torch.tensor(MODES)[torch.randint(2, (self.images,), generator=generator)]
        self.targets = (modes[:, None, None, None] + SPREAD * torch.randn(self.images, 3, 1, 1, generator=generator)).expand(-1, -1, 2, 2)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        return [Draw((index,), 0) for index in epoch_indices(self.images, start, count, seed)]

    def load(self, draw: Draw, side: int) -> Batch:
        return {"source": self.sources[draw.indices[0]], "target": self.targets[draw.indices[0]]}

    def finish(self, batch: Batch) -> Batch:
        return batch

    def validation(self) -> Iterator[Batch]:
        return iter(())


class Colours(nn.Module):
    """A generator that looks at one pixel."""

    multiple = minimum = 1
    halo, exact, norm = 0, True, "none"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, channels, 1), nn.LeakyReLU(0.2), nn.Conv2d(channels, channels, 1), nn.LeakyReLU(0.2), nn.Conv2d(channels, 3, 1)
        )
        for name in ("multiple", "minimum", "halo", "exact", "norm"):
            setattr(self.network, name, getattr(self, name))

    def forward(self, images: Tensor) -> Tensor:
        colours: Tensor = self.network(images * 2 - 1)
        return (colours + 1) / 2


class Toy(AdversarialGAN):
    def __init__(self, options: AdversarialOptions) -> None:
        super().__init__("toy", options, {"source_to_target": Colours(options.channels)}, {"target": build_discriminator(options, 3)})

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["source_to_target"](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return self.generator_terms("target", batch["target"], images["target"])

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        return self.discriminator_terms("target", batch["target"], images["target"])


@dataclass(frozen=True)
class Pixels(DataOptions):
    """Patches of 2x2 pixels."""

    patch: int = 2


KIND = DataKind("two-modes", "nothing", "", Pixels, lambda folders, options, spec: TwoModes())
METHOD = Method("toy", "for tests", KIND, AdversarialOptions, Toy, AdversarialTraining)
SMALL: dict[str, Any] = {
    "channels": 16,
    "discriminator": ("pixel",),
    "discriminator_channels": 16,
    "discriminator_norm": "none",
    "initialisation": "kaiming",
    "steps": 250,
    "epochs": 200,
    "batch": 16,
    "schedule": "constant",
    "hold_out": 0,
    "workers": 1,
    "device": "cpu",
}


GAMES: dict[str, dict[str, Any]] = {
    "fast": {"learning_rate": 8e-3, "discriminator_learning_rate": 4e-3},
    "slow discriminator": {"learning_rate": 4e-3, "discriminator_learning_rate": 1e-3},
}
"""Two ways to collapse: the discriminator and the generator, both too fast, chase each other from mode to mode; or it cannot follow."""


def trainer_of(**changes: Any) -> Trainer:
    values = {**SMALL, **changes}
    parts: list[Any] = [
        replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values})
        for owner in (AdversarialOptions, Pixels, AdversarialTraining)
    ]
    return Trainer(RunOptions(METHOD, parts[0], (), parts[1], parts[2]), Fabric(accelerator="cpu", devices=1))


def held(game: str, **changes: Any) -> float:
    """Return the share of outputs in the mode that has fewer of them: 0 where one mode is lost, at most 0.5; a mean of the last third of a run, and of three runs."""
    found = []
    for seed in range(3):
        trainer = trainer_of(seed=seed, **GAMES[game], **changes)
        for step in range(trainer.steps):
            trainer.step(step)
            if 3 * step >= 2 * trainer.steps and step % 20 == 0:
                found.append(smaller_share(trainer))
        trainer.loader.close()
    return sum(found) / len(found)


def smaller_share(trainer: Trainer) -> float:
    """Return the share of 512 outputs that are nearer than a quarter of the way to a mode, of the mode that has fewer."""
    noise = torch.rand(512, 3, 1, 1, generator=torch.Generator().manual_seed(7)).expand(-1, -1, 2, 2)
    with torch.no_grad():
        grey = trainer.gan.generators["source_to_target"](noise).mean(dim=(1, 2, 3))
    return min(float(((grey - mode).abs() < 0.125).float().mean()) for mode in MODES)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"batch": 1},
            "expected --batch of at least 2 where discriminators compare the images of a batch (--minibatch), 2 for each of 1 parts, got 1; raise it",
        ),
        (
            {"batch": 2, "accumulate": 2},
            "expected --batch of at least 4 where discriminators compare the images of a batch (--minibatch), 2 for each of 2 parts",
        ),
        ({"pool": 50}, "expected --pool 0 where discriminators compare the images of a batch (--minibatch)"),
    ],
)
@pytest.mark.parametrize("minibatch", ["deviation", "discrimination"])
def test_images_that_cannot_be_compared_are_refused(minibatch: str, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(sentence)):
        trainer_of(minibatch=minibatch, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_plain_run_loses_a_mode(game: str) -> None:
    assert held(game) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "changes"),
    [
        ("fast", {"minibatch": "deviation"}),
        ("fast", {"instance_noise": 0.5}),
        ("fast", {"unroll": 5}),
        ("fast", {"objective": "relativistic", "r1": 0.1, "r2": 0.1}),
        ("slow discriminator", {"minibatch": "discrimination"}),
    ],
    ids=str,
)
def test_both_modes_are_kept_with_what_is_against_collapse(game: str, changes: dict[str, Any]) -> None:
    assert held(game, **changes) > 0.12


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_historical_averaging_does_not_help_here_as_the_guide_says(game: str) -> None:
    assert held(game, historical_averaging=0.01) < 0.05
