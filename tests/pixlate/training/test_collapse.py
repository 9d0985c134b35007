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
    "steps": 600,
    "epochs": 200,
    "batch": 32,
    "learning_rate": 2e-3,
    "schedule": "constant",
    "hold_out": 0,
    "workers": 1,
    "device": "cpu",
}


def trainer_of(**changes: Any) -> Trainer:
    values = {**SMALL, **changes}
    parts: list[Any] = [
        replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values})
        for owner in (AdversarialOptions, Pixels, AdversarialTraining)
    ]
    return Trainer(RunOptions(METHOD, parts[0], (), parts[1], parts[2]), Fabric(accelerator="cpu", devices=1))


def shares(trainer: Trainer) -> tuple[float, float]:
    """Return which shares of 512 outputs are within a quarter of the way between the modes of each."""
    noise = torch.rand(512, 3, 1, 1, generator=torch.Generator().manual_seed(7)).expand(-1, -1, 2, 2)
    with torch.no_grad():
        grey = trainer.gan.generators["source_to_target"](noise).mean(dim=(1, 2, 3))
    first, second = (float(((grey - mode).abs() < 0.125).float().mean()) for mode in MODES)
    return first, second


def trained(**changes: Any) -> list[tuple[float, float]]:
    trainer = trainer_of(**changes)
    found = []
    for step in range(trainer.steps):
        trainer.step(step)
        if step >= trainer.steps * 0.7 and step % 20 == 0:
            found.append(shares(trainer))
    trainer.loader.close()
    return found


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
