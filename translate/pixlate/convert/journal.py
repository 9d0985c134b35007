"""Remembers finished files in the output folder, so that the same command continues where a crash left it.

A line is written before the file gets its name: a file that stands under its name with the recorded content is finished, whatever happened
in between. At a clean end the lines are sorted, so two conversions of one folder leave the same tree.
"""

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Literal, Self

from pixlate.convert.plan import HOME, Job
from pixlate.errors import PixlateError

State = Literal["new", "finished", "stale", "foreign", "other settings"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished file."""

    name: str
    """Path of the output, relative to the output folder."""
    size: int
    """Bytes of the output."""
    sha256: str
    """Digest of the output."""
    source_size: int
    """Bytes of the source."""
    source_mtime: int
    """When the source was last changed, in nanoseconds."""
    settings: str
    """Digest of the model and of the options that shape the output."""


class Records:
    """What the journal of an output folder says, read only.

    Args:
        root: The output folder, which need not exist.
        settings: Digest of the model and of the options that shape the output.
    """

    def __init__(self, root: Path, settings: str) -> None:
        self.root = root
        self.settings = settings
        self.path = root / HOME / "journal.jsonl"
        self.entries = {entry.name: entry for entry in self.read()}

    def read(self) -> list[Entry]:
        """Return the entries, the newest of a name last; a line cut short by a crash is passed over."""
        entries: list[Entry] = []
        try:
            with self.path.open(encoding="utf-8") as lines:
                for line in lines:
                    with suppress(ValueError, TypeError):
                        entries.append(Entry(**json.loads(line)))
        except FileNotFoundError:
            pass
        return entries

    def state(self, job: Job) -> State:
        """Tell what stands under the output's name.

        ``new``: nothing. ``finished``: our output of this source and these settings. ``stale``: our output, and the source has changed since.
        ``other settings``: our output by another model or option. ``foreign``: a file we did not write, or that was changed since.
        """
        target = self.root / job.name
        if not os.path.lexists(target):
            return "new"
        entry = self.entries.get(job.name)
        if entry is None or not target.is_file() or target.stat().st_size != entry.size or digest_file(target) != entry.sha256:
            return "foreign"
        if entry.settings != self.settings:
            return "other settings"
        source = Path(job.source).stat()
        return "finished" if (source.st_size, source.st_mtime_ns) == (entry.source_size, entry.source_mtime) else "stale"


class Journal(Records):
    """The journal of an output folder, held by one conversion at a time.

    Raises:
        PixlateError: The folder cannot be written, or another conversion is writing into it.
    """

    def __init__(self, root: Path, settings: str) -> None:
        self.parts = root / HOME / "parts"
        self._lock = Lock()
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = (root / HOME / "journal.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise PixlateError(f"the output folder {root} cannot be written ({error.strerror}); choose another or change its permissions") from error
        try:
            _lock_file(self._file)
        except OSError as error:
            self._file.close()
            raise PixlateError(f"another conversion is writing into {root}; wait for it or choose another folder") from error
        for part in self.parts.iterdir():  # left by a process that was killed
            part.unlink()
        super().__init__(root, settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file, suppress(OSError):  # on a full or vanished disk the lines as they were written serve as well
            self._sort()
            self.parts.rmdir()

    def finish(self, job: Job, part: Path, source: os.stat_result) -> None:
        """Record the written ``part`` and give it its name.

        Raises:
            OSError: The disk is full or the folder cannot be written; the part is left to the caller.
        """
        target = self.root / job.name
        entry = Entry(job.name, part.stat().st_size, digest_file(part), source.st_size, source.st_mtime_ns, self.settings)
        with self._lock:
            self._file.write(json.dumps(asdict(entry)) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)

    def _sort(self) -> None:
        """Write one line a name, sorted, under a temporary name, and put it in the journal's place."""
        newest = {entry.name: entry for entry in self.read()}
        part = self.parts / "journal"
        with part.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(newest[name])) + "\n" for name in sorted(newest))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lock_file(file: IO[str]) -> None:
    """Hold a file for this process until it ends, however it ends."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
