"""The training engine: from the options of a run to its last checkpoint, whatever the method."""

import errno
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from lightning_fabric import Fabric

from pixlate.data.folders import digest_names, listed_as
from pixlate.data.pixels import UnreadableImage
from pixlate.errors import PixlateError
from pixlate.options import check_used
from pixlate.plugin.gan import Losses
from pixlate.plugin.manager import installed
from pixlate.plugin.metric import Metric
from pixlate.runs.folder import CHECKPOINTS, OPTIONS
from pixlate.system.signals import StopOnSignal
from pixlate.training.checkpoint import keep_newest, load_newest, mark_best
from pixlate.training.devices import everyones, gathered, leave_group, missing_operator, open_fabric, out_of_memory
from pixlate.training.precision import require_compiler, suited
from pixlate.training.recorder import Recorder
from pixlate.training.run import LENGTH, RunOptions, hold
from pixlate.training.starting import take_over, weights_to_start_from
from pixlate.training.trainer import Trainer, require_finite
from pixlate.training.validation import Validation, directions, meanings, validate


@dataclass
class Progress:
    """What a watcher is called with after a step."""

    step: int
    steps: int
    losses: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    """What validation measured, by metric, where this step validated; ``psnr_luma`` is in dB."""


Watcher = Callable[[Progress], None]
Teller = Callable[[str], None]
FIRST_CHECKPOINT = 60.0
"""Seconds into a run after which the first checkpoint is written, unless its steps were enough for one before."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def train(
    options: RunOptions, run: Path, watch: Watcher, warn: Teller, resume: bool = False, tell: Teller = lambda line: None, new_length: bool = False
) -> bool:
    """Train to the end of the run; return whether it was reached, which a signal prevents.

    SIGTERM and Ctrl-C write a checkpoint before they end the run. Where several processes train, each calls this; the first one writes and prints.
    ``resume`` continues from the newest checkpoint, over a ``new_length`` where the options have another one than before; ``tell`` is called with lines
    of information at the start.

    Raises:
        PixlateError: Images, options and networks do not fit together, a loss is not finite, the disk is full, or nothing can be resumed.
    """
    session = Session(options, run, open_fabric(options.training), new=not resume)
    try:
        damaged = session.restore(new_length) if resume else session.begin(tell)
        tell(session.described())
        if new_length:
            tell(session.goes_on())
        if resume and session.done == session.trainer.steps:
            tell(f"these are done; `pixlate train --resume {quote(str(run))} --steps N` makes the run longer, with N counted from its beginning")
        finished = session.train(watch, warn, damaged)
        leave_group()
        return finished
    except (RuntimeError, TypeError, MemoryError) as error:
        if lacked := missing_operator(error):
            raise PixlateError(
                f"PyTorch {torch.__version__} lacks {lacked} on the GPU of an Apple computer, which this run needs; use --device cpu, or set "
                "PYTORCH_ENABLE_MPS_FALLBACK=1, with which the CPU computes the operators that are missing"
            ) from error
        if not out_of_memory(error):
            raise
        raise PixlateError(
            f"{session.fabric.device} has too little memory for a step of this run ({' '.join(str(error).split())[:160]}); its checkpoints are kept: start a new run "
            "with a lower --batch or --patch, a smaller network or a higher --accumulate"
        ) from error
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise PixlateError(f"{run} cannot be written ({error.strerror}); its checkpoints are kept: make room, then `pixlate train --resume {run}`") from error
    finally:
        session.close()


class Session:
    """One process's work on a run, from a start or a resume to its end or a signal."""

    def __init__(self, options: RunOptions, run: Path, fabric: Fabric, new: bool) -> None:
        self.choice = ""
        """What ``--precision auto`` chose when the run began, and why; a run that is resumed keeps it."""
        if new and options.training.precision == "auto":
            changes, self.choice = fabric.broadcast(suited(fabric.device))
            options = replace(options, training=replace(options.training, **changes))
        if options.training.compile:
            require_compiler(fabric.device)
        self.options = options = options.with_facts()
        self.run, self.fabric = run, fabric
        with listed_as(options.listing):
            self.trainer = Trainer(options, fabric, new)
            self.names = digest_names(options.folders)
        self.metrics = installed().offered(Metric)
        self.directions = directions(self.trainer.spec, self.trainer.data, self.metrics)
        self.metric = options.training.best or next(iter(self.directions))
        plateau = ["schedule"] if options.training.schedule == "plateau" else []
        check_used(options.training, options.data.hold_out > 0, "--hold-out above 0", "best", *plateau)
        if self.metric not in self.directions:
            raise PixlateError(f"expected --best to be one of {', '.join(self.directions)}, got {self.metric!r}; choose one")
        self.done = self._steps_before = 0
        self.best: dict[str, Any] | None = None
        self._held: FileIO | None = None

    def begin(self, tell: Teller) -> list[str]:
        """Start a new run: read what is held out, take over weights where requested, and write the options; return nothing to warn of."""
        training, trainer = self.options.training, self.trainer
        if self.choice:
            tell(self.choice)
        if training.start_from:
            tell(f"{take_over(trainer.gan, weights_to_start_from(training.start_from, trainer.gan))} from {training.start_from}")
            trainer.average.module.load_state_dict(trainer.gan.state_dict())
        if self.fabric.is_global_zero:
            for _ in trainer.data.validation():  # the first validation may be hours away
                pass
            self.run.mkdir(parents=True, exist_ok=True)
            self._held = hold(self.run)
            self.options.save(self.run)
        return []

    def restore(self, new_length: bool = False) -> list[str]:
        """Resume from the newest checkpoint that can be read, if options and images are the same; return a sentence for each that cannot.

        Where there is a ``new_length``, checkpoint and options file are written again with it. Stages and growing patches keep the boundaries of the first one.
        """
        if self.fabric.is_global_zero:
            self._held = hold(self.run)
            checkpoint, damaged = load_newest(self.run / CHECKPOINTS)
        self.fabric.barrier()
        if not self.fabric.is_global_zero:  # after the first process has put damaged ones aside
            checkpoint, damaged = load_newest(self.run / CHECKPOINTS)
        try:
            before, names, best = dict(checkpoint.state["options"]), checkpoint.state["names"], checkpoint.state["best"]
            kept = best is not None and (self.run / CHECKPOINTS / f"step-{best['step']:08d}").is_dir()
            first_steps, length = int(checkpoint.state.get("first_steps", 0)), (before["steps"], before["epochs"])
            if first_steps < 0:
                raise ValueError(f"a first length of {first_steps} steps")
        except (KeyError, TypeError, ValueError) as error:
            raise PixlateError(f"expected the state of a run in its newest checkpoint, but that of {self.run} lacks {error}; start a new run") from error
        self.options.require_same(before, self.run, LENGTH if new_length else frozenset())
        self.options = replace(self.options, padding=before.get("padding", "edge"))
        if names != self.names:
            raise PixlateError(
                f"expected the same images as before in {', '.join(map(str, self.options.folders))}, but files were added, removed or renamed since {self.run} "
                f"began; restore them, or start a new run with --start-from {self.run}"
            )
        self.trainer.restore(checkpoint, self.run / OPTIONS)
        self.done, self.best = checkpoint.step, best if kept else None
        if self.fabric.is_global_zero and self.best:  # a process killed after the checkpoint may not have noted it
            mark_best(self.run / CHECKPOINTS, self.best)
        self._steps_before = self.options.of_length(*length).training.total_steps(self.trainer.data.images)
        if new_length and not first_steps:
            first_steps = self._steps_before
        if first_steps:
            self.trainer.begun_with(first_steps)
        if new_length:
            self._write_new_length()
        return damaged

    def _write_new_length(self) -> None:
        steps = self.trainer.steps
        if steps < self.done:
            raise PixlateError(f"expected at least the {self.done} steps that {self.run} has done, got {steps}; raise --steps or --epochs")
        self._save(better=False)
        if self.fabric.is_global_zero:
            self.options.save(self.run)

    def goes_on(self) -> str:
        """Say how a run of a new length goes on."""
        training, schedule = self.options.training, self.trainer.schedule
        rate = training.learning_rate * schedule.factor(min(self.done, self.trainer.steps - 1))
        return f"goes on at a learning rate of {rate:.3g}: the {training.schedule} schedule is that of {self.trainer.steps} steps now, and was of {self._steps_before}"

    def described(self) -> str:
        """Say in one line what is trained."""
        training, device = self.options.training, self.fabric.device
        left = f", from step {self.done} on" if self.done else ""
        several = f" x {self.fabric.world_size}" if self.fabric.world_size > 1 else ""
        held_out = f"{self.options.data.hold_out} held out" if self.options.data.hold_out else "none held out"
        return f"{self.trainer.data.images} training images, {held_out}; {self.trainer.steps} steps of {training.batch}{left}; {device}{several}, {training.precision}"

    def train(self, watch: Watcher, warn: Teller, damaged: list[str]) -> bool:
        """Make the steps that are left; return whether all were made."""
        if not self.fabric.is_global_zero:
            with StopOnSignal() as signals:
                return self._steps(signals, None, lambda progress: None)
        with Recorder(self.run, self.done, warn) as recorder, StopOnSignal() as signals:
            sampler = not self.trainer.spec.takes_image
            recorder.begun(self.trainer.steps, f"{self.fabric.device}, {self.options.training.precision}", meanings(self.trainer.gan, self.metrics), sampler)
            recorder.warnings(self.done, damaged)
            recorder.costs(self.done, self.trainer.gan.costs(self.fabric.device))
            return self._steps(signals, recorder, watch)

    def close(self) -> None:
        """End the threads that read images, and let go of the run folder."""
        self.trainer.loader.close()
        if self._held:
            self._held.close()

    def _steps(self, signals: StopOnSignal, recorder: Recorder | None, watch: Watcher) -> bool:
        training, trainer, plugins = self.options.training, self.trainer, installed()
        first, started = self.done, time.monotonic()
        saved = first > 0
        error = self._read(first)
        if any(self._agreed(error is not None)):
            if not saved:
                self._save(better=False)
            self._give_up(error)
            return False
        for step in range(first, trainer.steps):
            losses = trainer.step(step)
            self.done = done = step + 1
            progress = Progress(done, trainer.steps)
            skipped = [trainer.warnings.popleft() for _ in range(len(trainer.warnings))]  # before the next images are read, whose turn is the next step
            error = self._read(done)
            late = not saved and time.monotonic() - started >= FIRST_CHECKPOINT
            # Asked once: a signal that comes from here on ends the run after the next step, with its checkpoint.
            stopping, late, failed = self._agreed(signals.asked, late, error is not None)
            ending = done == trainer.steps or stopping
            if recorder and plugins.listened("pixlate_step_finished"):
                plugins.report("pixlate_step_finished", run=self.run, step=done, losses={name: float(value) for name, value in losses.items()})
            validating = done % training.validate_every == 0 or done == trainer.steps
            if done % training.log_every == 0 or done % training.checkpoint_every == 0 or validating or ending:
                progress.losses = self._mean(losses)
                require_finite(progress.losses, done)
                unhealthy = trainer.observe(done)
                if recorder:
                    rate = (done - first) / (time.monotonic() - started)
                    factor = trainer.schedule.factor(step)
                    recorder.losses(done, **progress.losses, learning_rate=training.learning_rate * factor, steps_per_second=round(rate, 3))
                    recorder.warnings(done, unhealthy)
            better = False
            if validating:
                validation, unreadable = self._validate()
                error, failed = unreadable or error, failed or unreadable is not None
                progress.figures = validation.figures
                better = self._better(validation)
                if recorder and not unreadable:
                    recorder.validation(done, validation)
                    plugins.report("pixlate_epoch_finished", run=self.run, step=done, samples=validation.samples)
            if done % training.checkpoint_every == 0 or ending or better or late or failed:
                self._save(better)
                saved = True
            if recorder:
                recorder.warnings(done, skipped)
            watch(progress)
            if failed:
                self._give_up(error)
            if stopping or failed:
                break
        return self.done == trainer.steps and error is None

    def _read(self, step: int) -> PixlateError | None:
        """Read the images of a step, if there is one; return why they cannot be had."""
        try:
            if step < self.trainer.steps:
                self.trainer.read(step)
        except PixlateError as error:
            return error
        return None

    def _give_up(self, error: PixlateError | None) -> None:
        """End the run for images that some process cannot have, after a checkpoint: the first process raises the error, the others return."""
        sentence = ""
        if error is not None:
            resume = f"`pixlate train --resume {quote(str(self.run))}`"
            advice = f"then {resume} goes on after step {self.done}"
            if isinstance(error.__cause__, UnreadableImage):
                sentence = f'{error.__cause__}; fix the file, or write damaged = "skip" into {self.run / OPTIONS}, {advice}'
            else:
                sentence = f"{error}; {advice}"
        sentence = next(filter(None, everyones(self.fabric, sentence)))
        if self.fabric.is_global_zero:
            raise PixlateError(sentence) from error

    def _validate(self) -> tuple[Validation, UnreadableImage | None]:
        """Return what the first process measures, for which the others wait, or why a held-out image cannot be read."""
        validation, error = Validation(), None
        if self.fabric.is_global_zero:
            try:
                validation = validate(self.trainer.average.module, self.trainer.data, self.fabric.device, self.metrics)
            except UnreadableImage as unreadable:
                error = unreadable
        figures, failed = self.fabric.broadcast((validation.figures, error is not None))
        if failed and error is None:
            error = UnreadableImage("a held-out image cannot be read")
        return replace(validation, figures=figures), error

    def _better(self, validation: Validation) -> bool:
        """Return whether this is the best validation so far; the schedule receives it, too."""
        value = validation.figures.get(self.metric)
        if value is None:
            return False
        best = self.best["value"] if self.best else None
        higher = self.directions[self.metric]
        better = math.isfinite(value) and (best is None or (value > best if higher else value < best))
        self.best = {"step": self.done, "metric": self.metric, "value": value, "higher_is_better": higher} if better else self.best
        self.trainer.schedule.validated(better)
        return better

    def _save(self, better: bool) -> None:
        """Write a checkpoint, mark it where it is the best, and remove old ones."""
        pools = gathered(self.fabric, self.trainer.pool.state())
        if self.fabric.is_global_zero:
            state: dict[str, Any] = {"options": self.options.state(), "names": self.names, "best": self.best}
            if self.trainer.stage_steps != self.trainer.steps:
                state["first_steps"] = self.trainer.stage_steps
            checkpoint = self.trainer.checkpoint(self.done, pools, state)
            folder = self.run / CHECKPOINTS
            checkpoint.save(folder)
            if better and self.best is not None:
                mark_best(folder, self.best)
            keep_newest(folder, self.options.training.keep)
        self.fabric.barrier()

    def _agreed(self, *flags: bool) -> list[bool]:
        """Return of each flag whether any process has it."""
        if self.fabric.world_size == 1:  # without waiting for the device
            return list(flags)
        shares = self._mean({str(index): torch.tensor(float(flag), device=self.fabric.device) for index, flag in enumerate(flags)})
        return [share > 0 for share in shares.values()]

    def _mean(self, losses: Losses) -> dict[str, float]:
        """Return the losses as numbers, means over all processes."""
        if not losses:
            return {}
        means: Any = self.fabric.all_reduce(torch.stack([value.to(self.fabric.device).float().reshape(()) for value in losses.values()]), reduce_op="mean")
        return dict(zip(losses, means.tolist(), strict=True))
