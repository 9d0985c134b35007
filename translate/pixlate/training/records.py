"""What a run folder shows of itself while it is trained: log, TensorBoard, sample sheets, report."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from pixlate.errors import PixlateError
from pixlate.training.board import Board
from pixlate.training.report import write_report
from pixlate.training.run import SAMPLES, Log
from pixlate.training.sheets import write_sheet
from pixlate.training.validation import Validation


class Records:
    """Writes everything that people look at into a run folder.

    Args:
        run: The run folder.
        done: Steps made before; what was recorded of later ones is taken out.
        warn: Called with each warning.
    """

    def __init__(self, run: Path, done: int, warn: Callable[[str], None]) -> None:
        self.run, self._warn = run, warn
        self._log, self._board = Log(run, done), Board(run, done)

    def losses(self, step: int, **values: float) -> None:
        """Note the losses of a step, its learning rate and the speed."""
        self._log.write("losses", step, **values)
        self._board.scalars(step, values)

    def validation(self, step: int, validation: Validation) -> None:
        """Note what a validation gave, draw its sheet and write the report."""
        if validation.figures:
            self._log.write("validation", step, **{name: round(value, 4) for name, value in validation.figures.items()})
            self._board.scalars(step, validation.figures)
        if validation.samples:
            sheet = self.run / SAMPLES / f"step-{step:08d}.png"
            sheet.parent.mkdir(exist_ok=True)
            write_sheet(sheet, validation.samples)
            self._board.sheet(step, sheet)
        write_report(self.run)

    def warnings(self, step: int, messages: Sequence[str]) -> None:
        """Note warnings, and pass them on."""
        for message in messages:
            self._log.write("warning", step, message=message)
            self._warn(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._log.__exit__()
        self._board.close()
        with contextlib.suppress(*([] if kind is None else [OSError, PixlateError])):  # what ended the run says more than a report that fails, too
            write_report(self.run)
