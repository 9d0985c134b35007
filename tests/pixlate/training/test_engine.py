"""The engine: one step against arithmetic, learning, and what is refused."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn

import pixlate
from pixlate.data.degraded import DegradedImages
from pixlate.errors import PixlateError
from pixlate.evaluation import psnr_luma
from pixlate.options import DegradedOptions
from pixlate.plugin.data import Batch, stack
from pixlate.plugin.gan import GAN, Images, Losses
from pixlate.training.checkpoint import Checkpoint, load_checkpoint, newest
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
Logged = Callable[[Path, str], dict[int, float]]


@dataclass(frozen=True)
class Nothing:
    """No options."""


class Mix(GAN):
    """Mixes the colours of each pixel with a 3x3 matrix and repeats it: simple enough to do by hand."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__({"source_to_target": nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Upsample(scale_factor=float(scale)))})
        self.scale = scale
        self.weight = self.generators["source_to_target"][0].weight  # type: ignore[index]
        with torch.no_grad():
            self.weight.copy_(torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.8]]).view(3, 3, 1, 1))

    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="toy", scale=self.scale)

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["source_to_target"](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"square": (images["target"] - batch["target"]).square().mean(), "size": images["target"].mean() * 0.01}


def toy(build: Callable[[], GAN]) -> pixlate.Method:
    return pixlate.Method("toy", "for tests", pixlate.degraded, Nothing, lambda options: build())


def test_steps_are_those_of_adam_computed_by_hand(make_run: MakeRun, fit: Fit, logged: Logged, tmp_path: Path) -> None:
    rate, betas, decay, clip, seed = 0.02, (0.8, 0.95), 0.15, 0.01, 5
    options = make_run(toy(Mix), steps=3, learning_rate=rate, betas=betas, average_decay=decay, gradient_clip=clip, seed=seed, schedule="linear", warm_up=2)
    assert fit(options, tmp_path).finished
    assert isinstance(options.data, DegradedOptions)
    data = DegradedImages(options.folders, 2, options.data)
    weight = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.8]])
    average, first, second = weight.copy(), np.zeros((3, 3)), np.zeros((3, 3))
    rates = [rate * 1 / 2, rate * 1, rate * 2 * (1 - 2 / 3)]
    for step in range(3):
        batch = stack([data.load(draw, options.data.patch) for draw in data.draw(2 * step, 2, seed)])
        source = batch["source"].double().repeat_interleave(2, 2).repeat_interleave(2, 3).permute(1, 0, 2, 3).reshape(3, -1).numpy()
        target = batch["target"].double().permute(1, 0, 2, 3).reshape(3, -1).numpy()
        difference = weight @ source - target
        assert logged(tmp_path, "square")[step + 1] == pytest.approx(np.mean(difference**2), rel=1e-4)
        assert logged(tmp_path, "size")[step + 1] == pytest.approx(0.01 * np.mean(weight @ source), rel=1e-4)
        assert logged(tmp_path, "learning_rate")[step + 1] == pytest.approx(rates[step])
        gradient = (2 * difference @ source.T + 0.01 * np.tile(source.sum(1), (3, 1))) / difference.size
        gradient *= min(1, clip / (np.sqrt((gradient**2).sum()) + 1e-6))
        first = betas[0] * first + (1 - betas[0]) * gradient
        second = betas[1] * second + (1 - betas[1]) * gradient**2
        corrected = first / (1 - betas[0] ** (step + 1)), second / (1 - betas[1] ** (step + 1))
        weight = weight - rates[step] * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        average += (1 - min(decay, (1 + step) / (10 + step))) * (weight - average)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.weights["weight"].view(3, 3).numpy() == pytest.approx(weight, abs=1e-5)
    assert checkpoint.average["weight"].view(3, 3).numpy() == pytest.approx(average, abs=1e-5)


class Adversarial(Mix):
    """Two players."""

    def __init__(self) -> None:
        super().__init__()
        self.discriminators["target"] = nn.Conv2d(3, 1, 3)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        assert not images["target"].requires_grad, "detached"
        self.see()
        return {"judge": self.discriminators["target"](images["target"]).mean() - self.discriminators["target"](batch["target"]).mean()}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        self.see()
        return {"adversarial": -self.discriminators["target"](images["target"]).mean()}

    def see(self) -> None:
        self.seen.append((self.weight.detach().clone(), self.discriminators["target"].weight.clone()))  # type: ignore[operator]


def test_discriminator_is_updated_first_then_the_generator_each_alone(make_run: MakeRun, fit: Fit, logged: Logged, tmp_path: Path) -> None:
    made: list[Adversarial] = []

    def build() -> Adversarial:
        made.append(Adversarial())
        return made[-1]

    fit(make_run(toy(build), steps=2), tmp_path)
    (before, start), (same, judged), (moved, kept) = made[0].seen[:3]
    assert torch.equal(before, same) and not torch.equal(start, judged)
    assert not torch.equal(same, moved) and torch.equal(judged, kept)
    assert logged(tmp_path, "judge").keys() == logged(tmp_path, "adversarial").keys() == {1, 2}


def test_loss_falls_and_pictures_become_better_than_bicubic(make_run: MakeRun, fit: Fit, logged: Logged, tmp_path: Path) -> None:
    photograph = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    for index, (top, left) in enumerate([(0, 130), (60, 200), (150, 130), (330, 300), (300, 60)]):
        Image.fromarray(photograph[top : top + 96, left : left + 96]).save(tmp_path / f"{index}.png")
    small = {"tail": "direct", "pixel": "l1", "average_decay": 0.95, "schedule": "cosine"}
    options = make_run(folders=(tmp_path,), steps=400, batch=4, patch=16, learning_rate=4e-3, validate_every=200, betas=(0.9, 0.99), **small)
    seen = [progress.figures["psnr_luma"] for progress in fit(options, tmp_path / "run").progress if progress.figures]
    bicubic = []
    assert isinstance(options.data, DegradedOptions)
    for batch in DegradedImages(options.folders, 2, options.data).validation():
        source, target = ((batch[name][0] * 255).round().byte().permute(1, 2, 0).numpy() for name in ("source", "target"))
        bicubic.append(psnr_luma(np.array(Image.fromarray(source).resize(target.shape[1::-1], Image.Resampling.BICUBIC)), target, 2))
    losses = list(logged(tmp_path / "run", "pixel").values())
    assert np.mean(losses[-50:]) < 0.9 * np.mean(losses[:50])
    assert len(seen) == 2 and seen[-1] > np.mean(bicubic), "it starts as bilinear enlargement, 1.3 dB below bicubic"
    assert list(logged(tmp_path / "run", "psnr_luma").values()) == [round(value, 4) for value in seen]


class Exploding(Mix):
    """Gives a loss that is not a number at its fourth step, or weights that are not."""

    calls = 0

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        self.calls += 1
        return {"square": (images["target"] - batch["target"]).square().mean() / (0 if self.calls == 4 else 1)}


class ExplodingGradient(Exploding):
    """Has a finite loss whose gradient is not finite."""

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        self.calls += 1
        return {"square": images["target"].square().mean() + (images["target"] * 0 if self.calls == 4 else images["target"]).abs().pow(0.5).mean()}


@pytest.mark.parametrize(("gan", "what"), [(Exploding, "square"), (ExplodingGradient, "weight")])
def test_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    gan: type[Exploding], what: str, make_run: MakeRun, fit: Fit, tmp_path: Path
) -> None:
    options = make_run(toy(gan), steps=10, checkpoint_every=2, log_every=1)
    with pytest.raises(PixlateError, match=f"^not finite at step 4: {what}.*; checkpoints are kept: start a new run with a lower --learning-rate"):
        fit(options, tmp_path)
    folder = newest(tmp_path / "checkpoints")
    assert folder is not None and Checkpoint.load(folder).step == 2
    assert all(bool(value.isfinite().all()) for value in Checkpoint.load(folder).weights.values())


def test_checkpoint_is_opened_without_unpickling(make_run: MakeRun, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = make_run(checkpoint_every=2)
    fit(options, tmp_path, crash=3)

    def refuse(*arguments: object, **more: object) -> Never:
        raise AssertionError("unpickled")

    for owner, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (pickle, "_Unpickler")):
        monkeypatch.setattr(owner, name, refuse)
    assert fit(options, tmp_path, resume=True).finished
    assert fit(make_run(start_from=str(tmp_path)), tmp_path / "next").finished


@pytest.mark.parametrize("method", ["srgan", "pix2pix", "cyclegan", "cut", "stargan"])
def test_nothing_held_out_trains_without_validation(method: str, make_run: MakeRun, fit: Fit, logged: Logged, tmp_path: Path) -> None:
    seen = [progress.figures for progress in fit(make_run(method, hold_out=0, validate_every=1), tmp_path).progress]
    assert seen == [{}] * 4 and logged(tmp_path, "psnr_luma") == {} and logged(tmp_path, "sliced_wasserstein") == {}


def test_best_metric_that_is_not_measured_is_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="expected --best to be one of sliced_wasserstein, luma_correlation, got 'psnr'; choose one"):
        fit(make_run("cyclegan", best="psnr"), tmp_path / "run")
    for changes in ({"best": "psnr_luma"}, {"schedule": "plateau"}):
        with pytest.raises(PixlateError, match="with --hold-out above 0"):
            fit(make_run("pix2pix", hold_out=0, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"pool": 3}, {"augment": ("color",)}, {"discriminator_learning_rate": 1e-3}, {"generator_every": 2}])
def test_options_of_discriminators_are_refused_where_there_are_none(changes: dict[str, Any], make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=f"expected --{next(iter(changes)).replace('_', '-')} with .*discriminators only, got"):
        fit(make_run(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_patches_smaller_than_the_discriminator_takes_are_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    for changes in ({"patch": 16, "resize": 20, "discriminator_layers": 3}, {"grow_from": 8, "discriminator_layers": 2}):
        with pytest.raises(PixlateError, match=r"expected patches of at least \d+ .* which the discriminators take, got (16|8); raise --(patch|grow-from)"):
            fit(make_run("pix2pix", **changes), tmp_path / "run")


def test_methods_of_another_data_kind_take_that_data(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    for kind, metrics in ((pixlate.paired, {"psnr_luma"}), (pixlate.unpaired, {"sliced_wasserstein", "luma_correlation"})):
        method = pixlate.Method("toy", "for tests", kind, Nothing, lambda options: Mix(scale=1))
        fitted = fit(make_run(method, resize=40, patch=16), tmp_path / kind.name)
        assert fitted.finished and fitted.progress[-1].figures.keys() == metrics
