"""What a run folder shows of itself while it is trained: log, TensorBoard, sample sheets, report."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from pixlate.errors import PixlateError
from pixlate.training.report import write_report
from pixlate.training.run import SAMPLES, Log
from pixlate.training.sheets import write_sheet
from pixlate.training.validation import Validation

TENSORBOARD = "tensorboard"
FLUSH_EVERY = 10
"""Seconds after which events are on disk at the latest, once the next is written: those who watch do not wait, and a killed run loses little."""


class Recorder:
    """Writes everything that people look at into a run folder; ``tensorboard --logdir RUN`` shows its events.

    Args:
        run: The run folder.
        done: Steps made before; what was recorded of later ones is taken out.
        warn: Called with each warning.
    """

    def __init__(self, run: Path, done: int, warn: Callable[[str], None]) -> None:
        self.run, self._warn = run, warn
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self._log = Log(run, done)
        self._board: Any = SummaryWriter(run / TENSORBOARD, purge_step=done + 1 if done else None, flush_secs=FLUSH_EVERY)

    def losses(self, step: int, **values: float) -> None:
        """Note the losses of a step, its learning rate and the speed."""
        self._log.write("losses", step, **values)
        self._draw(step, values)

    def validation(self, step: int, validation: Validation) -> None:
        """Note what a validation gave, draw its sheet and write the report."""
        if validation.figures:
            self._log.write("validation", step, **{name: round(value, 4) for name, value in validation.figures.items()})
            self._draw(step, validation.figures)
        if validation.samples:
            sheet = self.run / SAMPLES / f"step-{step:08d}.png"
            write_sheet(sheet, validation.samples)
            with Image.open(sheet) as image:
                self._board.add_image("samples", np.asarray(image), step, dataformats="HWC")
            self._board.flush()
        write_report(self.run)

    def warnings(self, step: int, messages: Sequence[str]) -> None:
        """Note warnings, and pass them on."""
        for message in messages:
            self._log.write("warning", step, message=message)
            self._warn(message)

    def _draw(self, step: int, values: Mapping[str, float]) -> None:
        """Show numbers in TensorBoard, which cannot draw those that are not finite."""
        for name, value in values.items():
            if isfinite(value):
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._log.close()
        self._board.close()
        with contextlib.suppress(*([] if kind is None else [OSError, PixlateError])):  # what ended the run says more than a report that fails, too
            write_report(self.run)
