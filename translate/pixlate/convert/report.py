"""What became of each file, and of all of them."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal, Self

from pixlate.errors import PixlateError

Status = Literal["converted", "finished before", "skipped", "failed"]

REMEMBERED_FAILURES = 50


@dataclass(frozen=True)
class Result:
    """What became of one file."""

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
    """What became of all files."""

    planned: int = 0
    converted: int = 0
    finished_before: int = 0
    skipped: int = 0
    failed: int = 0
    not_reached: int = 0
    """Files left when the conversion stopped early."""
    ignored: int = 0
    """Files in the source folder that are no images by name, or hidden."""
    noted: int = 0
    """Outputs with a note in the report."""
    stopped: str = ""
    """Why it stopped early, if it did."""
    interrupted: bool = False
    seconds: float = 0.0
    device: str = ""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """The first failed files with their reasons; the report has all of them."""
    notes: dict[str, int] = field(default_factory=dict)
    """How many outputs have each note."""

    @property
    def exit_code(self) -> int:
        """0 all converted, 1 some failed, 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.failed or self.not_reached else 0


class Report:
    """Counts results and writes each to a JSON file at once, so that nothing is kept in memory.

    Args:
        path: The file, or None to only count.

    Raises:
        PixlateError: The file cannot be written.
    """

    def __init__(self, path: Path | None, planned: int, ignored: int) -> None:
        self.summary = Summary(planned=planned, ignored=ignored)
        self._path = path
        self._part = path.with_name(f".{path.name}.part") if path else None
        self._file: IO[str] | None = None
        self._counts: Counter[Status] = Counter()
        if self._part is not None:
            try:
                self._part.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._part.open("w", encoding="utf-8")
                self._file.write('{"files": [')
            except OSError as error:
                raise PixlateError(f"the report {path} cannot be written ({error.strerror}); choose another path for --report") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is None or self._part is None or self._path is None:
            return
        try:
            with self._file:
                self._file.write(f'\n],\n"summary": {json.dumps(asdict(self.summary))}}}\n')
            self._part.replace(self._path)
        except OSError as error:
            self._part.unlink(missing_ok=True)
            self.summary.stopped = self.summary.stopped or f"the report {self._path} could not be written ({error.strerror})"

    def add(self, result: Result) -> None:
        """Take in one result."""
        summary = self.summary
        if self._file is not None:
            try:
                self._file.write(("" if not self._counts.total() else ",") + "\n" + json.dumps(asdict(result)))
            except OSError as error:
                summary.stopped = f"the report {self._path} could not be written ({error.strerror})"
                self._file = None
        self._counts[result.status] += 1
        summary.converted, summary.finished_before = self._counts["converted"], self._counts["finished before"]
        summary.skipped, summary.failed = self._counts["skipped"], self._counts["failed"]
        summary.not_reached = summary.planned - self._counts.total()
        if result.status == "failed" and len(summary.failures) < REMEMBERED_FAILURES:
            summary.failures.append((result.source, result.reason))
        if result.notes:
            summary.noted += 1
            for note in result.notes:
                if note in summary.notes or len(summary.notes) < REMEMBERED_FAILURES:
                    summary.notes[note] = summary.notes.get(note, 0) + 1
