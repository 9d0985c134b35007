"""Local files: what their paths say before they are opened."""

import hashlib
import os
import stat
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.plugin.place import Version


def version_of(source: str) -> Version:
    """Return size and time of an image file, and see that it is a file: opening a pipe would wait for its writer for ever.

    Raises:
        PixlateError: It vanished, a link leads nowhere or to itself, or it is no regular file. One sentence without the path.
    """
    try:
        status = Path(source).stat()
    except FileNotFoundError as error:
        if Path(source).is_symlink():
            raise PixlateError("is a link to a file that is not there; fix or remove the link") from error
        raise PixlateError("there is no such file; it may have been moved or renamed since the folder was listed") from error
    except OSError as error:
        raise PixlateError(f"the file cannot be read ({error.strerror}); check its path and permissions") from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise PixlateError(f"expected a file, got {what}; leave it out")
    return Version(status.st_size, status.st_mtime_ns)


def identity(path: str | Path) -> tuple[int, int] | None:
    """Return what identifies a file or folder, whatever path leads to it; None if it does not exist."""
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


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folds_case(root: Path) -> bool:
    """Return whether the disk of the output folder is case-insensitive, as those of macOS and Windows do."""
    if os.path.normcase("A") == "a":
        return True
    folder = Path(os.path.realpath(root))
    while not os.path.isdir(folder) and folder != folder.parent:  # noqa: PTH112
        folder = folder.parent
    try:
        with os.scandir(folder) as entries:
            inside = next((Path(entry.path) for entry in entries if entry.name.swapcase() != entry.name), None)
    except OSError:
        inside = None
    if inside is None and not folder.is_mount():
        inside = folder
    if inside is None or identity(inside) is None:
        return False
    return identity(inside) == identity(inside.with_name(inside.name.swapcase()))
