"""Local files and folders, as places to read from and as a store to write into; and the place that a user names."""

import errno
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from glob import has_magic
from io import FileIO
from pathlib import Path, PurePath
from threading import Lock
from typing import ClassVar, Literal, cast

from pixlate.errors import PixlateError
from pixlate.places.paths import digest_file, find, folds_case, identity, make_folders, version_of, walk
from pixlate.plugin.manager import installed
from pixlate.plugin.place import Existing, Failures, Found, Place, Reach, Store, Version
from pixlate.system import locking
from pixlate.system.extras import install
from pixlate.system.text import refuse_flattened, shown

HOME = ".pixlate"
"""Folder inside the output folder that holds the journal and files being written."""
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EDEADLK}


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A local file, folder or glob; see :class:`pixlate.plugin.place.Place`."""

    name: str
    """Its path."""
    reach: ClassVar[Reach] = "machine"

    def __str__(self) -> str:
        return self.name

    @property
    def local(self) -> Path:
        """Its path."""
        return Path(self.name)

    @property
    def pure(self) -> PurePath:
        """Its path."""
        return Path(self.name)

    @property
    def parent(self) -> "LocalPlace":
        """The folder that holds it."""
        return LocalPlace(str(self.local.parent))

    def identity(self) -> tuple[int, int] | None:
        """Return device and inode."""
        return identity(self.name)

    def kind(self) -> Literal["folder", "file", "nothing"]:
        """Return what exists here."""
        return "folder" if os.path.isdir(self.name) else "file" if os.path.lexists(self.name) else "nothing"  # noqa: PTH112 - pathlib raises for a name that is too long

    def files(self, out: Store, failures: Failures) -> Iterator[Found]:
        """Yield the files it names; the output and hidden folders are left out."""
        source, output = self.local, out.root if isinstance(out, LocalStore) else None
        kind = self.kind()
        if kind == "file":
            yield Found(self, Path(source.name), named=True)
            return
        if kind == "folder":
            if output is not None and identity(source) == identity(output):
                raise PixlateError(f"expected an output folder other than the source {source}; name another one")
            base, found = source, walk(source, output, failures)
        elif has_magic(self.name):
            base, found = find(source, output, failures)
        else:
            raise PixlateError(f"expected a file, a folder or a glob, but {source} does not exist; check the path")
        for path in found:
            yield Found(LocalPlace(path), Path(path).relative_to(base))

    def version(self) -> Version:
        """Return size and time; see :func:`pixlate.places.paths.version_of`."""
        return version_of(self.name)

    def fetched(self, give_up: Callable[[], bool] = lambda: False) -> AbstractContextManager[Path]:
        """Yield its path."""
        return nullcontext(self.local)

    def store(self) -> "LocalStore":
        """Return the folder as an output folder."""
        return LocalStore(self.local)


class LocalStore:
    """An output folder on a local disk; see :class:`pixlate.plugin.place.Store`.

    The journal is a file to which lines are appended; the lock is on it, so that it ends with the process, however that ends.
    """

    reach: ClassVar[Reach] = "machine"
    shared: ClassVar[bool] = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / HOME / "journal.jsonl"
        self.parts = root / HOME / "parts"
        self._lock = Lock()

    def __str__(self) -> str:
        return str(self.root)

    def name_of(self, relative: PurePath) -> str:
        """Return the name of an output."""
        return str(relative)

    def folds_case(self) -> bool:
        """Return whether the disk does not distinguish upper from lower case."""
        return folds_case(self.root)

    def identity(self, name: str) -> tuple[int, int] | None:
        """Return device and inode."""
        return identity(self.root / name)

    def relative(self, path: Path) -> str:
        """Return the name of a path in this folder."""
        return os.path.relpath(os.path.realpath(path), os.path.realpath(self.root))

    def existing(self, name: str) -> Existing | None:
        """Return what exists under a name."""
        target = self.root / name
        if not os.path.lexists(target):
            return None
        try:
            return Existing(target.stat().st_size if target.is_file() else -1)
        except OSError:  # it vanished, or may not be looked at
            return Existing(-1)

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file."""
        return digest_file(self.root / name)

    def lines(self) -> bytes:
        """Return the lines of the journal."""
        try:
            return self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            raise PixlateError(f"the journal {self.path} cannot be read ({error.strerror}); check its permissions") from error

    def late_lines(self, known: Collection[str]) -> bytes:
        """Return none: nobody else writes here."""
        return b""

    def hold(self) -> None:
        """Lock the journal and remove the parts of a process that was killed."""
        try:
            self._file = _held(self.path)
            try:
                self.parts.mkdir(exist_ok=True)
                for part in (*self.parts.iterdir(), self.path.with_suffix(".part")):
                    part.unlink(missing_ok=True)
                end = self._file.seek(0, os.SEEK_END)
                self._file.seek(max(0, end - 1))
                self._torn = self._file.read(1) not in (b"", b"\n")
            except OSError:
                self._file.close()
                raise
        except OSError as error:
            if error.errno in _HELD:
                raise PixlateError(f"another conversion is writing into {self.root}; wait for it or choose another folder") from error
            raise PixlateError(f"the output folder {self.root} cannot be written ({error.strerror}); choose another or change its permissions") from error

    def check(self) -> None:
        """Do nothing: the lock of a file is not lost."""

    def release(self, lines: bytes | None) -> None:
        """Replace the journal and unlock it."""
        with self._file, suppress(OSError):
            if lines is not None:
                self._replace(lines)

    def record(self, name: str, line: bytes) -> None:
        """Append a line and write it through to the disk; where an earlier one was cut short, it begins a line of its own."""
        make_folders((self.root / name).parent)
        with self._lock:
            line = b"\n" + line if self._torn else line
            self._torn = True
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
            self._torn = False

    def put(self, part: Path, name: str, fresh: bool) -> None:
        """Rename a written file; a fresh one by a link, which replaces nothing that has appeared meanwhile."""
        target = self.root / name
        if fresh:
            try:
                os.link(part, target)
            except FileExistsError:
                raise
            except OSError as error:  # mostly a file system without links; whatever else it is, renaming raises it too
                if os.path.lexists(target):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
            else:
                part.unlink()
                return
        part.replace(target)

    def _replace(self, lines: bytes) -> None:
        """Write the journal under a temporary name, which then replaces the journal.

        That is the last step: the lock is on the file that is replaced, and whoever opens the new one may begin.
        """
        with suppress(OSError):
            self.parts.rmdir()
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


def _held(path: Path) -> FileIO:
    """Open a journal and lock it; raises OSError, one of ``_HELD`` where another process holds it."""
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
        file.close()  # another conversion came to its end meanwhile and has replaced this journal by the sorted one


def locate(place: str | Path) -> Place:
    """Return the place that a user names: a path on this machine, or what a plugin opens."""
    if isinstance(place, Path):
        refuse_flattened(place, "a URL")
        return LocalPlace(str(place))
    opened, failures = installed().first("pixlate_open_place", lambda: {"name": place}, "a place", lambda value: hasattr(value, "store"), "it")
    if opened is None and failures:
        raise PixlateError(f"no installed plugin opens {shown(place)}: {'; '.join(failures)}; check the name, or update the plugin")
    if opened is None:
        raise missing_opener(shown(place))
    return cast(Place, opened)


def missing_opener(name: str) -> PixlateError:
    """Return the sentence for a URL where what opens URLs is not installed."""
    return PixlateError(f"{name} is a URL, and the package that opens URLs is missing; run: {install('remote')}")
