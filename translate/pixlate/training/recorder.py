"""What a run folder shows of itself while it is trained: log, TensorBoard, sample sheets, report."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pixlate.errors import PixlateError
from pixlate.images import Pixels
from pixlate.plugin.metric import Sample
from pixlate.runs.samples import is_view, sheet_path, thin_out
from pixlate.runs.state import State, Status
from pixlate.system.folder import refuse_link, replacing
from pixlate.training.report import write_report
from pixlate.training.run import Log
from pixlate.training.validation import Validation

TENSORBOARD = "tensorboard"
FLUSH_EVERY = 10
"""Seconds after which events are on disk at the latest, once the next is written: those who watch do not wait, and a killed run loses little."""
WIDEST = 1600
"""Largest width of a sheet, in pixels."""
SMALLEST = 160
"""Images whose longer side is at most half of this are enlarged by a whole number, so that their pixels can be seen."""
MARGIN = 12
CAPTION = 32


class Recorder:
    """Writes everything that people look at into a run folder; ``tensorboard --logdir RUN`` shows its events.

    What was recorded of steps after ``done``, which were made before, is taken out; ``warn`` is called with each warning.
    """

    def __init__(self, run: Path, done: int, warn: Callable[[str], None]) -> None:
        self.run, self._warn, self._done = run, warn, done
        self._status: Status | None = None
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        refuse_link(run / TENSORBOARD)
        self._log = Log(run, done)
        self._board: Any = SummaryWriter(run / TENSORBOARD, purge_step=done + 1 if done else None, flush_secs=FLUSH_EVERY)

    def begun(self, steps: int, device: str, meanings: Mapping[str, str], sampler: bool = False) -> None:
        """Note that training begins or goes on: the length of the run, where it runs, a sentence for each number of the log, and whether its model takes no image."""
        self._status = Status("running", steps, device=device, meanings=dict(meanings), sampler=sampler)
        self._status.save(self.run)

    def losses(self, step: int, **values: float) -> None:
        """Note the losses of a step, its learning rate and the speed."""
        self._log.write("losses", step, **values)
        self._done = step
        self._draw(step, values)

    def validation(self, step: int, validation: Validation) -> None:
        """Note what a validation gave, draw its sheet and write the report."""
        if validation.figures:
            self._log.write("validation", step, **{name: round(value, 4) for name, value in validation.figures.items()})
            self._draw(step, validation.figures)
        if validation.samples:
            sheet = sheet_path(self.run, step)
            write_sheet(sheet, validation.samples)
            self._show("samples", step, sheet)
            for view, rows in validation.views.items():
                if not is_view(view):
                    raise PixlateError(f"expected views whose names are small letters, digits and hyphens, got {view!r}; rename it in the method's plugin")
                sheet = sheet_path(self.run, step, view)
                write_view(sheet, rows)
                self._show(f"samples/{view}", step, sheet)
                thin_out(self.run, view)
            self._board.flush()
        write_report(self.run)

    def costs(self, step: int, costs: Mapping[str, Mapping[str, float]]) -> None:
        """Note what models cost, for the table of the report, if anything."""
        if costs:
            self._log.write("costs", step, **costs)

    def warnings(self, step: int, messages: Sequence[str]) -> None:
        """Note warnings, and pass them on."""
        for message in messages:
            self._log.write("warning", step, message=message)
            self._warn(message)

    def _show(self, name: str, step: int, sheet: Path) -> None:
        with Image.open(sheet) as image:
            self._board.add_image(name, np.asarray(image), step, dataformats="HWC")

    def _draw(self, step: int, values: Mapping[str, float]) -> None:
        """Show numbers in TensorBoard, which cannot draw those that are not finite."""
        for name, value in values.items():
            if isfinite(value):
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._log.close()
        self._board.close()
        with contextlib.suppress(*([] if kind is None else [OSError, PixlateError])):  # what ended the run says more than a report that fails, too
            if self._status:
                state: State = "failed" if error else "finished" if self._done >= self._status.steps else "stopped"
                replace(self._status, state=state, message=(str(error) or type(error).__name__) if error else "").save(self.run)
            write_report(self.run)


def write_sheet(path: Path, samples: Sequence[Sample]) -> None:
    """Draw one row an image, source | output | target, into a PNG file that is written atomically, and make its folder.

    A model that takes no image has no source. One of another size than its output is drawn at the output's, pixels repeated; a target of another size, which shows another scene, fits into it.
    Of two channels the first is shown, of more than three the first three.

    Raises:
        ValueError: There are no samples.
        OSError: The file cannot be written.
    """
    if not samples:
        raise ValueError("expected at least one sample, got none; write no sheet where no images are held out")
    rows = []
    for sample in samples:
        output, target = _rgb(sample.output), _rgb(sample.target)
        shown = [] if sample.source is None else [_rgb(sample.source).resize(output.size, Image.Resampling.NEAREST)]
        rows.append(([*shown, output, target], output.size))
    _write(path, ("source", "output", "target")[-len(rows[0][0]) :], rows, "PNG")


def write_view(path: Path, rows: Sequence[Mapping[str, Pixels]]) -> None:
    """Draw one row an image, its pictures under their captions, into a JPEG file that is written atomically, and make its folder.

    Pictures smaller than the largest of a row fit into its size.

    Raises:
        PixlateError: The rows have other captions than one another, or none.
        OSError: The file cannot be written.
    """
    captions = tuple(rows[0])
    if not captions or any(tuple(row) != captions for row in rows):
        raise PixlateError(f"expected pictures of the same captions in each row of a view, got {[list(row) for row in rows]}; correct the method's plugin")
    pictures = [[_rgb(pixels) for pixels in row.values()] for row in rows]
    _write(path, captions, [(row, max((image.size for image in row), key=lambda size: size[0] * size[1])) for row in pictures], "JPEG")


def _write(path: Path, captions: Sequence[str], drawn: Sequence[tuple[list[Image.Image], tuple[int, int]]], kind: str) -> None:
    """Write a sheet of rows of images, each with the size in pixels that those of the row have or fit into."""
    cell = (WIDEST - MARGIN) // len(captions) - MARGIN
    rows = [_row(images, size, cell) for images, size in drawn]
    column = max(image.width for row in rows for image in row)
    height = CAPTION + MARGIN + sum(row[0].height + MARGIN for row in rows)
    sheet = Image.new("RGB", (MARGIN + len(captions) * (column + MARGIN), height), "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(22), CAPTION + MARGIN
    for index, caption in enumerate(captions):
        draw.text((MARGIN + index * (column + MARGIN), MARGIN), caption, "black", font)
    for row in rows:
        for index, image in enumerate(row):
            sheet.paste(image, (MARGIN + index * (column + MARGIN), top))
        top += row[0].height + MARGIN
    refuse_link(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        sheet.save(part, kind, **({"quality": 90, "subsampling": 0} if kind == "JPEG" else {}))


def _row(images: Sequence[Image.Image], size: tuple[int, int], cell: int) -> list[Image.Image]:
    """Return images of a size, or that fit into it, so large that they fit into a square of ``cell`` pixels."""
    width, height = size
    longer = max(width, height)
    enlarged = max(1, SMALLEST // longer)
    shown = (width * enlarged, height * enlarged) if longer <= cell else (max(1, width * cell // longer), max(1, height * cell // longer))
    method = Image.Resampling.NEAREST if longer <= cell else Image.Resampling.BOX
    return [image.resize(shown, method) if image.size == size else ImageOps.contain(image, shown) for image in images]


def _rgb(pixels: Pixels) -> Image.Image:
    """Return pixels as 8-bit RGB."""
    shown = pixels[:, :, :3] if pixels.shape[2] >= 3 else np.repeat(pixels[:, :, :1], 3, axis=2)
    return Image.fromarray(np.ascontiguousarray(shown))
