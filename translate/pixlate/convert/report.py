"""The result of each file and of all of them, the report that lists them, and a before/after sheet of the first, to judge a conversion by eye."""

import errno
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Literal, Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pixlate.errors import PixlateError
from pixlate.images import Picture, Pixels
from pixlate.images.picture import to_8_bits
from pixlate.places.paths import make_folders
from pixlate.system.text import printable

Status = Literal["converted", "finished before", "skipped", "failed"]
REMEMBERED = 50
"""Most failures, and most notes, in the summary; the report has all."""
CELL = 360
MARGIN = 12
LABEL = 22
ROWS = 4
Row = tuple[Image.Image, Image.Image, str]
"""Source, output and label of a sheet."""


@dataclass(frozen=True)
class Result:
    """The result of one file."""

    source: str
    output: str
    status: Status
    reason: str = ""
    """Why it failed, was skipped or needs no work."""
    notes: tuple[str, ...] = ()
    """What the user should know of the output."""
    source_size: tuple[int, int] | None = None
    """Width and height of the source, in pixels."""
    output_size: tuple[int, int] | None = None
    """Width and height of the output, in pixels."""


@dataclass
class Summary:
    """The results of all files."""

    planned: int = 0
    converted: int = 0
    finished_before: int = 0
    skipped: int = 0
    failed: int = 0
    not_reached: int = 0
    """Files left when the conversion stopped early."""
    ignored: dict[str, int] = field(default_factory=dict)
    """How many files were left out, by suffix, ``hidden`` or ``outputs of an earlier run``."""
    noted: int = 0
    """Outputs with a note in the report."""
    stopped: str = ""
    """Why it stopped early, if it did."""
    unwritten: str = ""
    """Why the report or the sheet could not be written, if so."""
    interrupted: bool = False
    seconds: float = 0.0
    device: str = ""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """The first failed files with their reasons; the report has all of them."""
    notes: dict[str, int] = field(default_factory=dict)
    """How many outputs have each note."""
    first_noted: dict[str, str] = field(default_factory=dict)
    """The first source of each note."""
    sheet: str = ""
    """The before/after sheet, where one was written."""

    @property
    def exit_code(self) -> int:
        """0 all converted, 1 some failed, 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.failed or self.not_reached or self.unwritten else 0


class Report:
    """Counts results and, where it has a path, writes each to that JSON file at once, so that nothing is kept in memory."""

    def __init__(self, path: Path | None, planned: int, ignored: Mapping[str, int]) -> None:
        self.summary = Summary(planned=planned, not_reached=planned, ignored={kind: count for kind, count in ignored.items() if count})
        self._draft = None if path is None else Draft(path, "report")
        self._write('{"files": [')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._draft is not None and kind is not None and issubclass(kind, PixlateError):  # refused before anything was converted: an earlier report stays
            self._draft.drop()
            return
        self._write(f'\n],\n"summary": {json.dumps(asdict(self.summary))}}}\n', last=True)

    def _write(self, text: str, last: bool = False) -> None:
        """Write to the report; if that fails, drop it and continue, since the images matter more."""
        if self._draft is None:
            return
        try:
            self._draft.file.write(text)
            if last:
                self._draft.keep()
        except OSError as error:
            self.summary.unwritten = self._draft.failed(error)
            self._draft = None

    def add(self, result: Result) -> None:
        """Record one result."""
        summary = self.summary
        self._write(("" if summary.not_reached == summary.planned else ",") + "\n" + json.dumps(asdict(result)))
        count = result.status.replace(" ", "_")  # a field of the summary
        setattr(summary, count, getattr(summary, count) + 1)
        summary.not_reached -= 1
        if result.status == "failed" and len(summary.failures) < REMEMBERED:
            summary.failures.append((result.source, result.reason))
        summary.noted += bool(result.notes)
        for note in result.notes:
            if note in summary.notes or len(summary.notes) < REMEMBERED:
                summary.notes[note] = summary.notes.get(note, 0) + 1
                summary.first_noted.setdefault(note, result.source)


class Draft:
    """A report or sheet being written: ``.NAME.part``, opened early, so that what cannot be written is refused before anything is converted."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.part, self.what = path, path.with_name(f".{path.name}.part"), what
        if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
            raise PixlateError(f"expected --{what} to name a file, but {path} is a link, device or pipe, which would be replaced; name another")
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            make_folders(path.parent)
            self.file: IO[str] = self.part.open("w", encoding="utf-8")
        except OSError as error:
            raise PixlateError(f"the {what} {path} cannot be written ({error.strerror}); choose another path for --{what}") from error

    def keep(self) -> None:
        """Give it its name."""
        self.file.close()
        self.part.replace(self.path)

    def failed(self, error: OSError) -> str:
        """Remove it; return a sentence that says why it could not be written."""
        self.drop()
        return f"the {self.what} {self.path} could not be written ({error.strerror or error})"

    def drop(self) -> None:
        """Remove it."""
        for undo in (self.file.close, self.part.unlink):
            with suppress(OSError):
                undo()


class Sheet:
    """Collects rows of source and output, and draws them.

    Enlarged outputs are shown by their middle, pixel for pixel, beside the same part of the source enlarged bicubically; outputs of the
    source's size are shown whole. The name of the model is shown above them.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.model = model
        self.draft = Draft(path, "sheet")
        self.draft.file.close()
        self.rows: dict[str, Row] = {}
        self._lock = Lock()

    def add(self, name: str, source: Picture, output: Picture) -> None:
        """Add one result while there is room; callable from any thread."""
        if len(self.rows) >= ROWS:
            return
        height, width = source.pixels.shape[:2]
        scale = output.pixels.shape[1] // width
        label = f"{printable(name)}: source {width}x{height}{', bicubic' if scale > 1 else ''}"
        if scale > 1:
            top, left = ((side - min(side, CELL // scale)) // 2 for side in (height, width))
            bottom, right = top + min(height, CELL // scale), left + min(width, CELL // scale)
            after = _rgb(output.pixels[top * scale : bottom * scale, left * scale : right * scale])
            before = _rgb(source.pixels[top:bottom, left:right]).resize(after.size, Image.Resampling.BICUBIC)
        else:
            before, after = _rgb(source.pixels), _rgb(output.pixels)
            for image in (before, after):
                image.thumbnail((CELL, CELL))
        self.keep(name, (before, after, label))

    def keep(self, name: str, row: Row) -> None:
        """Add a row that was made elsewhere while there is room."""
        with self._lock:
            if len(self.rows) < ROWS:
                self.rows[name] = row

    def save(self, summary: Summary) -> None:
        """Draw the sheet, rows in the order of their names, and record it in the summary; if nothing was converted no sheet is written."""
        try:
            if self.rows:
                self._drawn().save(self.draft.part, "PNG")
                self.draft.keep()
                summary.sheet = str(self.draft.path)
        except OSError as error:
            summary.unwritten = self.draft.failed(error)

    def _drawn(self) -> Image.Image:
        height = MARGIN + sum(row[0].height + LABEL + MARGIN for row in self.rows.values())
        sheet = Image.new("RGB", (3 * MARGIN + 2 * CELL, height), "white")
        draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(14), MARGIN
        for name in sorted(self.rows):
            before, after, label = self.rows[name]
            for column, (image, text) in enumerate(((before, label), (after, printable(self.model)))):
                left = MARGIN + column * (CELL + MARGIN)
                shown = text
                while draw.textlength(shown, font) > CELL:  # the end of a path is the most informative
                    shown = f"...{shown.removeprefix('...')[max(1, len(shown) // 20) :]}"
                draw.text((left, top), shown, "black", font)
                sheet.paste(image, (left, top + LABEL))
            top += before.height + LABEL + MARGIN
        return sheet


def _rgb(pixels: Pixels) -> Image.Image:
    """Return pixels as 8-bit RGB."""
    pixels = to_8_bits(pixels if pixels.shape[2] in (1, 3) else pixels[:, :, : 3 if pixels.shape[2] > 3 else 1])
    return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))


def reason_of(error: BaseException) -> str:
    """Return one sentence for a failure."""
    if isinstance(error, PixlateError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the picture or its conversion does not fit in memory; close other programs, use --threads 1 or make it smaller first"
    if isinstance(error, OSError) and error.strerror:
        return f"the output cannot be written ({error.strerror}); check space and permissions"
    return f"unexpected {type(error).__name__}: {error}; please report it with the file"
