"""A folder that is ours to write in, where nobody's link is followed."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Self

from pixlate.errors import PixlateError

_HANDLES = os.open in os.supports_dir_fd
"""Whether a folder can be opened and its entries named relative to it; on Windows a path is checked just before it is used instead."""
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Of every file: no link is followed, and a pipe without a writer is not waited for."""
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)


class Folder:
    """An open folder: what is opened, renamed or removed in it is really in it, whatever happens to the path that led here.

    Its methods raise a :class:`pixlate.PixlateError` that names a link in the way, else an OSError.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path = path
        self._handle = handle

    @classmethod
    def named(cls, path: Path) -> Self:
        """Open a folder that a user has named, through links too, for those are the user's own."""
        return cls(path, os.open(path, _FOLDER) if _HANDLES else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def below(self, relative: str | PurePath, make: bool = False) -> "Folder":
        """Open a folder below, part by part; ``make`` makes what is missing."""
        folder = Folder(self.path, os.dup(self._handle) if self._handle is not None else None)
        for part in PurePath(relative).parts:
            with folder as above:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(above._at(part), dir_fd=above._handle)
                folder = above._enter(part)
        return folder

    def status(self, name: str) -> os.stat_result | None:
        """Return what exists under a name, of a link what it is itself; None where there is nothing."""
        try:
            return os.stat(self._at(name), dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self, name: str, flags: int) -> int:
        """Open a file; a link, and what is no file, is refused."""
        if not _HANDLES:
            refuse_link(self.path / name)
        try:
            handle = os.open(self._at(name), flags | _FLAGS, 0o666, dir_fd=self._handle)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _refused(self.path / name) from error
            if error.errno in (errno.ENXIO, errno.EISDIR):  # a pipe that nobody reads, a socket, a folder
                raise self._foreign(name) from error
            error.filename = str(self.path / name)  # of which the system was told the last part alone
            raise
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise self._foreign(name)
        return handle

    def names(self) -> list[str]:
        """Return the names of what is in it."""
        if self._handle is None:
            return [path.name for path in self.path.iterdir()]
        handle = os.open(os.curdir, os.O_RDONLY, dir_fd=self._handle)
        try:
            return os.listdir(handle)  # noqa: PTH208 - pathlib knows no open folders
        finally:
            os.close(handle)

    def set_times(self, name: str, accessed: int, changed: int) -> None:
        """Set when a file, or a link itself, was last read and changed, in nanoseconds."""
        os.utime(self._at(name), ns=(accessed, changed), dir_fd=self._handle, follow_symlinks=self._handle is None)

    def unlink(self, name: str) -> None:
        """Remove a file, or a link itself."""
        os.unlink(self._at(name), dir_fd=self._handle)

    def rmdir(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(self._at(name), dir_fd=self._handle)

    def replace(self, name: str, into: "Folder", new: str) -> None:
        """Rename a file, over what exists under the new name; a link there is replaced itself."""
        os.replace(self._at(name), into._at(new), src_dir_fd=self._handle, dst_dir_fd=into._handle)

    def link(self, name: str, into: "Folder", new: str) -> None:
        """Give a file a second name; FileExistsError where something exists there."""
        if self._handle is None:
            os.link(self._at(name), into._at(new))
        else:
            os.link(self._at(name), into._at(new), src_dir_fd=self._handle, dst_dir_fd=into._handle, follow_symlinks=False)

    def _at(self, name: str) -> str | Path:
        return self.path / name if self._handle is None else name

    def _foreign(self, name: str) -> PixlateError:
        return PixlateError(f"expected {self.path / name} to be a file of Pixlate's own, got something else; move it away")

    def _enter(self, name: str) -> "Folder":
        path = self.path / name
        if not _HANDLES:
            refuse_link(path)
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            return Folder(path, None)
        try:
            return Folder(path, os.open(name, _FOLDER | _FLAGS, dir_fd=self._handle))
        except OSError as error:
            status = self.status(name) if error.errno in (errno.ELOOP, errno.ENOTDIR) else None
            if status is not None and stat.S_ISLNK(status.st_mode):
                raise _refused(path) from error
            raise


def refuse_link(*paths: Path) -> None:
    """Refuse a path of ours that is a link, wherever that leads."""
    for path in paths:
        if os.path.islink(path):  # noqa: PTH114 - pathlib raises for a name that is too long
            raise _refused(path)


def open_own(path: Path) -> int:
    """Open a file of ours, in a folder that the user has named, to be written from its beginning.

    Raises:
        PixlateError: It is a link, has a second name (a hard link) or is no file: what is written would appear elsewhere.
    """
    with Folder.named(path.parent) as folder:
        handle = folder.open(path.name, os.O_WRONLY | os.O_CREAT)
    if os.fstat(handle).st_nlink > 1:
        os.close(handle)
        raise PixlateError(f"{path} has a second name (a hard link), through which another file would be overwritten; remove it")
    os.ftruncate(handle, 0)
    return handle


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context with a file to write beside ``path``, which it replaces once it is whole.

    Raises:
        PixlateError: What exists under the temporary name is a link, has a second name or is no file.
    """
    part = path.with_name(f".{path.name}.part")
    os.close(open_own(part))
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _refused(path: Path) -> PixlateError:
    return PixlateError(f"{path} is a link, and Pixlate follows none that it finds where it writes; remove the link, or name another folder")
