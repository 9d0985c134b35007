"""One step of CUT and of FastCUT in float64 against the formulas of the paper and its authors' code, written here again: layers, PatchNCE, flips, Adam."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

import pixlate_cut
from pixlate.plugin.testing import make_photographs
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer
from pixlate_cut.model import CUT
from pixlate_cut.options import CUTOptions, CUTTraining

(METHOD,) = pixlate_cut.pixlate_methods()
RATE, TEMPERATURE, PATCHES = 2e-4, 0.07, 12
FAST = {"nce_weight": 10.0, "identity_nce": False, "flip_equivariance": True}


def blurred(features: Tensor) -> Tensor:
    """Return every second pixel of a blur by 1, 2, 1, as one strided convolution of each channel."""
    row = torch.tensor([1.0, 2.0, 1.0], dtype=features.dtype) / 4
    kernel = row.outer(row).expand(features.shape[1], 1, 3, 3)
    return functional.conv2d(functional.pad(features, (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=features.shape[1])


def wide(features: Tensor) -> Tensor:
    """Return features of twice the sides: pixels with zeros between them under a blur by 1, 3, 3, 1."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=features.dtype) / 4
    kernel = row.outer(row).expand(features.shape[1], 1, 4, 4)
    return functional.conv_transpose2d(functional.pad(features, (1, 1, 1, 1), "replicate"), kernel, stride=2, groups=features.shape[1])[:, :, 3:-3, 3:-3]


def normalised(features: Tensor) -> Tensor:
    mean, variance = features.mean((2, 3), keepdim=True), features.var((2, 3), keepdim=True, unbiased=False)
    return (features - mean) / torch.sqrt(variance + 1e-5)


class ByHand:
    """The published networks and losses on images in [-1, 1], with the weights of ours."""

    def __init__(self, gan: CUT) -> None:
        self.weights = {name: value.detach().clone().requires_grad_() for name, value in gan.named_parameters()}

    def convolved(self, name: str, features: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        return functional.conv2d(features, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], stride, padding)

    def generator(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the output, and what PatchNCE compares: pixels, the convolutions of both halvings, the first block, and the one in the middle of three."""
        at = "generators.source_to_target.network"
        seen = [images]
        features = functional.relu(normalised(self.convolved(f"{at}.head.1", functional.pad(images, (3,) * 4, "reflect"))))
        for stage in (0, 1):
            seen.append(self.convolved(f"{at}.downsample.{stage}.0", features, padding=1))
            features = blurred(functional.relu(normalised(seen[-1])))
        for block in (0, 1, 2):
            inner = functional.relu(normalised(self.convolved(f"{at}.body.{block}.layers.1", functional.pad(features, (1,) * 4, "reflect"))))
            features = features + normalised(self.convolved(f"{at}.body.{block}.layers.5", functional.pad(inner, (1,) * 4, "reflect")))
            seen += [features] if block < 2 else []
        for stage in (0, 1):
            features = functional.relu(normalised(self.convolved(f"{at}.upsample.{stage}.1", wide(features), padding=1)))
        return torch.tanh(self.convolved(f"{at}.tail.1", functional.pad(features, (3,) * 4, "reflect"))), seen

    def discriminator(self, images: Tensor) -> Tensor:
        """Return the logits of a PatchGAN of two halvings, each a blur behind a convolution of stride 1."""
        at = "discriminators.target.network.members.0.discriminators.0.stages"
        features = blurred(functional.leaky_relu(self.convolved(f"{at}.0.0", images, padding=1), 0.2))
        features = blurred(functional.leaky_relu(normalised(self.convolved(f"{at}.1.0", features, padding=1)), 0.2))
        features = functional.leaky_relu(normalised(self.convolved(f"{at}.2.0", features, padding=1)), 0.2)
        return self.convolved(f"{at}.3.0", features, padding=1)

    def vectors(self, layer: int, features: Tensor, places: Tensor) -> Tensor:
        """Return unit vectors of patches, (batch, patches, length)."""
        rows = torch.stack([features.permute(0, 2, 3, 1).flatten(1, 2)[:, place] for place in places], dim=1)
        first, second = (f"projections.{layer}.layers.{number}" for number in (0, 2))
        hidden = functional.relu(rows @ self.weights[f"{first}.weight"].T + self.weights[f"{first}.bias"])
        found = hidden @ self.weights[f"{second}.weight"].T + self.weights[f"{second}.bias"]
        return found / (found.square().sum(-1, keepdim=True).sqrt() + 1e-7)

    def contrast(self, output: Tensor, origin: Tensor, mirrored: bool) -> Tensor:
        """Return the mean over layers, images and patches of minus the log share of the right patch among those of its image."""
        losses = []
        for layer, (made, true) in enumerate(zip(self.generator(output)[1], self.generator(origin)[1], strict=True)):
            places = torch.randperm(true.shape[2] * true.shape[3])[:PATCHES]
            query = self.vectors(layer, made.flip(3) if mirrored else made, places)
            key = self.vectors(layer, true, places).detach()
            for image in range(len(query)):
                for place in range(len(places)):
                    alike = torch.stack([query[image, place] @ other / TEMPERATURE for other in key[image]])
                    losses.append((torch.logsumexp(alike, 0) - alike[place]) / (len(query) * len(places)))
        return torch.stack(losses).sum() / 5

    def updated(self, loss: Tensor, prefixes: tuple[str, ...]) -> None:
        """Make the first step of Adam (Kingma and Ba 2015), whose moments are then the gradient and its square."""
        chosen = {name: weight for name, weight in self.weights.items() if name.startswith(prefixes)}
        gradients = torch.autograd.grad(loss, list(chosen.values()), retain_graph=True)
        for (name, weight), gradient in zip(chosen.items(), gradients, strict=True):
            self.weights[name] = (weight - RATE * gradient / (gradient.square().sqrt() + 1e-8)).detach().requires_grad_()

    def step(self, source: Tensor, target: Tensor, mirrored: bool, weight: float, identity: bool) -> dict[str, float]:
        output = self.generator(source.flip(3) if mirrored else source)[0]
        judged = 0.5 * ((self.discriminator(target) - 1).square().mean() + self.discriminator(output.detach()).square().mean())
        self.updated(judged, ("discriminators",))
        losses = {"adversarial_target": (self.discriminator(output) - 1).square().mean()}
        losses["nce_source"] = weight * self.contrast(output, source, mirrored)
        if identity:
            losses["nce_source"] = losses["nce_source"] / 2
            losses["nce_target"] = weight / 2 * self.contrast(self.generator(target)[0], target, mirrored)
        self.updated(torch.stack(list(losses.values())).sum(), ("generators", "projections"))
        return {name: float(value.detach()) for name, value in {"discriminator_target": judged, **losses}.items()}


@pytest.fixture
def trainer(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Return what trains CUT with a seed and changed options, in float64, and the batch of the first step."""
    seed, changes = request.param
    small: dict[str, Any] = {
        "channels": 3,
        "blocks": 3,
        "discriminator_channels": 4,
        "discriminator_layers": 2,
        "projection_channels": 16,
        "nce_patches": PATCHES,
    }
    folders = tuple(make_photographs(tmp_path / name, 2, 20, 20, number) for number, name in enumerate(("source", "target")))
    training = CUTTraining(batch=2, device="cpu", seed=seed)
    data = METHOD.data.options(patch=16, resize=20, hold_out=0, workers=1)
    made = Trainer(RunOptions(METHOD, CUTOptions(**small, initial_gain=1.0, **changes), folders, data, training), Fabric(accelerator="cpu", devices=1))
    for module in (made.gan, made.average.module):
        module.double()
    yield made, {name: images.double() for name, images in made._batch(0).items()}
    made.loader.close()


CASES = {"CUT": ((0, {}), False), "FastCUT, mirrored": ((0, FAST), True), "FastCUT, not mirrored": ((1, FAST), False)}


@pytest.mark.parametrize(("trainer", "mirrored"), CASES.values(), ids=CASES, indirect=["trainer"])
def test_step_is_that_computed_by_hand(trainer: Any, mirrored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, batch = trainer
    monkeypatch.setattr(trainer, "_batch", lambda step: batch)
    hand, options = ByHand(deepcopy(trainer.gan)), trainer.gan.cut
    losses = {name: float(value) for name, value in trainer.step(0).items()}
    trainer._seed(0, 0)  # as images are made, then patches chosen
    assert not options.flip_equivariance or bool(torch.rand(()) < 0.5) == mirrored
    expected = hand.step(batch["source"] * 2 - 1, batch["target"] * 2 - 1, mirrored, options.nce_weight, options.identity_nce)
    assert losses == pytest.approx(expected, rel=1e-9)
    for name, weight in trainer.gan.named_parameters():
        torch.testing.assert_close(weight.detach(), hand.weights[name].detach(), rtol=0, atol=RATE * 1e-3, msg=name)
