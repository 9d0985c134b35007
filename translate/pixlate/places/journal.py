"""Remembers finished files in the output folder, so that the same command continues where a crash left it.

A line is written before the file gets its name: a file under its name with the recorded content is finished, whatever happened in between.
At a clean end the lines are sorted, so two conversions of one folder leave the same tree.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal, Protocol, Self, runtime_checkable

from pixlate.errors import PixlateError
from pixlate.places.entries import Entries, Entry
from pixlate.places.paths import pair_name
from pixlate.plugin.place import Existing, Failures, Place, Store, Version

State = Literal["new", "finished", "stale", "foreign", "other settings"]


@dataclass(frozen=True, slots=True)
class Job:
    """One image to convert."""

    place: Place
    """The image."""
    name: str
    """Path of the output, relative to the output folder."""
    format: str
    """Format of the output."""
    notes: tuple[str, ...] = ()
    """What the user should know of the choice of name or format."""
    relative: str = ""
    """Path of the image below the folder that was named, with slashes: mostly the very text of ``name``, of which a million take memory once."""

    @property
    def source(self) -> str:
        """Path or URL of the image, as it is printed."""
        return str(self.place)

    @property
    def pair(self) -> str:
        """See :func:`pixlate.places.paths.pair_name`: its mask and its noise are those of this name."""
        return pair_name(PurePosixPath(self.relative)) if self.relative else ""


class Outputs(Protocol):
    """Where outputs get their names, as the pipeline sees it."""

    parts: Path
    """Local folder for files being written."""

    def exists(self, name: str) -> bool:
        """Return whether anything exists under an output's name."""

    def state(self, job: Job, source: Version) -> State:
        """Return what exists there; see :meth:`ReadOnlyJournal.state`."""

    def made_by(self, name: str) -> str:
        """Return what made an output of other settings; see :meth:`ReadOnlyJournal.made_by`."""

    def kept(self, job: Job, source: Version) -> Path | None:
        """Return a folder for what a killed run of this very output goes on with, made at once; None where nothing outlives this process."""

    def finish(self, job: Job, part: Path, source: Version) -> None:
        """Record a written file and give it its name."""


@runtime_checkable
class Keeping(Protocol):
    """A store that also has folders for what a killed run goes on with."""

    def kept(self, name: str, key: str) -> Path:
        """Return the folder of an output and a key, made where it is missing; those of other keys are removed. Raises OSError."""

    def drop_kept(self, name: str) -> None:
        """Remove the folders of an output, as far as they can be."""


class ReadOnlyJournal:
    """What the journal of an output folder says, read only; PixlateError where it cannot be read.

    Args:
        store: The output folder.
        settings: Digest of the model and of the options that shape an output.
        others: What else may have made an output with the same options, and a function that says how to go on with it, by the digest that it would have.
    """

    def __init__(self, store: Store, settings: str, others: Mapping[str, Callable[[], str]] | None = None) -> None:
        self.store = store
        self.settings = settings
        self._others = others or {}
        self._entries = Entries()
        self._add(store.lines())

    def exists(self, name: str) -> bool:
        """Return whether anything exists under an output's name, a broken link included."""
        return self.store.existing(name) is not None

    def knows(self, name: str) -> bool:
        """Return whether an output of that name is recorded."""
        return name in self._entries

    def state(self, job: Job, source: Version) -> State:
        """Return what exists under the output's name.

        ``new``: nothing. ``finished``: our output of this source and these settings. ``stale``: our output, and the source has changed since.
        ``other settings``: our output by another model or option. ``foreign``: a file we did not write, or that was changed since.
        """
        existing = self.store.existing(job.name)
        if existing is None:
            return "new"
        entry = self._matching(job.name, existing)
        if entry is None:
            return "foreign"
        self._entries.keep(entry)
        if entry.settings != self.settings:
            return "other settings"
        return "finished" if source == Version(entry.source_size, entry.source_mtime) else "stale"

    def made_by(self, name: str) -> str:
        """Return what else made an output with these options, such as another version of the model, and how to go on with it; empty where nothing known did."""
        return next((self._others[entry.settings]() for entry in self._entries.of(name) if entry.settings in self._others), "")

    def _matching(self, name: str, existing: Existing) -> Entry | None:
        """Return the newest entry that describes the file as it is; a crash before it got its name leaves one that does not."""
        entries = [entry for entry in reversed(self._entries.of(name)) if entry.size == existing.size]
        if known := next((entry for entry in entries if entry.md5 and entry.md5 == existing.md5), None):
            return known
        try:
            digest = self.store.digest(name) if entries else ""
        except (OSError, PixlateError):  # it vanished, or may not be read: not known to be ours
            return None
        return next((entry for entry in entries if entry.sha256 == digest), None)

    def _add(self, lines: bytes) -> None:
        """Take in the lines of a journal; one cut short or damaged by a crash is skipped."""
        for line in BytesIO(lines):  # without a list of a million of them
            with suppress(ValueError, TypeError, RecursionError, struct.error):
                self._entries.add(Entry(**json.loads(line.decode(errors="replace"))))


class Earlier:
    """Which files below a folder are outputs of earlier conversions: those that a journal in a folder on their way records.

    Args:
        store_of: Returns the folder of a relative path as a store, or None where it has no journal.
        failures: Receives the folders whose journal cannot be read.
    """

    def __init__(self, store_of: Callable[[PurePath], Store | None], failures: Failures) -> None:
        self._store_of, self._failures = store_of, failures
        self._journals: dict[PurePath, ReadOnlyJournal | None] = {}
        self._folder: PurePath | None = None
        """Folder of the last file."""
        self._above: list[tuple[PurePath, ReadOnlyJournal]] = []
        """The journals on the way to it, the nearest first."""

    def output_folder(self, relative: PurePath) -> str:
        """Return the output folder that records a file; empty where none does."""
        parent = relative.parent
        if parent != self._folder:  # files come folder by folder
            self._folder = parent
            journals = ((folder, self._journal(folder)) for folder in list(relative.parents)[:-1])
            self._above = [(folder, journal) for folder, journal in journals if journal is not None]
        for folder, journal in self._above:
            if journal.knows(journal.store.name_of(relative.relative_to(folder))):
                return str(journal.store)
        return ""

    def _journal(self, folder: PurePath) -> ReadOnlyJournal | None:
        if folder not in self._journals:
            self._journals[folder] = self._read(folder)
        return self._journals[folder]

    def _read(self, folder: PurePath) -> ReadOnlyJournal | None:
        store = self._store_of(folder)
        if store is None:
            return None
        try:
            return ReadOnlyJournal(store, "")
        except PixlateError as error:
            self._failures.append((str(store), f"its outputs cannot be told from images to convert: {error}"))
            return None


class Journal(ReadOnlyJournal):
    """The journal of an output folder, held by one conversion at a time; PixlateError where that is another one or the folder cannot be written.

    Args:
        store: The output folder.
        settings: See :class:`ReadOnlyJournal`.
        others: See :class:`ReadOnlyJournal`.
        keep_times: Whether outputs on a disk get the times of their sources on a disk.
    """

    def __init__(self, store: Store, settings: str, others: Mapping[str, Callable[[], str]] | None = None, keep_times: bool = False) -> None:
        self._keep_times = keep_times
        store.hold()
        self.parts = store.parts
        self._own: set[str] = set()
        try:
            super().__init__(store, settings, others)
        except BaseException:
            store.release(None)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        lines = None
        try:
            with suppress(PixlateError):
                self._add(self.store.late_lines(self._own))
                text = BytesIO()
                text.writelines(entry.line() for name in self._entries for entry in self._entries.of(name))
                lines = text.getvalue()
        finally:
            self.store.release(lines)

    def state(self, job: Job, source: Version) -> State:
        """Return what exists there; see :meth:`ReadOnlyJournal.state`. A finished output gets its times here, which a run that kept none has left out."""
        state = super().state(job, source)
        set_times = getattr(self.store, "set_times", None)
        if state == "finished" and self._keep_times and source.accessed and set_times is not None:
            with suppress(OSError):  # it has vanished, or is another user's: the next run sees it
                set_times(job.name, source.accessed, source.mtime)
        return state

    def finish(self, job: Job, part: Path, source: Version) -> None:
        """Record the written ``part`` and give it its name.

        Raises:
            PixlateError: Another conversion writes here now, or the store cannot be reached.
            OSError: The disk is full or the folder cannot be written; the part is left to the caller.
        """
        self.store.check()
        entry = entry_of(job, part, source, self.settings, self.store.shared)
        if self._keep_times and source.accessed:  # after it was read
            os.utime(part, ns=(source.accessed, source.mtime))
        fresh = not self.exists(job.name)
        self.store.record(entry.name, entry.line())
        self._entries.add(entry)
        give_name(self.store, entry, part, fresh)
        self.adopt(entry)
        if isinstance(self.store, Keeping):
            self.store.drop_kept(job.name)

    def kept(self, job: Job, source: Version) -> Path | None:
        """Return a folder that outlives this process, of this very output, source and settings, and remove those of others of the same name."""
        key = hashlib.sha256(f"{self.settings} {source.size} {source.mtime} {job.format}".encode()).hexdigest()[:16]
        return self.store.kept(job.name, key) if isinstance(self.store, Keeping) else None

    def adopt(self, entry: Entry) -> None:
        """Record the entry of a file that exists under its name."""
        self._own.add(entry.name)
        self._entries.keep(entry)


def give_name(store: Store, entry: Entry, part: Path, fresh: bool) -> None:
    """Give a recorded file its name, a ``fresh`` one only where nothing of another has come to exist under it: PixlateError; else it raises as :meth:`Store.put`."""
    try:
        store.put(part, entry.name, fresh)
    except FileExistsError as error:
        ours = False
        with suppress(OSError, PixlateError):
            ours = store.digest(entry.name) == entry.sha256  # of an attempt whose answer was lost
        if ours:
            part.unlink(missing_ok=True)
        else:
            raise PixlateError("the output has come to exist meanwhile and is none of this conversion; it was kept: choose another folder") from error


def entry_of(job: Job, part: Path, source: Version, settings: str, with_md5: bool) -> Entry:
    """Return the entry of a written file."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with part.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            if with_md5:
                md5.update(block)
    return Entry(job.name, part.stat().st_size, sha256.hexdigest(), source.size, source.mtime, settings, md5.hexdigest() if with_md5 else "")
