"""Two steps of CycleGAN against arithmetic in float64, with gradients derived by hand, in the published order of updates and in that of 0.1."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

import pixlate_cyclegan
from pixlate.networks.symmetric import Symmetric, SymmetricInput
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.testing import make_photographs
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer
from pixlate_cyclegan.model import CycleGAN
from pixlate_cyclegan.options import CycleGANOptions, CycleGANTraining

Numbers = NDArray[np.float64]
(METHOD,) = pixlate_cyclegan.pixlate_methods()
RATE, BETAS, CYCLE, IDENTITY = 3e-3, (0.5, 0.999), 10.0, 5.0


class Tiny(CycleGAN):
    """CycleGAN whose networks mix the colours of each pixel: generators with 12 weights, discriminators with 4."""

    def __init__(self, options: CycleGANOptions) -> None:
        super().__init__(options)
        self.generators = nn.ModuleDict({name: Symmetric(nn.Conv2d(3, 3, 1)) for name in self.generators})
        self.discriminators = nn.ModuleDict({name: SymmetricInput(nn.Conv2d(3, 1, 1)) for name in self.discriminators})

    def spec(self, generator: str = "source_to_target") -> ModelSpec:
        return ModelSpec(method="cyclegan")


class Linear:
    """Weights and their gradients, with Adam (Kingma and Ba 2015, algorithm 1)."""

    def __init__(self, layer: Any) -> None:
        weight, bias = (values.detach().double().numpy() for values in (layer.network.weight, layer.network.bias))
        self.values: list[Numbers] = [weight.reshape(len(bias), 3).copy(), bias.reshape(-1, 1).copy()]
        self.moments = [(np.zeros_like(value), np.zeros_like(value)) for value in self.values]
        self.steps = 0
        self.clear()

    def clear(self) -> None:
        self.gradients = [np.zeros_like(value) for value in self.values]

    def __call__(self, pixels: Numbers) -> Numbers:
        result: Numbers = self.values[0] @ pixels + self.values[1]
        return result

    def back(self, pixels: Numbers, slope: Numbers) -> Numbers:
        """Take the slope of a loss by the output for ``pixels``; return that by the pixels."""
        self.gradients[0] += slope @ pixels.T
        self.gradients[1] += slope.sum(axis=1, keepdims=True)
        result: Numbers = self.values[0].T @ slope
        return result

    def update(self) -> None:
        self.steps += 1
        for index, gradient in enumerate(self.gradients):
            first = BETAS[0] * self.moments[index][0] + (1 - BETAS[0]) * gradient
            second = BETAS[1] * self.moments[index][1] + (1 - BETAS[1]) * gradient**2
            self.moments[index] = first, second
            step = (first / (1 - BETAS[0] ** self.steps)) / (np.sqrt(second / (1 - BETAS[1] ** self.steps)) + 1e-8)
            self.values[index] = self.values[index] - RATE * step


class ByHand:
    """The losses of the paper's equations 1 to 3 and section 5.2, on columns of pixels in [-1, 1]."""

    def __init__(self, gan: Any) -> None:
        self.generators = {domain: Linear(gan.generators[name]) for domain, name in (("target", "source_to_target"), ("source", "target_to_source"))}
        self.judges = {domain: Linear(gan.discriminators[domain]) for domain in ("target", "source")}

    def step(self, real: dict[str, Numbers], generators_first: bool) -> dict[str, float]:
        other = {"target": "source", "source": "target"}
        made = {domain: make(real[other[domain]]) for domain, make in self.generators.items()}  # what discriminators see in either order
        halves = [partial(self.generate, real, made, other), partial(self.judge, real, made)]
        return {name: value for move in (halves if generators_first else halves[::-1]) for name, value in move().items()}

    def generate(self, real: dict[str, Numbers], made: dict[str, Numbers], other: dict[str, str]) -> dict[str, float]:
        losses: dict[str, float] = {}
        slopes = {domain: np.zeros_like(image) for domain, image in made.items()}
        for generator in self.generators.values():
            generator.clear()
        for domain, generator in self.generators.items():
            back, far = self.generators[other[domain]], other[domain]
            doubt = self.judges[domain](made[domain]) - 1
            losses[f"adversarial_{domain}"] = float(np.mean(doubt**2))
            slopes[domain] += self.judges[domain].values[0].T @ (2 * doubt / doubt.size)
            cycled = back(made[domain]) - real[far]
            losses[f"cycle_{far}"] = CYCLE * float(np.mean(abs(cycled)))
            slopes[domain] += back.back(made[domain], CYCLE * np.sign(cycled) / cycled.size)
            same = generator(real[domain]) - real[domain]
            losses[f"identity_{domain}"] = IDENTITY * float(np.mean(abs(same)))
            generator.back(real[domain], IDENTITY * np.sign(same) / same.size)
        for domain, generator in self.generators.items():
            generator.back(real[other[domain]], slopes[domain])
        for generator in self.generators.values():
            generator.update()
        return losses

    def judge(self, real: dict[str, Numbers], made: dict[str, Numbers]) -> dict[str, float]:
        losses = {}
        for domain, judge in self.judges.items():
            judge.clear()
            true, false = judge(real[domain]) - 1, judge(made[domain])
            losses[f"discriminator_{domain}"] = 0.5 * float(np.mean(true**2) + np.mean(false**2))
            judge.back(real[domain], true / true.size)
            judge.back(made[domain], false / false.size)
            judge.update()
        return losses


@pytest.mark.parametrize("order", ["generators-first", "discriminators-first"])
def test_two_steps_are_those_computed_by_hand(order: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = tuple(make_photographs(tmp_path / name, 3, 24, 24, seed) for seed, name in enumerate(("source", "target")))
    training = CycleGANTraining(steps=2, epochs=200, batch=2, learning_rate=RATE, schedule="constant", pool=0, device="cpu")
    data = METHOD.data.options(patch=8, resize=12, hold_out=1, workers=1)
    options = RunOptions(replace(METHOD, build=Tiny), CycleGANOptions(order=order, blocks=1, channels=1), folders, data, training)
    trainer = Trainer(options, Fabric(accelerator="cpu", devices=1))
    for module in (trainer.gan, trainer.average.module):
        module.double()
    batches = [{name: images.double() for name, images in trainer._batch(step).items()} for step in range(2)]
    monkeypatch.setattr(trainer, "_batch", batches.__getitem__)
    hand = ByHand(trainer.gan)
    for step, batch in enumerate(batches):
        real = {name: images.permute(1, 0, 2, 3).reshape(3, -1).numpy() * 2 - 1 for name, images in batch.items()}
        expected = hand.step(real, order == "generators-first")
        losses = {name: float(value) for name, value in trainer.step(step).items()}
        assert losses == pytest.approx(expected, rel=1e-12)
    trainer.loader.close()
    gan: Any = trainer.gan
    found = {"target": gan.generators["source_to_target"], "source": gan.generators["target_to_source"]}
    for mine, theirs in ((hand.generators, found), (hand.judges, gan.discriminators)):
        for domain, linear in mine.items():
            weight, bias = theirs[domain].network.weight, theirs[domain].network.bias
            np.testing.assert_allclose(weight.detach().reshape(len(bias), 3).numpy(), linear.values[0], rtol=0, atol=1e-12)
            np.testing.assert_allclose(bias.detach().reshape(-1, 1).numpy(), linear.values[1], rtol=0, atol=1e-12)
    assert weight.dtype == torch.float64
