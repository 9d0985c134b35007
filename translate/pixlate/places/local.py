"""Local files and folders, as places to read from and as a store to write into; and the place that a user names."""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from glob import has_magic
from io import FileIO
from pathlib import Path, PurePath
from threading import Lock
from typing import ClassVar, Literal, cast

from pixlate.errors import PixlateError
from pixlate.places.journal import Earlier
from pixlate.places.paths import digest_file, find, folds_case, identity, make_folders, version_of, walk
from pixlate.plugin.manager import installed
from pixlate.plugin.place import Existing, Failures, Found, Place, Reach, Store, Version
from pixlate.runs.folder import is_run
from pixlate.system import locking
from pixlate.system.extras import install
from pixlate.system.folder import Folder
from pixlate.system.text import refuse_flattened, shown

HOME = ".pixlate"
"""Folder inside the output folder that holds the journal and files being written."""
JOURNAL = "journal.jsonl"
KEPT = "kept"
"""Folder beside the journal for what a killed run goes on with."""
_COPY = "journal.part"
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EDEADLK}
_PART = re.compile("[0-9a-f]+")
"""Names of our parts; nothing else that a folder ``parts`` holds is removed."""
NO_LOCKS = "the file system of the output folder has no locks (a network drive, perhaps): two conversions into it at the same time are not kept apart"
NO_SYNC = "the file system of the output folder does not write through to the disk: what was converted just before a power failure may have to be done again"


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
        own = OwnFiles(base, failures)
        top = str(base)
        for path in found:
            relative = PurePath(path.removeprefix(top).lstrip(os.sep) if top != os.curdir else path)  # which is faster than Path.relative_to
            yield own.found(path, relative)

    def version(self) -> Version:
        """Return size and time; see :func:`pixlate.places.paths.version_of`."""
        return version_of(self.name)

    def fetched(self, give_up: Callable[[], bool] = lambda: False) -> AbstractContextManager[Path]:
        """Yield its path."""
        return nullcontext(self.local)

    def store(self) -> "LocalStore":
        """Return the folder as an output folder."""
        return LocalStore(self.local)


class OwnFiles:
    """Which files below a folder are Pixlate's own: outputs of earlier conversions, and what runs of training have written.

    Args:
        top: The folder, which was named and so is looked into whatever it is itself.
        failures: Receives the folders whose journal cannot be read.
    """

    def __init__(self, top: Path, failures: Failures) -> None:
        self._top = top
        self._earlier = Earlier(lambda folder: LocalStore(top / folder) if os.path.lexists(top / folder / HOME / JOURNAL) else None, failures)
        self._runs = {PurePath(): ""}
        """The run folder that each folder is, or is in."""

    def found(self, path: str, relative: PurePath) -> Found:
        """Return a file, with what it is of."""
        return Found(LocalPlace(path), relative, output_of=self._earlier.output_folder(relative), run=self._run(relative.parent))

    def _run(self, folder: PurePath) -> str:
        if folder not in self._runs:
            for inner in (*reversed(folder.parents), folder):
                if inner not in self._runs:
                    whole = str(self._top / inner)
                    self._runs[inner] = self._runs[inner.parent] or (whole if is_run(whole) else "")
        return self._runs[folder]


class LocalStore:
    """An output folder on a local disk; see :class:`pixlate.plugin.place.Store`.

    The journal is a file to which lines are appended; the lock is on it, so that it ends with the process, however that ends. The folder itself
    may be a link, since the user has named it; a link below it is refused by name wherever a file would be read, written or removed through it.
    """

    reach: ClassVar[Reach] = "machine"
    shared: ClassVar[bool] = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / HOME / JOURNAL
        self.parts = root / HOME / "parts"
        self.notes: list[str] = []
        self._top: Folder | None = None
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
        return identity(os.path.join(self.root, name))  # noqa: PTH118 - of a million names

    def relative(self, path: Path) -> str:
        """Return the name of a path in this folder."""
        return os.path.relpath(os.path.realpath(path), os.path.realpath(self.root))

    def existing(self, name: str) -> Existing | None:
        """Return what exists under a name."""
        try:
            with self._holding(name) as (folder, last):
                status = folder.status(last)
        except OSError:  # it, or a folder above, is not there or may not be looked at
            return None
        return None if status is None else Existing(status.st_size if stat.S_ISREG(status.st_mode) else -1)

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file."""
        with self._holding(name) as (folder, last):
            return digest_file(folder.open(last, os.O_RDONLY))

    def lines(self) -> bytes:
        """Return the lines of the journal."""
        try:
            with self._holding(f"{HOME}/{JOURNAL}") as (home, last):
                return _content(home.open(last, os.O_RDONLY))
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
            with ExitStack() as opened:
                make_folders(self.root)
                top = opened.enter_context(Folder.named(self.root))
                self._home = opened.enter_context(top.below(HOME, make=True))
                self._file = opened.enter_context(self._held())
                self._parts = opened.enter_context(self._home.below("parts", make=True))
                for part in filter(_PART.fullmatch, self._parts.names()):
                    if (status := self._parts.status(part)) is not None and stat.S_ISREG(status.st_mode):
                        self._parts.unlink(part)
                end = self._file.seek(0, os.SEEK_END)
                self._file.seek(max(0, end - 1))
                self._torn = self._file.read(1) not in (b"", b"\n")
                self._top, self._opened = top, opened.pop_all()
        except OSError as error:
            if error.errno in _HELD:
                raise PixlateError(f"another conversion is writing into {self.root}; wait for it or choose another folder") from error
            raise PixlateError(f"the output folder {self.root} cannot be written ({error.strerror}); choose another or change its permissions") from error

    def check(self) -> None:
        """Do nothing: the lock of a file is not lost."""

    def kept(self, name: str, key: str) -> Path:
        """Return the folder of an output and a key; what is written into it must get its name by renaming, which follows no link."""
        with self._lock, self._home.below(f"{KEPT}/{_digest(name)}", make=True) as above:
            for other in above.names():
                if other != key:
                    _remove(above, other)
            with above.below(key, make=True) as folder:
                return folder.path

    def drop_kept(self, name: str) -> None:
        """Remove the folders of an output."""
        with self._lock, suppress(OSError, PixlateError), self._home.below(KEPT) as kept:
            with kept.below(_digest(name)) as above:
                for key in above.names():
                    _remove(above, key)
            kept.rmdir(_digest(name))
            self._home.rmdir(KEPT)

    def release(self, lines: bytes | None) -> None:
        """Replace the journal and unlock it.

        That is the last step: the lock is on the file that is replaced, and whoever opens the new one may begin.
        """
        self._top = None
        with self._opened, suppress(OSError, PixlateError):
            if lines is not None:
                with suppress(OSError):
                    self._home.rmdir("parts")
                if not self._recorded(lines):
                    self._replace(lines)

    def record(self, name: str, line: bytes) -> None:
        """Append a line and write it through to the disk; where an earlier one was cut short, it begins a line of its own."""
        with self._holding(name, make=True), self._lock:
            line = b"\n" + line if self._torn else line
            self._torn = True
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._sync(self._file.fileno())
            self._torn = False

    def put(self, part: Path, name: str, fresh: bool) -> None:
        """Rename a written file; a fresh one by a link, which replaces nothing that has appeared meanwhile."""
        with self._holding(name) as (folder, last):
            if fresh:
                try:
                    self._parts.link(part.name, folder, last)
                except FileExistsError:
                    raise
                except OSError as error:  # mostly a file system without links; whatever else it is, renaming raises it too
                    if folder.status(last) is not None:
                        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.root / name)) from error
                else:
                    self._parts.unlink(part.name)
                    return
            self._parts.replace(part.name, folder, last)

    def set_times(self, name: str, accessed: int, changed: int) -> None:
        """Set when a file was last read and changed, in nanoseconds."""
        with self._holding(name) as (folder, last):
            folder.set_times(last, accessed, changed)

    @contextmanager
    def _holding(self, name: str, make: bool = False) -> Iterator[tuple[Folder, str]]:
        """Open the folder that holds a name; yield it and the last part of the name."""
        above, last = os.path.split(name)
        with ExitStack() as opened:
            top = self._top or opened.enter_context(Folder.named(self.root))
            yield opened.enter_context(top.below(above, make)), last

    def _held(self) -> FileIO:
        """Open the journal and lock it; raises OSError, one of ``_HELD`` where another process holds it."""
        while True:
            file = FileIO(self._home.open(JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+")
            try:
                try:
                    locking.lock_file(file)
                except OSError as error:
                    if error.errno not in locking.UNSUPPORTED:
                        raise
                    self._note(NO_LOCKS)
                own, named = os.fstat(file.fileno()), self._home.status(JOURNAL)
                if named is not None and (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino):
                    if own.st_nlink == 1:
                        return file
                    file.seek(0)
                    self._replace(file.readall())  # a copy made of hard links shares it, and stays as it is
            except BaseException:
                file.close()
                raise
            file.close()  # replaced, by this conversion or by another one at its end

    def _recorded(self, lines: bytes) -> bool:
        """Return whether the journal has these lines, without reading it whole."""
        at, view = self._file.seek(0), memoryview(lines)
        while block := self._file.read(1 << 20):
            if block != view[at : at + len(block)]:
                return False
            at += len(block)
        return at == len(lines)

    def _replace(self, lines: bytes) -> None:
        """Write the journal under a temporary name, which then replaces the journal."""
        with suppress(FileNotFoundError):
            os.close(self._home.open(_COPY, os.O_RDONLY))  # refuses a link
            self._home.unlink(_COPY)
        try:
            with os.fdopen(self._home.open(_COPY, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(lines)
                file.flush()
                self._sync(file.fileno())
            self._home.replace(_COPY, self._home, JOURNAL)
        except OSError:
            with suppress(OSError):
                self._home.unlink(_COPY)
            raise

    def _sync(self, handle: int) -> None:
        if not locking.sync(handle):
            self._note(NO_SYNC)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _remove(above: Folder, name: str) -> None:
    """Remove a folder of ours and the files in it, as far as they can be; of a link, the link."""
    with suppress(OSError, PixlateError):
        status = above.status(name)
        if status is None or not stat.S_ISDIR(status.st_mode):
            above.unlink(name)
            return
        with above.below(name) as folder:
            for file in folder.names():
                folder.unlink(file)
        above.rmdir(name)


def _content(handle: int) -> bytes:
    with os.fdopen(handle, "rb") as file:
        return file.read()


def locate(place: str | Path | Place) -> Place:
    """Return the place that a user names: a path on this machine, or what a plugin opens; a place as it is."""
    if not isinstance(place, str | Path):
        return place
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
