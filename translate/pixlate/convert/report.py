"""The result of each file and of all of them, and the report that lists them."""

import errno
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Literal, Self

from pixlate.errors import PixlateError
from pixlate.inference.progress import Progress
from pixlate.places.paths import make_folders
from pixlate.system.folder import open_own

Status = Literal["converted", "finished before", "skipped", "failed"]
REMEMBERED = 50
"""Most failures, and most notes, in the summary; the report has all."""


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
    arithmetic: str = ""
    """What it was computed in, such as ``float32``."""
    frames: int = 1
    """How many pictures the output holds."""
    earlier: int = 0
    """How many of them an earlier run had converted."""


_FIELDS = tuple(item.name for item in fields(Result))


@dataclass
class Summary:
    """The results of all files."""

    planned: int = 0
    converted: int = 0
    frames: int = 0
    """Pictures that were converted: of a film those of this run, of a single picture one."""
    finished_before: int = 0
    skipped: int = 0
    failed: int = 0
    not_reached: int = 0
    """Files left when the conversion stopped early."""
    ignored: dict[str, int] = field(default_factory=dict)
    """How many files were left out, by suffix, ``hidden``, or why."""
    noted: int = 0
    """Outputs with a note in the report."""
    stopped: str = ""
    """Why it stopped early, if it did."""
    unwritten: str = ""
    """Why the report or the sheet could not be written, if so."""
    interrupted: bool = False
    seconds: float = 0.0
    device: str = ""
    runtime: str = ""
    """What ran the model, or ``auto`` where there was nothing to choose from."""
    arithmetic: str = ""
    """What was asked of it: ``auto`` for that of the file; the arithmetic of each file is in the report."""
    choice: str = ""
    """What runs the model, and what was measured of it and of others or where the choice is from, where the user left runtime or arithmetic open."""
    model: str = ""
    """The ready model with its version, such as ``upscale-x4@2``, or the path of a file."""
    strength: str = ""
    """Where the model was not used as it is: ``at strength 0.5``, or what it was blended with."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """The first failed files with their reasons; the report has all of them."""
    notes: dict[str, int] = field(default_factory=dict)
    """How many outputs have each note."""
    first_noted: dict[str, str] = field(default_factory=dict)
    """The first source of each note."""
    cautions: list[str] = field(default_factory=list)
    """What the user should know of the whole conversion, such as an output folder without locks."""
    sheet: str = ""
    """The before/after sheet, where one was written."""

    @property
    def exit_code(self) -> int:
        """0 all converted, 1 some failed, 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.failed or self.not_reached or self.unwritten or self.stopped else 0


class Report:
    """Counts results and, where it has a path, writes each to that JSON file at once, so that nothing is kept in memory."""

    def __init__(self, path: Path | None, planned: int, ignored: Mapping[str, int]) -> None:
        self.summary = Summary(planned=planned, not_reached=planned, ignored={kind: count for kind, count in ignored.items() if count})
        self.progress = Progress(planned)
        self.out = ""
        """The output folder, as it is printed."""
        self.last: Result | None = None
        """The newest result."""
        self.watching = ""
        """The folders that are watched, while nothing is to be done."""
        self.interrupt: Callable[[], None] = lambda: None
        """Ends the conversion as Ctrl-C does, from any thread: what has begun is finished, nothing new is started; at the second call at once."""
        self._draft = None if path is None else Draft(path, "report")
        self._listed = False
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
            self._draft.file.write(text.encode())
            if last:
                self._draft.keep()
        except OSError as error:
            self.summary.unwritten = self._draft.failed(error)
            self._draft = None

    def add(self, result: Result) -> None:
        """Record one result."""
        summary, self.last = self.summary, result
        self.progress.finish(result.source, result.source_size if result.status == "converted" else None)
        self._write(("," if self._listed else "") + "\n" + json.dumps({name: getattr(result, name) for name in _FIELDS}))
        self._listed = True
        match result.status:
            case "converted":
                summary.converted += 1
                summary.frames += result.frames - result.earlier
            case "finished before":
                summary.finished_before += 1
            case "skipped":
                summary.skipped += 1
            case "failed":
                summary.failed += 1
        summary.not_reached -= 1
        if result.status == "failed" and len(summary.failures) < REMEMBERED:
            summary.failures.append((result.source, result.reason))
        summary.noted += bool(result.notes)
        for note in result.notes:
            if note in summary.notes or len(summary.notes) < REMEMBERED:
                summary.notes[note] = summary.notes.get(note, 0) + 1
                summary.first_noted.setdefault(note, result.source)

    def expect(self, count: int) -> None:
        """Take in that further images have come, where a folder is watched."""
        self.summary.planned += count
        self.summary.not_reached += count
        self.progress.expect(count)
        self.last = None

    def forget(self, source: str) -> None:
        """Take back that an image has failed, which is tried again."""
        self.summary.planned -= 1
        self.summary.failed -= 1
        self.summary.failures = [failure for failure in self.summary.failures if failure[0] != source]


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
            self.file: IO[bytes] = os.fdopen(open_own(self.part), "wb")
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


def reason_of(error: BaseException) -> str:
    """Return one sentence for a failure."""
    if isinstance(error, PixlateError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the picture or its conversion does not fit in memory; close other programs, use --threads 1 or make it smaller first"
    if isinstance(error, OSError) and error.strerror:
        return f"the output cannot be written ({error.strerror}); check space and permissions"
    return f"unexpected {type(error).__name__}: {error}; please report it with the file"
