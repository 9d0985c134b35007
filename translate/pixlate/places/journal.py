"""Remembers finished files in the output folder, so that the same command continues where a crash left it.

A line is written before the file gets its name: a file that stands under its name with the recorded content is finished, whatever happened
in between. At a clean end the lines are sorted, so two conversions of one folder leave the same tree.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Literal, Protocol, Self

from pixlate.errors import PixlateError
from pixlate.places.job import HOME, Job, Status
from pixlate.places.local import identity, make_folders
from pixlate.system import locking

State = Literal["new", "finished", "stale", "foreign", "other settings"]

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EDEADLK}


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
    md5: str = ""
    """Second digest, which object stores tell without sending the file; only of outputs at a URL."""

    def line(self) -> bytes:
        """Return it as the journal has it."""
        fields = asdict(self)
        return json.dumps(fields if self.md5 else {name: value for name, value in fields.items() if name != "md5"}).encode() + b"\n"


class Home(Protocol):
    """Where outputs get their names, as the pipeline sees it."""

    parts: Path
    """Folder of this machine for files being written."""

    def exists(self, name: str) -> bool:
        """Tell whether anything stands under an output's name."""
        ...

    def state(self, job: Job, source: Status) -> State:
        """Tell what stands there; see :meth:`Records.state`."""
        ...

    def finish(self, job: Job, part: Path, source: Status) -> None:
        """Record a written file and give it its name."""
        ...


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
        self._entries: dict[str, list[Entry]] = {}
        for entry in self._read():
            self._entries.setdefault(entry.name, []).append(entry)

    def exists(self, name: str) -> bool:
        """Tell whether anything stands under an output's name, a broken link included."""
        return os.path.lexists(self.root / name)

    def knows(self, name: str) -> bool:
        """Tell whether an output of that name is recorded."""
        return name in self._entries

    def state(self, job: Job, source: Status) -> State:
        """Tell what stands under the output's name.

        ``new``: nothing. ``finished``: our output of this source and these settings. ``stale``: our output, and the source has changed since.
        ``other settings``: our output by another model or option. ``foreign``: a file we did not write, or that was changed since.
        """
        target = self.root / job.name
        if not self.exists(job.name):
            return "new"
        entry = self._matching(job.name, target)
        if entry is None:
            return "foreign"
        self._entries[job.name] = [entry]
        if entry.settings != self.settings:
            return "other settings"
        return "finished" if (source.st_size, source.st_mtime_ns) == (entry.source_size, entry.source_mtime) else "stale"

    def _matching(self, name: str, target: Path) -> Entry | None:
        """Return the newest entry that tells of the file as it stands; a crash before the rename leaves one that does not."""
        try:
            size = target.stat().st_size if target.is_file() else -1
            entries = [entry for entry in reversed(self._entries.get(name, [])) if entry.size == size]
            digest = digest_file(target) if entries else ""
        except OSError:  # it vanished, or may not be read: not known to be ours
            return None
        return next((entry for entry in entries if entry.sha256 == digest), None)

    def _read(self) -> Iterator[Entry]:
        """Yield the entries, the newest of a name last; a line cut short or damaged by a crash is passed over."""
        try:
            with self.path.open(encoding="utf-8", errors="replace") as lines:
                yield from parse(lines)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise PixlateError(f"the journal {self.path} cannot be read ({error.strerror}); check its permissions") from error


class Journal(Records):
    """The journal of an output folder, held by one conversion at a time.

    Raises:
        PixlateError: The folder cannot be written, or another conversion is writing into it.
    """

    def __init__(self, root: Path, settings: str) -> None:
        home = root / HOME
        self.parts = home / "parts"
        self._lock = Lock()
        try:
            self._file = _held(home / "journal.jsonl")
        except OSError as error:
            raise _unwritable(root, error) from error
        try:
            self.parts.mkdir(exist_ok=True)
            for part in (*self.parts.iterdir(), home / "journal.part"):  # left by a process that was killed
                part.unlink(missing_ok=True)
            end = self._file.seek(0, os.SEEK_END)
            self._file.seek(max(0, end - 1))
            self._torn = self._file.read(1) not in (b"", b"\n")
            super().__init__(root, settings)
        except OSError as error:
            self._file.close()
            raise _unwritable(root, error) from error
        except PixlateError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file, suppress(OSError):  # on a full or vanished disk the lines as they were written serve as well
            self._sort()

    def finish(self, job: Job, part: Path, source: Status) -> None:
        """Record the written ``part`` and give it its name.

        Raises:
            OSError: The disk is full or the folder cannot be written; the part is left to the caller.
        """
        target = self.root / job.name
        entry = Entry(job.name, part.stat().st_size, digest_file(part), source.st_size, source.st_mtime_ns, self.settings)
        make_folders(target.parent)
        with self._lock:
            self._append(entry.line())
        self._entries[job.name] = [*self._entries.get(job.name, []), entry]
        part.replace(target)
        self._entries[job.name] = [entry]

    def _append(self, line: bytes) -> None:
        """Write a line and see it onto the disk; where an earlier one was cut short, it begins anew."""
        line = b"\n" + line if self._torn else line
        self._torn = True
        written = self._file.write(line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._file.fileno())
        self._torn = False

    def _sort(self) -> None:
        """Put the lines in the order of their names: written under a temporary name, which then takes the journal's place.

        That is the last step: the lock is on the file that is replaced, and whoever opens the new one may begin.
        """
        with suppress(OSError):
            self.parts.rmdir()
        lines = b"".join(entry.line() for name in sorted(self._entries) for entry in self._entries[name])
        if lines == self.path.read_bytes():
            return
        part = self.path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def parse(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the entries of a journal; a line cut short or damaged by a crash is passed over."""
    for line in lines:
        with suppress(ValueError, TypeError):
            entry = Entry(**json.loads(line))
            if isinstance(entry.name, str):
                yield entry


def _unwritable(root: Path, error: OSError) -> PixlateError:
    if error.errno in _HELD:
        return PixlateError(f"another conversion is writing into {root}; wait for it or choose another folder")
    return PixlateError(f"the output folder {root} cannot be written ({error.strerror}); choose another or change its permissions")


def _held(path: Path) -> FileIO:
    """Open a journal and hold it; raises OSError, one of ``_HELD`` where another process holds it."""
    while True:
        make_folders(path.parent)
        file = FileIO(path, "a+")
        try:
            locking.lock_file(file)
            if identity(path) == (os.fstat(file.fileno()).st_dev, os.fstat(file.fileno()).st_ino):
                return file
        except OSError:
            file.close()
            raise
        file.close()  # another conversion came to its end meanwhile and has put the sorted journal in the place of this one


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
