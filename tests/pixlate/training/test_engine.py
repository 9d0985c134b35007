"""The engine: one step against arithmetic, learning, and the effect of every option."""

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import pixlate
from pixlate.data import Batch
from pixlate.data.degraded import DegradedImages
from pixlate.errors import PixlateError
from pixlate.evaluation import psnr_luma
from pixlate.gan import GAN, Images, Losses
from pixlate.training import engine
from pixlate.training.checkpoint import Checkpoint, newest
from pixlate.training.engine import Progress, train
from pixlate.training.run import RunOptions
from pixlate.training.starting import load_checkpoint, take_over

MakeRun = Callable[..., RunOptions]


class CrashError(Exception):
    """Raised by a watcher to end a run without a word, as a crash does."""


def silent(progress: Progress) -> None:
    """Watch nothing."""


def crash_at(step: int) -> Callable[[Progress], None]:
    def watch(progress: Progress) -> None:
        if progress.step == step:
            raise CrashError

    return watch


def files(run: Path) -> dict[str, str]:
    """Return the digest of every file of the newest checkpoint."""
    folder = newest(run / "checkpoints")
    assert folder is not None
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def logged(run: Path, name: str) -> dict[int, float]:
    """Return step -> value of one entry of the log."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


@dataclass(frozen=True)
class Nothing:
    """No options."""


class Mix(GAN):
    """Mixes the colours of each pixel with a 3x3 matrix and doubles its size: simple enough to do by hand."""

    def __init__(self) -> None:
        super().__init__({"source_to_target": nn.Conv2d(3, 3, 1, bias=False)})
        self.weight = self.generators["source_to_target"].weight
        with torch.no_grad():
            self.weight.copy_(torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.8]]).view(3, 3, 1, 1))  # type: ignore[operator]

    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="toy", scale=2)

    def generate(self, batch: Batch) -> Images:
        return {"target": functional.interpolate(self.generators["source_to_target"](batch["source"]), scale_factor=2.0, mode="nearest")}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"square": (images["target"] - batch["target"]).square().mean(), "size": images["target"].mean() * 0.01}


def toy(build: Callable[[], GAN]) -> pixlate.Method:
    return pixlate.Method("toy", "for tests", "degraded", Nothing, lambda options: build())


def test_steps_are_those_of_adam_computed_by_hand(make_run: MakeRun, tmp_path: Path) -> None:
    rate, betas, decay, clip, seed = 0.02, (0.8, 0.95), 0.15, 0.01, 5
    options = make_run(toy(Mix), steps=3, learning_rate=rate, betas=betas, average_decay=decay, gradient_clip=clip, seed=seed, schedule="linear", warm_up=2)
    assert train(options, tmp_path, silent)
    data = DegradedImages(options.folders, 2, options.data)
    weight = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.8]])
    average, first, second = weight.copy(), np.zeros((3, 3)), np.zeros((3, 3))
    rates = [rate * 1 / 2, rate * 1, rate * 2 * (1 - 2 / 3)]
    for step in range(3):
        batch = data.batch(2, torch.Generator().manual_seed(seed * 1_000_003 + step))
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
    """Two players, with dropout."""

    def __init__(self) -> None:
        GAN.__init__(self, {"source_to_target": nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Dropout(0.5))}, {"target": nn.Conv2d(3, 1, 3)})
        self.seen: list[tuple[Tensor, Tensor]] = []

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        assert not images["target"].requires_grad, "detached"
        self.seen.append((self.generators["source_to_target"][0].weight.clone(), self.discriminators["target"].weight.clone()))  # type: ignore[index,operator]
        return {"judge": self.discriminators["target"](images["target"]).mean() - self.discriminators["target"](batch["target"]).mean()}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        self.seen.append((self.generators["source_to_target"][0].weight.clone(), self.discriminators["target"].weight.clone()))  # type: ignore[index,operator]
        return {"adversarial": -self.discriminators["target"](images["target"]).mean()}


def test_discriminator_moves_first_then_the_generator_and_each_alone(make_run: MakeRun, tmp_path: Path) -> None:
    made: list[Adversarial] = []

    def build() -> Adversarial:
        made.append(Adversarial())
        return made[-1]

    train(make_run(toy(build), steps=2), tmp_path, silent)
    (before, start), (same, judged), (moved, kept) = made[0].seen[:3]
    assert torch.equal(before, same) and not torch.equal(start, judged)
    assert not torch.equal(same, moved) and torch.equal(judged, kept)
    assert logged(tmp_path, "judge").keys() == logged(tmp_path, "adversarial").keys() == {1, 2}


def test_loss_falls_and_pictures_become_better_than_bicubic(make_run: MakeRun, tmp_path: Path) -> None:
    photograph = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    for index, (top, left) in enumerate([(0, 130), (60, 200), (150, 130), (330, 300), (300, 60)]):
        Image.fromarray(photograph[top : top + 96, left : left + 96]).save(tmp_path / f"{index}.png")
    options = make_run(steps=400, batch=4, patch=16, learning_rate=4e-3, tail="direct", average_decay=0.95, validate_every=200)
    options = replace(options, folders=(tmp_path,))
    seen: list[float] = []
    train(options, tmp_path / "run", lambda progress: seen.append(progress.figures["psnr_luma"]) if progress.figures else None)
    bicubic = []
    for batch in DegradedImages(options.folders, 2, options.data).validation():
        source, target = ((batch[name][0] * 255).round().byte().permute(1, 2, 0).numpy() for name in ("source", "target"))
        bicubic.append(psnr_luma(np.array(Image.fromarray(source).resize(target.shape[1::-1], Image.Resampling.BICUBIC)), target, 2))
    losses = list(logged(tmp_path / "run", "pixel").values())
    assert np.mean(losses[-50:]) < 0.9 * np.mean(losses[:50])
    assert len(seen) == 2 and seen[-1] > np.mean(bicubic), "it starts as bilinear enlargement, 1.3 dB below bicubic"
    assert list(logged(tmp_path / "run", "psnr_luma").values()) == [round(value, 4) for value in seen]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"network": "srresnet"},
        {"tail": "direct", "precision": "bf16-mixed", "gradient_clip": 0.01, "blocks": 2},
        {"average_decay": 0.0, "schedule": "linear"},
    ],
)
def test_run_that_crashed_and_was_resumed_ends_bit_equal(changes: dict[str, Any], make_run: MakeRun, tmp_path: Path) -> None:
    options = make_run(steps=9, checkpoint_every=3, **changes)
    train(options, tmp_path / "undisturbed", silent)
    with pytest.raises(CrashError):
        train(options, tmp_path / "crashed", crash_at(4))
    with pytest.raises(CrashError):
        train(options, tmp_path / "crashed", crash_at(8), resume=True)
    torch.rand(17)  # the state of the global generator is another one
    assert train(options, tmp_path / "crashed", silent, resume=True)
    assert files(tmp_path / "crashed") == files(tmp_path / "undisturbed")


def test_resumed_run_with_dropout_and_two_players_ends_bit_equal(make_run: MakeRun, tmp_path: Path) -> None:
    options = make_run(toy(Adversarial), steps=6, checkpoint_every=2)
    train(options, tmp_path / "undisturbed", silent)
    with pytest.raises(CrashError):
        train(options, tmp_path / "crashed", crash_at(3))
    train(options, tmp_path / "crashed", silent, resume=True)
    assert files(tmp_path / "crashed") == files(tmp_path / "undisturbed")


def test_finished_run_resumed_has_nothing_to_do(make_run: MakeRun, tmp_path: Path) -> None:
    train(make_run(), tmp_path, silent)
    before = files(tmp_path)
    assert train(make_run(), tmp_path, crash_at(1), resume=True)
    assert files(tmp_path) == before


def test_checkpoint_is_opened_without_unpickling(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = make_run(checkpoint_every=2)
    with pytest.raises(CrashError):
        train(options, tmp_path, crash_at(3))

    def refuse(*arguments: object, **more: object) -> Never:
        raise AssertionError("unpickled")

    for owner, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (pickle, "_Unpickler")):
        monkeypatch.setattr(owner, name, refuse)
    assert train(options, tmp_path, silent, resume=True)
    assert train(make_run(start_from=str(tmp_path)), tmp_path / "next", silent)


def test_leftover_of_a_checkpoint_half_written_is_passed_over(make_run: MakeRun, tmp_path: Path) -> None:
    options = make_run(checkpoint_every=2)
    train(options, tmp_path / "undisturbed", silent)
    with pytest.raises(CrashError):
        train(options, tmp_path / "crashed", crash_at(2))
    part = tmp_path / "crashed" / "checkpoints" / ".step-00000004.part"
    part.mkdir()
    (part / "weights.safetensors").write_bytes(b"half")
    train(options, tmp_path / "crashed", silent, resume=True)
    assert files(tmp_path / "crashed") == files(tmp_path / "undisturbed") and not part.exists()


def test_damaged_newest_checkpoint_is_named_and_the_one_before_goes_on_without_it(make_run: MakeRun, tmp_path: Path) -> None:
    options = make_run(checkpoint_every=2)
    train(options, tmp_path, silent)
    before = files(tmp_path)
    folder = newest(tmp_path / "checkpoints")
    assert folder is not None
    (folder / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(PixlateError, match=r"step-00000004, but it cannot be read .*; remove that folder to use the one before"):
        train(options, tmp_path, silent, resume=True)
    for path in (*folder.iterdir(), folder):
        path.unlink() if path.is_file() else path.rmdir()
    train(options, tmp_path, silent, resume=True)
    assert files(tmp_path) == before


def test_resuming_a_run_without_checkpoint_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected a checkpoint in .*, found none; start the run again"):
        train(make_run(), tmp_path, silent, resume=True)


def test_resuming_with_another_network_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    train(make_run(), tmp_path, silent)
    with pytest.raises(PixlateError, match="holds those of another network; undo the change of its options"):
        train(make_run(channels=5), tmp_path, silent, resume=True)


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
def test_what_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(gan: type[Exploding], what: str, make_run: MakeRun, tmp_path: Path) -> None:
    options = make_run(toy(gan), steps=10, checkpoint_every=2, log_every=1)
    with pytest.raises(PixlateError, match=f"^not finite at step 4: {what}.*; the last checkpoint is kept: lower --learning-rate or set --gradient-clip"):
        train(options, tmp_path, silent)
    folder = newest(tmp_path / "checkpoints")
    assert folder is not None and Checkpoint.load(folder).step == 2
    assert all(bool(value.isfinite().all()) for value in Checkpoint.load(folder).weights.values())


EFFECTS: dict[str, Any] = {
    "scale": 3,
    "network": "srresnet",
    "channels": 9,
    "blocks": 2,
    "tail": "direct",
    "pixel_weight": 2.0,
    "patch": 9,
    "rescale": (1.0, 0.5),
    "hold_out": 2,
    "steps": 5,
    "batch": 3,
    "learning_rate": 1e-3,
    "betas": (0.5, 0.9),
    "schedule": "constant",
    "warm_up": 3,
    "average_decay": 0.0,
    "gradient_clip": 1e-3,
    "precision": "bf16-mixed",
    "seed": 1,
    "validate_every": 2,
    "checkpoint_every": 1,
    "keep": 1,
    "log_every": 2,
    "start_from": "",
}


def shape_of(run: Path) -> tuple[Any, ...]:
    """Return all that a run has done, but its options and speed."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    checkpoints = sorted(path.name for path in (run / "checkpoints").iterdir())
    return [{**line, "steps_per_second": 0} for line in lines], checkpoints, files(run)


@pytest.fixture(scope="module")
def base(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of four steps with two checkpoints."""
    run = tmp_path_factory.mktemp("base")
    train(make_run(checkpoint_every=2, keep=2), run, silent)
    return run


def test_same_options_do_the_same(base: Path, make_run: MakeRun, tmp_path: Path) -> None:
    train(make_run(checkpoint_every=2, keep=2), tmp_path, silent)
    assert shape_of(tmp_path) == shape_of(base)


@pytest.mark.parametrize("name", EFFECTS)
def test_option_has_an_effect(name: str, base: Path, make_run: MakeRun, tmp_path: Path) -> None:
    changes = {"checkpoint_every": 2, "keep": 2, name: EFFECTS[name] if name != "start_from" else str(base)}
    train(make_run(**changes), tmp_path, silent)
    assert shape_of(tmp_path) != shape_of(base)


def test_no_option_is_left_untested(make_run: MakeRun) -> None:
    options = make_run()
    names = {item.name for part in (options.method_options, options.data, options.training) for item in fields(part)}
    assert names == {*EFFECTS, "device"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA works here")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_device_that_is_not_there_is_refused_and_nothing_written(device: str, make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=f"expected CUDA for --device {device}, but PyTorch .* finds none; run `pixlate doctor`, or use --device cpu"):
        train(make_run(device=device), tmp_path / "run", silent)
    assert not (tmp_path / "run").exists()


def test_gpu_of_a_number_that_is_not_there_is_refused(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(PixlateError, match="expected one of the 2 GPUs, counted from 0, got --device cuda:2"):
        train(make_run(device="cuda:2"), tmp_path / "run", silent)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_device_that_is_there_is_used(device: str, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    monkeypatch.setattr(engine, "validate", lambda gan, data, device: used.append(device.type))
    assert train(make_run(device=device), tmp_path, silent)
    assert used == ["cuda"]


def test_body_of_x2_is_taken_over_into_x4(make_run: MakeRun, tmp_path: Path) -> None:
    train(make_run(tail="direct"), tmp_path / "x2", silent)
    train(make_run(scale=4, tail="direct", patch=6, steps=1, learning_rate=1e-12, average_decay=0.0, start_from=str(tmp_path / "x2")), tmp_path / "x4", silent)
    small, large = load_checkpoint(tmp_path / "x2").average, load_checkpoint(tmp_path / "x4").weights
    same = {name for name in small if small[name].shape == large[name].shape}
    assert {name.split(".")[2] for name in same} == {"head", "body"}
    assert {name.split(".")[2] for name in small.keys() - same} == {"tail"}
    assert all(torch.allclose(small[name], large[name], atol=1e-9) for name in same)
    folder = newest(tmp_path / "x2" / "checkpoints")
    assert folder is not None
    assert torch.equal(load_checkpoint(folder).average["generators.source_to_target.head.0.weight"], small["generators.source_to_target.head.0.weight"])


def test_starting_from_weights_of_another_network_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    gan = make_run().method.build(make_run().method_options)
    with pytest.raises(PixlateError, match="no tensor has a matching name and shape; check --start-from"):
        take_over(gan, {"generators.source_to_target.head.0.weight": torch.zeros(1), "other": torch.zeros(3)})
    with pytest.raises(PixlateError, match=r"expected a run or a checkpoint with weights, got .*/missing; name the folder given to --out"):
        train(make_run(start_from=str(tmp_path / "missing")), tmp_path / "run", silent)
    assert not (tmp_path / "run").exists()


def test_nothing_held_out_trains_without_validation(make_run: MakeRun, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    train(make_run(hold_out=0, validate_every=1), tmp_path, lambda progress: seen.append(progress.figures))
    assert seen == [{}] * 4 and logged(tmp_path, "psnr_luma") == {}


def test_pairing_that_is_not_there_yet_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    method = pixlate.Method("toy", "for tests", "paired", Nothing, lambda options: Mix())
    with pytest.raises(PixlateError, match="trains degraded data only, and toy wants paired data"):
        train(make_run(method), tmp_path / "run", silent)
