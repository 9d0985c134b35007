"""Updates of generators against discriminators some steps ahead."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import softplus

from pixlate.errors import PixlateError
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import GAN, Images, Losses
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer
from pixlate.training.unrolling import adam_step, losses_ahead

MakeRun = Callable[..., RunOptions]
RATE, BETAS = 0.05, (0.5, 0.9)


class Line(GAN):
    """A generator that adds a number, and a discriminator that multiplies by one, whose game is known in closed form."""

    def __init__(self) -> None:
        super().__init__({"source_to_target": nn.Conv2d(1, 1, 1)}, {"target": nn.Conv2d(1, 1, 1, bias=False)})
        self.double()

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["source_to_target"](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"adversarial": softplus(-self.judge("target", images["target"])).mean()}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        real, fake = self.judge("target", batch["target"]), self.judge("target", images["target"])
        return {"discriminator": softplus(-real).mean() + softplus(fake).mean()}


def ahead(gan: Line, optimizer: torch.optim.Optimizer, steps: int, batch: Batch) -> Tensor:
    (loss,) = losses_ahead(gan, [(gan.players()["discriminators"], optimizer)], steps, gan.generator_losses, batch, gan.generate(batch)).values()
    return loss


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_step_ahead_is_that_of_adam(weight_decay: float) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(5, dtype=torch.float64))
    optimizer = torch.optim.Adam([weight], RATE, BETAS, weight_decay=weight_decay)
    found, moments = weight.detach().clone(), (torch.zeros(5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64), 0.0)
    for _ in range(3):
        gradient = torch.randn(5, dtype=torch.float64)
        found, moments = adam_step(found, gradient, moments, optimizer.param_groups[0])
        weight.grad = gradient
        optimizer.step()
        torch.testing.assert_close(found, weight.detach(), rtol=1e-7, atol=1e-9)


def test_gradient_is_that_of_the_whole_way_ahead_not_of_its_end_alone() -> None:
    """Against finite differences of a training that is carried out: copies of the discriminator make real steps of Adam."""
    torch.manual_seed(0)
    gan = Line()
    batch = {"source": torch.rand(4, 1, 1, 1, dtype=torch.float64), "target": torch.rand(4, 1, 1, 1, dtype=torch.float64)}
    optimizer = torch.optim.Adam(gan.discriminators.parameters(), RATE, BETAS)
    gan.discriminator_losses(batch, gan.generate(batch))["discriminator"].backward(inputs=list(gan.discriminators.parameters()))  # type: ignore[no-untyped-call]
    optimizer.step()  # so that there are moments to begin with
    before = copy.deepcopy(gan.state_dict())

    def carried_out(bias: float, steps: int) -> float:
        other: Any = copy.deepcopy(gan)
        other.generators["source_to_target"].bias.data.fill_(bias)
        own = torch.optim.Adam(other.discriminators.parameters(), RATE, BETAS)
        own.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        for _ in range(steps):
            own.zero_grad()
            images = {name: image.detach() for name, image in other.generate(batch).items()}
            other.discriminator_losses(batch, images)["discriminator"].backward()
            own.step()
        return float(other.generator_losses(batch, other.generate(batch))["adversarial"].detach())

    bias: Any = gan.generators["source_to_target"].bias
    start, small = float(bias.detach()), 1e-5
    gradients = {}
    for steps in (0, 1, 5):
        loss = ahead(gan, optimizer, steps, batch)
        assert float(loss.detach()) == pytest.approx(carried_out(start, steps), rel=1e-6)
        gradients[steps] = float(torch.autograd.grad(loss, bias)[0])
        assert gradients[steps] == pytest.approx((carried_out(start + small, steps) - carried_out(start - small, steps)) / (2 * small), rel=1e-3)
    assert abs(gradients[5] - gradients[0]) > 0.01
    assert all(torch.equal(value, before[name]) for name, value in gan.state_dict().items())


def test_weights_statistics_and_optimisers_of_discriminators_stay(make_run: MakeRun) -> None:
    """With batch norm, whose statistics move with each look, and spectral norm, whose vectors do."""
    changes: dict[str, Any] = {"pool": 0, "spectral_norm": True, "channels": 2, "discriminator_channels": 2, "generator_every": 2}
    trainers = [Trainer(make_run("pix2pix", unroll=steps, **changes), Fabric(accelerator="cpu", devices=1)) for steps in (0, 2)]
    for trainer in trainers:
        for step in range(2):
            trainer.step(step)
        trainer.loader.close()
    plain, unrolled = (trainer.gan.state_dict() for trainer in trainers)
    weights = [name for name in plain if name.startswith("discriminators") and "running" not in name and "num_batches" not in name]
    assert all(torch.equal(plain[name], unrolled[name]) for name in weights if "._u" not in name and "._v" not in name)
    moved = {name for name in plain if name.startswith("generators") and not torch.equal(plain[name], unrolled[name])}
    assert moved, "generators saw other discriminators"
    first, second = (trainer.turns["discriminators"].optimizer.state_dict()["state"] for trainer in trainers)
    assert all(torch.equal(value, second[number][name]) for number, values in first.items() for name, value in values.items())


def test_adversary_with_an_optimiser_of_its_own_is_refused(make_run: MakeRun) -> None:
    options = make_run("pix2pix", pool=0, unroll=2)

    def build(given: Any) -> GAN:
        gan = options.method.build(given)
        players = gan.players()
        plain = replace(players["discriminators"], optimizer=lambda weights, rate, betas: torch.optim.SGD(weights, rate))
        gan.players = lambda: {**players, "discriminators": plain}  # type: ignore[method-assign]
        return gan

    with pytest.raises(PixlateError, match="--unroll with adversaries that Adam updates, but discriminators of this method has an optimiser of its own"):
        Trainer(replace(options, method=replace(options.method, build=build)), Fabric(accelerator="cpu", devices=1))
