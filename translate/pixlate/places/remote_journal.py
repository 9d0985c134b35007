"""The journal of an output folder at a URL, where no line can be appended: an object for each finished file, merged at the end.

An entry is written before the output it tells of, as the line of the local journal is. Those that a crash left are merged at the next start,
so that the entry of an older output is never replaced by the one of its successor.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Self, TypeVar

from pixlate.errors import PixlateError
from pixlate.places.job import HOME, Job, Status
from pixlate.places.journal import Entry, State, parse
from pixlate.places.remote import FULL, cause, refusal
from pixlate.places.remote_lock import RemoteLock
from pixlate.places.url import Standing, Url

_AT_ONCE = 16
"""Small objects read or removed at the same time."""

T = TypeVar("T")
R = TypeVar("R")


class RemoteRecords:
    """What the journal of an output folder at a URL says, read only; see :class:`pixlate.places.journal.Records`.

    Raises:
        PixlateError: The URL cannot be read.
    """

    def __init__(self, root: Url, settings: str) -> None:
        self.root = root
        self.settings = settings
        self.home = root.child(HOME)
        self._entries: dict[str, list[Entry]] = {}
        self._folders: dict[str, dict[str, Standing]] = {}
        self._listing = Lock()
        self._left: list[str] = []
        try:
            self._left = self._listed("entries")
            self._merged = self._read("journal.jsonl")
            self._add(self._merged)
            self._take(self._left)
        except Exception as error:
            raise refusal(error, str(root)) from error

    def knows(self, name: str) -> bool:
        """Tell whether an output of that name is recorded."""
        return name in self._entries

    def exists(self, name: str) -> bool:
        """Tell whether anything stands under an output's name."""
        return self.standing(name) is not None

    def standing(self, name: str) -> Standing | None:
        """Return what stands under a name; each folder is listed once.

        Raises:
            PixlateError: The folder cannot be listed.
        """
        folder, _, last = name.rpartition("/")
        with self._listing:
            if folder not in self._folders:
                try:
                    self._folders[folder] = (self.root.child(folder) if folder else self.root).standing()
                except Exception as error:
                    raise PixlateError(f"the output folder cannot be listed ({cause(error)}); run the same command again") from error
            return self._folders[folder].get(last)

    def state(self, job: Job, source: Status) -> State:
        """Tell what stands under the output's name; see :meth:`pixlate.places.journal.Records.state`."""
        standing = self.standing(job.name)
        if standing is None:
            return "new"
        entry = self.matching(job.name, standing)
        if entry is None:
            return "foreign"
        self._entries[job.name] = [entry]
        if entry.settings != self.settings:
            return "other settings"
        return "finished" if (source.st_size, source.st_mtime_ns) == (entry.source_size, entry.source_mtime) else "stale"

    def matching(self, name: str, standing: Standing) -> Entry | None:
        """Return the newest entry that tells of the output as it stands: by the checksum of the store, or else by its content, which is fetched."""
        entries = [entry for entry in reversed(self._entries.get(name, [])) if entry.size == standing.size]
        for entry in entries:
            if entry.md5 and entry.md5 == standing.md5:
                return entry
        try:
            digest = self.root.child(name).digest() if entries else ""
        except PixlateError:  # it vanished, or may not be read: not known to be ours
            return None
        return next((entry for entry in entries if entry.sha256 == digest), None)

    def _take(self, left: Iterable[str]) -> None:
        """Read entries that lie beside the journal."""
        for text in at_once(lambda name: self._read(f"entries/{name}"), left):
            self._add(text)

    def _add(self, text: bytes) -> None:
        for entry in parse(text.decode(errors="replace").splitlines()):
            known = self._entries.setdefault(entry.name, [])
            if entry not in known:
                known.append(entry)

    def _listed(self, folder: str) -> list[str]:
        return sorted(self.home.child(folder).standing())

    def _read(self, name: str) -> bytes:
        try:
            return self.home.child(name).read()
        except FileNotFoundError:
            return b""


class RemoteJournal(RemoteRecords):
    """The journal of an output folder at a URL, held by one conversion at a time.

    Raises:
        PixlateError: The URL cannot be written, or another conversion is writing there.
    """

    def __init__(self, root: Url, settings: str) -> None:
        self._lock = RemoteLock(root.child(HOME).child("lock.json"), root)
        self._folder = tempfile.TemporaryDirectory(prefix="pixlate-", ignore_cleanup_errors=True)
        self.parts = Path(self._folder.name)
        self._own: set[str] = set()
        try:
            super().__init__(root, settings)
            self._merge()
        except Exception as error:
            self._close()
            raise refusal(error, str(root)) from error
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with suppress(Exception):  # without a network, the entries as they are serve as well
                self._left = self._listed("entries")
                self._take(name for name in self._left if name not in self._own)
                self._merge()
        finally:
            self._close()

    def finish(self, job: Job, part: Path, source: Status) -> None:
        """Record the written ``part`` and put it under its name; see :func:`give_name`."""
        self.check()
        entry = entry_of(job, part, source, self.settings)
        give_name(self.root, entry, part, fresh=not self.exists(job.name))
        self.adopt(entry)

    def check(self) -> None:
        """See that the folder is still held.

        Raises:
            PixlateError: Another conversion has taken it over.
        """
        self._lock.check()

    def adopt(self, entry: Entry) -> None:
        """Take in the entry of a file that stands under its name."""
        self._own.add(_key(entry.name))
        self._entries[entry.name] = [entry]

    def _merge(self) -> None:
        """Put all entries into the journal, in the order of their names, and remove those beside it and parts left over."""
        lines = b"".join(entry.line() for name in sorted(self._entries) for entry in self._entries[name])
        if lines != self._merged:
            part = self.parts / "journal"
            part.write_bytes(lines)
            self.home.child("journal.jsonl").upload(part, False, self.home.child("parts/journal"))
            part.unlink()
            self._merged = lines
        over = [self.home.child(f"entries/{name}") for name in self._left]
        over += [self.home.child(f"parts/{name}") for name in self._listed("parts")]
        at_once(Url.remove, over)
        for folder in ("entries", "parts"):
            self.home.child(folder).remove_folder()

    def _close(self) -> None:
        self._folder.cleanup()
        self._lock.release()


def give_name(root: Url, entry: Entry, part: Path, fresh: bool) -> None:
    """Write the entry of a written file, then put the file under its name; the part is removed.

    Args:
        root: The output folder.
        entry: What is recorded.
        part: The file on this machine.
        fresh: Whether nothing stood under the name, and nothing may.

    Raises:
        PixlateError: Something of another stands under the name now, or the network failed again and again.
        OSError: The store takes no more.
    """
    target, key = root.child(entry.name), _key(entry.name)
    part = part.rename(part.with_name(part.name + PurePosixPath(entry.name).suffix))  # from which some stores draw the type
    home = root.child(HOME)
    try:
        home.child(f"entries/{key}").write(entry.line())
        target.upload(part, fresh, home.child(f"parts/{key}"))
    except FileExistsError as error:
        if not _is(target, entry):  # or else it is ours, of an attempt whose answer was lost
            raise PixlateError("the output has come to exist meanwhile and is none of this conversion; it was kept: choose another folder") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        raise PixlateError(f"the output cannot be written ({cause(error)}); check the network and the credentials, and run the same command again") from error
    finally:
        part.unlink(missing_ok=True)


def entry_of(job: Job, part: Path, source: Status, settings: str) -> Entry:
    """Return the entry of a written file, with both digests."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with part.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            md5.update(block)
    return Entry(job.name, part.stat().st_size, sha256.hexdigest(), source.st_size, source.st_mtime_ns, settings, md5.hexdigest())


def at_once(act: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do something small with each item, several at the same time; return the results in order."""
    with ThreadPoolExecutor(_AT_ONCE, "url") as pool:
        return list(pool.map(act, items))


def _key(name: str) -> str:
    """Return the name of the object that holds an entry: any output's name is too odd or too long for somewhere."""
    return hashlib.sha256(name.encode()).hexdigest()[:32] + ".json"


def _is(target: Url, entry: Entry) -> bool:
    with suppress(PixlateError):
        return target.digest() == entry.sha256
    return False
