"""The training engine: owns device, precision, optimisers, averages, log and checkpoints, whatever the method."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam

from pixlate.data.degraded import DegradedImages
from pixlate.errors import PixlateError
from pixlate.evaluation.metrics import psnr_luma
from pixlate.training.averaging import WeightAverage
from pixlate.training.checkpoint import Checkpoint, keep_newest, newest, optimizer_state
from pixlate.training.gan import GAN, Batch, Losses
from pixlate.training.run import CHECKPOINTS, OPTIONS, Log, RunOptions
from pixlate.training.schedules import learning_rate


class TrainingData(Protocol):
    """What the engine asks of training images."""

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Return a batch that depends on nothing but the generator's state."""

    def validation(self) -> Iterator[Batch]:
        """Yield held-out images."""


@dataclass
class Progress:
    """What a watcher is told after a step."""

    step: int
    steps: int
    losses: dict[str, float] = field(default_factory=dict)
    psnr: float | None = None
    """Mean luma PSNR of the averaged generator on held-out images, in dB, where this step validated."""


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
    training = options.training
    fabric = _fabric(training.device, training.precision)
    torch.manual_seed(training.seed)
    gan = options.method.build(options.method_options)
    data = open_data(options, gan)
    if training.start_from and not resume:
        take_over(gan, load_checkpoint(Path(training.start_from)).average)
    gan.to(fabric.device).to(memory_format=torch.channels_last)
    players = {
        name: Adam(module.parameters(), training.learning_rate, training.betas)
        for name, module in (("discriminators", gan.discriminators), ("generators", gan.generators))
        if any(parameter.requires_grad for parameter in module.parameters())
    }
    average = WeightAverage(gan, training.average_decay)
    first = 0
    if resume:
        first = _restore(run, gan, average, players)
    if not resume:
        run.mkdir(parents=True, exist_ok=True)
        options.save(run)
    done = first
    with Log(run) as log, _stop_on_signal() as stopped:
        started = time.monotonic()
        for step in range(first, training.steps):
            gan.train()
            seed = training.seed * 1_000_003 + step
            torch.manual_seed(seed)
            batch = data.batch(training.batch, torch.Generator().manual_seed(seed))
            batch = {name: images.to(fabric.device, memory_format=torch.channels_last) for name, images in batch.items()}
            losses = _update(fabric, gan, batch, players, learning_rate(step, training), training.gradient_clip)
            average.update(gan, step)
            done = step + 1
            progress = Progress(done, training.steps)
            stopping = stopped()  # asked once: a signal that comes from here on ends the run after the next step, with its checkpoint
            saving = done % training.checkpoint_every == 0 or done == training.steps or stopping
            if done % training.log_every == 0 or saving:
                progress.losses = {name: float(value) for name, value in losses.items()}
                _require_finite(progress.losses, done)
                rate = (done - first) / (time.monotonic() - started)
                log.write(step=done, learning_rate=learning_rate(step, training), steps_per_second=round(rate, 3), **progress.losses)
            if done % training.validate_every == 0 or done == training.steps:
                progress.psnr = validate(average.module, data, fabric.device)
                if progress.psnr is not None:
                    log.write(step=done, psnr_luma=round(progress.psnr, 4))
            if saving:
                _require_finite({name: float(value.detach().abs().max()) for name, value in gan.named_parameters()}, done)
                state = {name: optimizer_state(optimizer) for name, optimizer in players.items()}
                Checkpoint(done, _cpu(gan), _cpu(average.module), state).save(run / CHECKPOINTS)
                keep_newest(run / CHECKPOINTS, training.keep)
            watch(progress)
            if stopping:
                break
    return done == training.steps


def _update(fabric: Fabric, gan: GAN, batch: Batch, players: dict[str, Adam], rate: float, clip: float) -> Losses:
    """Let each discriminator, then each generator, make one step; return all losses, detached."""
    with fabric.autocast():
        images = gan.generate(batch)
    losses: Losses = {}
    for name, optimizer in players.items():
        gan.discriminators.requires_grad_(name == "discriminators")
        with fabric.autocast():
            if name == "discriminators":
                own = gan.discriminator_losses(batch, {key: image.detach() for key, image in images.items()})
            else:
                own = gan.generator_losses(batch, images)
        optimizer.zero_grad()
        fabric.backward(torch.stack(list(own.values())).sum())
        if clip:
            nn.utils.clip_grad_norm_([parameter for group in optimizer.param_groups for parameter in group["params"]], clip)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        losses |= {key: value.detach() for key, value in own.items()}
    return losses


@torch.no_grad()
def validate(gan: GAN, data: TrainingData, device: torch.device) -> float | None:
    """Return the mean luma PSNR, in dB, of the generated ``target`` on held-out images, or None where none are held out.

    ``scale`` pixels of border are left out.
    """
    border = gan.spec().scale
    values = []
    for batch in data.validation():
        output = gan.generate({name: images.to(device) for name, images in batch.items()})["target"]
        values.append(psnr_luma(_pixels(output), _pixels(batch["target"]), border))
    return float(np.mean(values)) if values else None


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the newest checkpoint of a run, or the one in a checkpoint folder.

    Raises:
        PixlateError: There is no checkpoint.
    """
    checkpoint = path if (path / "state.json").is_file() else newest(path / CHECKPOINTS)
    if checkpoint is None:
        raise PixlateError(f"expected a run or a checkpoint with weights, got {path}; name the folder given to --out")
    return Checkpoint.load(checkpoint)


def take_over(gan: GAN, weights: dict[str, Tensor]) -> None:
    """Copy the weights whose name and shape match, such as the body of a generator trained for another scale; counters of steps stay.

    Raises:
        PixlateError: None matches.
    """
    own = gan.state_dict()
    matching = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape and value.ndim}
    if not matching:
        raise PixlateError("expected weights of the same network to start from, but no tensor has a matching name and shape; check --start-from")
    gan.load_state_dict(own | matching)


def _restore(run: Path, gan: GAN, average: WeightAverage, players: dict[str, Adam]) -> int:
    path = newest(run / CHECKPOINTS)
    if path is None:
        raise PixlateError(f"expected a checkpoint in {run / CHECKPOINTS}, found none; start the run again with --out")
    checkpoint = Checkpoint.load(path)
    try:
        gan.load_state_dict(checkpoint.weights)
        average.module.load_state_dict(checkpoint.average)
        for name, optimizer in players.items():
            optimizer.load_state_dict(checkpoint.optimizers[name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise PixlateError(f"expected the weights of {run / OPTIONS}, but {path} holds those of another network; undo the change of its options") from error
    return checkpoint.step


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


def _pixels(images: Tensor) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
    levels = images[0].float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).cpu().numpy()


def _cpu(module: nn.Module) -> dict[str, Tensor]:
    """Return the state as tensors of their own, which safetensors asks for."""
    return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in module.state_dict().items()}
