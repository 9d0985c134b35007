"""An output folder at a URL, where no line can be appended: an object for each finished file, merged into the journal.

Those that a crash left are merged when the folder is next locked, so that the line of an older output is never replaced by the one of its successor.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath, PurePosixPath
from threading import Lock
from typing import ClassVar

from pixlate.errors import PixlateError
from pixlate.places.local import HOME
from pixlate.places.paths import digest_file
from pixlate.plugin.place import FULL, Existing, Reach
from pixlate.system.folder import refuse_link
from pixlate_fsspec.lease import Lease
from pixlate_fsspec.retries import cause, refusing
from pixlate_fsspec.url import Url

_OWN = re.compile(r"[0-9a-f]{32}\.json|journal")
"""Names of what is written beside the journal; nothing else is removed."""
_AT_ONCE = 16
"""Small objects read or removed at the same time."""


class UrlStore:
    """See :class:`pixlate.plugin.place.Store`; every worker can write into it, with the lines of outputs beside the journal."""

    shared: ClassVar[bool] = True

    def __init__(self, root: Url) -> None:
        self.root = root
        self._home = root.child(HOME)
        self._folders: dict[str, dict[str, Existing]] = {}
        self._listing = Lock()
        self._merged = hashlib.sha256().digest()
        """Of the journal as it was last read or written, which may be too large to keep."""
        self.notes: list[str] = []

    def __reduce__(self) -> tuple[type["UrlStore"], tuple[Url]]:
        return UrlStore, (self.root,)

    def __str__(self) -> str:
        return str(self.root)

    @property
    def reach(self) -> Reach:
        """Who can write into it."""
        return self.root.reach

    def name_of(self, relative: PurePath) -> str:
        """Return the name of an output, which must be text: names of undecodable bytes cannot be written as UTF-8."""
        name = relative.as_posix()
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise PixlateError("its name is not text, and a name at a URL must be; rename it") from error
        return name

    def folds_case(self) -> bool:
        """Return False: names are case-sensitive."""
        return False

    def identity(self, name: str) -> tuple[object, ...]:
        """Return what distinguishes the file of that name from every other."""
        return self.root.child(name).identity()

    def relative(self, path: Path) -> None:
        """Return None: no local path leads here."""
        return

    def existing(self, name: str) -> Existing | None:
        """Return what exists under a name; each folder is listed once."""
        self._refuse_links(os.path.dirname(name))  # noqa: PTH120 - names in stores are texts
        folder, _, last = name.rpartition("/")
        with self._listing:
            if folder not in self._folders:
                try:
                    self._folders[folder] = (self.root.child(folder) if folder else self.root).listed()
                except Exception as error:
                    raise PixlateError(f"the output folder cannot be listed ({cause(error)}); run the same command again") from error
            return self._folders[folder].get(last)

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file, for which it is downloaded."""
        with self.root.child(name).fetched() as path:
            return digest_file(path)

    def lines(self) -> bytes:
        """Return the lines of the journal and those beside it."""
        with refusing(str(self)):
            beside, merged = self._entries(), self._read("journal.jsonl")
        self._merged = hashlib.sha256(merged).digest()
        return merged + (b"\n" + beside if beside else b"")

    def late_lines(self, known: Collection[str]) -> bytes:
        """Return the lines beside the journal, but those of known names."""
        with refusing(str(self)):
            return self._entries(known)

    def hold(self) -> None:
        """Take the lease, and merge what a killed conversion left."""
        self._folders.clear()
        self._refuse_links(*(f"{HOME}/{name}" for name in ("journal.jsonl", "lock.json", "entries", "parts")))
        self._lease = Lease(self._home.child("lock.json"), self.root)
        self._folder = tempfile.TemporaryDirectory(prefix="pixlate-", ignore_cleanup_errors=True)
        self.parts = Path(self._folder.name)
        try:
            with refusing(str(self)):
                self._merge(self.lines())
        except BaseException:
            self._close()
            raise

    def check(self) -> None:
        """Check that the lease has not been lost."""
        self._lease.check()

    def release(self, lines: bytes | None) -> None:
        """Replace the journal by the lines, remove those beside it, and release the lease."""
        try:
            if lines is not None:
                with suppress(Exception):  # without a network, the lines beside the journal serve as well
                    self._merge(lines)
        finally:
            self._close()

    def record(self, name: str, line: bytes) -> None:
        """Write a line as an object of its own."""
        self._refuse_links(f"{HOME}/entries/{_key(name)}")
        with self._explained():
            self._home.child(f"entries/{_key(name)}").write(line)

    def put(self, part: Path, name: str, fresh: bool) -> None:
        """Upload a written file."""
        self._refuse_links(os.path.dirname(name), f"{HOME}/parts/{_key(name)}")  # noqa: PTH120
        part = part.rename(part.with_name(part.name + PurePosixPath(name).suffix))  # from which some stores draw the type
        try:
            with self._explained():
                self.root.child(name).upload(part, fresh, self._home.child(f"parts/{_key(name)}"))
        finally:
            part.unlink(missing_ok=True)

    def _refuse_links(self, *names: str) -> None:
        """Refuse, on a disk of this machine, a link at or above a name; other stores have no links, or follow them themselves."""
        if self.reach == "machine":
            for name in names:
                parts = PurePosixPath(name).parts
                refuse_link(*(Path(self.root.path, *parts[:depth]) for depth in range(1, len(parts) + 1)))

    def _merge(self, lines: bytes) -> None:
        """Write the journal, and remove the lines beside it and parts left over."""
        left = [self._home.child(f"{folder}/{name}") for folder in ("entries", "parts") for name in self._listed(folder) if _OWN.fullmatch(name)]
        digest = hashlib.sha256(lines).digest()
        if digest != self._merged:
            part = self.parts / "journal"
            part.write_bytes(lines)
            self._home.child("journal.jsonl").upload(part, False, self._home.child("parts/journal"))
            part.unlink()
            self._merged = digest
        with ThreadPoolExecutor(_AT_ONCE, "url") as pool:
            list(pool.map(Url.remove, left))
        for folder in ("entries", "parts"):
            self._home.child(folder).remove_folder()

    def _entries(self, known: Collection[str] = ()) -> bytes:
        own = set(map(_key, known))
        names = (f"entries/{name}" for name in self._listed("entries") if name not in own)
        with ThreadPoolExecutor(_AT_ONCE, "url") as pool:
            return b"".join(pool.map(self._read, names))

    def _listed(self, folder: str) -> list[str]:
        return sorted(self._home.child(folder).listed())

    def _read(self, name: str) -> bytes:
        try:
            return self._home.child(name).read()
        except FileNotFoundError:
            return b""

    def _close(self) -> None:
        self._folder.cleanup()
        self._lease.release()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of one output into one sentence, except those of a full store."""
        try:
            yield
        except Exception as error:
            if isinstance(error, FileExistsError) or getattr(error, "errno", None) in FULL:
                raise
            raise PixlateError(
                f"the output cannot be written ({cause(error)}); check the network and the credentials, and run the same command again"
            ) from error


def _key(name: str) -> str:
    """Return the name of the object that holds a line: any output's name is too odd or too long for somewhere."""
    return hashlib.sha256(name.encode()).hexdigest()[:32] + ".json"
