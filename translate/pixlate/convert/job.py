"""One image to convert, and what its path says before it is opened."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pixlate.errors import PixlateError

if TYPE_CHECKING:
    from pixlate.convert.url import Url, Version

HOME = ".pixlate"
"""Folder inside the output folder that holds the journal and files being written."""


class Status(Protocol):
    """What tells one content of a source from another, of a file or of an object in a store."""

    @property
    def st_size(self) -> int:
        """Bytes."""
        ...

    @property
    def st_mtime_ns(self) -> int:
        """When it was changed, or a number drawn from a checksum."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One image to convert."""

    source: str
    """Path or URL of the image, as it is printed."""
    name: str
    """Path of the output, relative to the output folder."""
    format: str
    """Format of the output."""
    notes: tuple[str, ...] = ()
    """What the user should know of the choice of name or format."""
    url: "Url | None" = None
    """Where the image lies, if not on this machine."""
    version: "Version | None" = None
    """What its listing told, if it does not lie on this machine."""

    def status(self) -> Status:
        """Return what tells the source's content from another.

        Raises:
            PixlateError: See :func:`status_of`.
        """
        return self.version or status_of(self.source)

    @contextmanager
    def at_hand(self, give_up: Callable[[], bool] = lambda: False) -> Iterator[Path]:
        """Yield a path of this machine to read the image from.

        Args:
            give_up: Ends attempts to fetch it early.

        Raises:
            PixlateError: It cannot be fetched. One sentence without the path.
        """
        if self.url is None:
            yield Path(self.source)
            return
        with self.url.at_hand(give_up) as path:
            yield path


def status_of(source: str) -> os.stat_result:
    """Return size and times of an image file, and see that it is a file: opening a pipe would wait for its writer for ever.

    Raises:
        PixlateError: It vanished, a link leads nowhere or to itself, or it is no regular file. One sentence without the path.
    """
    try:
        status = Path(source).stat()
    except FileNotFoundError as error:
        if Path(source).is_symlink():
            raise PixlateError("is a link to a file that is not there; mend or remove the link") from error
        raise PixlateError("there is no such file; it may have been moved or renamed since the folder was listed") from error
    except OSError as error:
        raise PixlateError(f"the file cannot be read ({error.strerror}); check its path and permissions") from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise PixlateError(f"expected a file, got {what}; leave it out")
    return status


def identity(path: str | Path) -> tuple[int, int] | None:
    """Return what tells a file or folder from every other, whatever path leads to it; None where there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def make_folders(folder: Path) -> None:
    """Make a folder and those above it; trees may be deeper than Python's recursion limit, to which ``Path.mkdir`` is bound.

    Raises:
        OSError: It cannot be made.
    """
    missing: list[Path] = []
    above = folder
    while not above.is_dir() and above != above.parent:
        missing.append(above)
        above = above.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)


def printable(path: str | Path) -> str:
    """Return a path on one line, with control characters and undecodable bytes escaped."""
    return "".join(character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode() for character in str(path))
