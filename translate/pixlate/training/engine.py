"""The training engine: owns device, precision, optimisers, averages, log and checkpoints, whatever the method."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam

from pixlate.contracts import Sample
from pixlate.data import TrainingData
from pixlate.data.degraded import DegradedImages
from pixlate.errors import PixlateError
from pixlate.gan import GAN, Losses
from pixlate.plugins import installed
from pixlate.training.averaging import WeightAverage
from pixlate.training.checkpoint import Checkpoint, keep_newest, newest, optimizer_state
from pixlate.training.run import CHECKPOINTS, OPTIONS, Log, RunOptions
from pixlate.training.schedules import learning_rate
from pixlate.training.starting import take_over, weights_to_start_from
from pixlate.training.validation import validate


@dataclass
class Progress:
    """What a watcher is told after a step."""

    step: int
    steps: int
    losses: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    """What validation measured, by metric, where this step validated; ``psnr_luma`` is in dB."""


Watcher = Callable[[Progress], None]


def open_data(options: RunOptions, gan: GAN) -> TrainingData:
    """Return the training images a method's pairing asks for."""
    if options.method.pairing == "degraded":
        return DegradedImages(options.folders, gan.spec().scale, options.data)
    raise PixlateError(f"this version trains degraded data only, and {options.method.name} wants {options.method.pairing} data; use another method")


def train(options: RunOptions, run: Path, watch: Watcher, resume: bool = False) -> bool:
    """Train until ``options.training.steps`` updates are made; return whether they were, which a signal prevents.

    All that is random in a step, batch and dropout alike, is seeded with (seed, step), so a resumed run goes the very way it would have gone.
    SIGTERM and Ctrl-C write a checkpoint before they end the run.

    Raises:
        PixlateError: A loss is not finite, or nothing can be resumed.
    """
    training, hooks = options.training, installed().manager.hook
    trainer = Trainer(options)
    if resume:
        first = trainer.restore(run)
    else:
        first = 0
        if training.start_from:
            take_over(trainer.gan, weights_to_start_from(Path(training.start_from), trainer.gan))
            trainer.average.reset(trainer.gan)
        run.mkdir(parents=True, exist_ok=True)
        options.save(run)
    done = first
    with Log(run) as log, _stop_on_signal() as stopped:
        started = time.monotonic()
        for step in range(first, training.steps):
            losses = trainer.step(step)
            done = step + 1
            if hooks.pixlate_step_finished.get_hookimpls():
                hooks.pixlate_step_finished(run=run, step=done, losses=_numbers(losses))
            progress = Progress(done, training.steps)
            stopping = stopped()  # asked once: a signal that comes from here on ends the run after the next step, with its checkpoint
            saving = done % training.checkpoint_every == 0 or done == training.steps or stopping
            if done % training.log_every == 0 or saving:
                progress.losses = _numbers(losses)
                _require_finite(progress.losses, done)
                rate = (done - first) / (time.monotonic() - started)
                log.write(step=done, learning_rate=learning_rate(step, training), steps_per_second=round(rate, 3), **progress.losses)
            if done % training.validate_every == 0 or done == training.steps:
                progress.figures, samples = trainer.validate()
                if progress.figures:
                    log.write(step=done, **{name: round(value, 4) for name, value in progress.figures.items()})
                hooks.pixlate_epoch_finished(run=run, step=done, samples=samples)
            if saving:
                trainer.save(run, done)
            watch(progress)
            if stopping:
                break
    return done == training.steps


class Trainer:
    """The networks of a run with their optimisers and averages, and the way of one step."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options.training
        self.fabric = _fabric(self.options.device, self.options.precision)
        torch.manual_seed(self.options.seed)
        self.gan = options.method.build(options.method_options)
        self.data = open_data(options, self.gan)
        self.gan.to(self.fabric.device).to(memory_format=torch.channels_last)
        self.players = {
            name: Adam(module.parameters(), self.options.learning_rate, self.options.betas)
            for name, module in (("discriminators", self.gan.discriminators), ("generators", self.gan.generators))
            if any(parameter.requires_grad for parameter in module.parameters())
        }
        self.average = WeightAverage(self.gan, self.options.average_decay)

    def step(self, step: int) -> Losses:
        """Let each discriminator, then each generator, make one update; return all losses, detached. Steps are counted from 0."""
        self.gan.train()
        seed = self.options.seed * 1_000_003 + step
        torch.manual_seed(seed)
        batch = self.data.batch(self.options.batch, torch.Generator().manual_seed(seed))
        batch = {name: images.to(self.fabric.device, memory_format=torch.channels_last) for name, images in batch.items()}
        with self.fabric.autocast():
            images = self.gan.generate(batch)
        losses: Losses = {}
        for name, optimizer in self.players.items():
            self.gan.discriminators.requires_grad_(name == "discriminators")
            with self.fabric.autocast():
                if name == "discriminators":
                    own = self.gan.discriminator_losses(batch, {key: image.detach() for key, image in images.items()})
                else:
                    own = self.gan.generator_losses(batch, images)
            self._update(optimizer, own, learning_rate(step, self.options))
            losses |= {key: value.detach() for key, value in own.items()}
        self.average.update(self.gan, step)
        return losses

    def validate(self) -> tuple[dict[str, float], list[Sample]]:
        """Return figures and samples of the averaged generator on held-out images."""
        return validate(self.average.module, self.data, self.fabric.device, installed().metrics())

    def save(self, run: Path, done: int) -> None:
        """Write a checkpoint after ``done`` steps, and remove old ones.

        Raises:
            PixlateError: A weight is not finite; the last checkpoint is kept.
        """
        _require_finite({name: float(value.detach().abs().max()) for name, value in self.gan.named_parameters()}, done)
        state = {name: optimizer_state(optimizer) for name, optimizer in self.players.items()}
        Checkpoint(done, _cpu(self.gan), _cpu(self.average.module), state).save(run / CHECKPOINTS)
        keep_newest(run / CHECKPOINTS, self.options.keep)

    def restore(self, run: Path) -> int:
        """Take up the newest checkpoint of a run; return the steps it has made.

        Raises:
            PixlateError: There is none, or it holds another network.
        """
        path = newest(run / CHECKPOINTS)
        if path is None:
            raise PixlateError(f"expected a checkpoint in {run / CHECKPOINTS}, found none; start the run again with --out")
        checkpoint = Checkpoint.load(path)
        try:
            self.gan.load_state_dict(checkpoint.weights)
            self.average.module.load_state_dict(checkpoint.average)
            for name, optimizer in self.players.items():
                optimizer.load_state_dict(checkpoint.optimizers[name])
        except (RuntimeError, ValueError, KeyError) as error:
            raise PixlateError(f"expected the weights of {run / OPTIONS}, but {path} holds those of another network; undo the change of its options") from error
        return checkpoint.step

    def _update(self, optimizer: Adam, losses: Losses, rate: float) -> None:
        """Minimise the sum of one player's losses by one step."""
        optimizer.zero_grad()
        self.fabric.backward(torch.stack(list(losses.values())).sum())
        if self.options.gradient_clip:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.options.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()


def _numbers(losses: Losses) -> dict[str, float]:
    return {name: float(value) for name, value in losses.items()}


def _fabric(device: str, precision: str) -> Fabric:
    kind, _, index = device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise PixlateError(f"expected CUDA for --device {device}, but PyTorch {torch.__version__} finds none; run `pixlate doctor`, or use --device cpu")
    if index and int(index) >= torch.cuda.device_count():
        raise PixlateError(f"expected one of the {torch.cuda.device_count()} GPUs, counted from 0, got --device {device}; choose one of these")
    fabric = Fabric(accelerator=kind, devices=[int(index)] if index else 1, precision=precision)  # type: ignore[arg-type]
    fabric.launch()
    return fabric


class _stop_on_signal:  # noqa: N801 - a context manager used as a function
    """Context in which SIGTERM and SIGINT only ask to stop; gives a function that tells whether one came."""

    def __enter__(self) -> Callable[[], bool]:
        self._asked = False
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return lambda: self._asked

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True


def _require_finite(values: dict[str, float], step: int) -> None:
    wrong = [name for name, value in values.items() if not np.isfinite(value)]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise PixlateError(
            f"not finite at step {step}: {', '.join(wrong[:3])}{more}; the last checkpoint is kept: lower --learning-rate or set --gradient-clip"
        )


def _cpu(module: nn.Module) -> dict[str, Tensor]:
    """Return the state as tensors of their own, which safetensors asks for."""
    return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in module.state_dict().items()}
