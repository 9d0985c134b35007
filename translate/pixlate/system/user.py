"""The folders of a user's own: a cache, which may be removed at any time, and models that the user has added."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pixlate.errors import PixlateError

TAG = "CACHEDIR.TAG"
"""Name of the file that marks a cache."""
TAGGED = b"Signature: 8a477f597d28d172789f06886806bc55\n# Pixlate can make these files again; `pixlate cache clear` removes them.\n"
"""What it says."""


def cache_folder() -> Path:
    """Return the folder of what Pixlate can make again: ``PIXLATE_CACHE``, else ``pixlate`` in the platform's folder of caches. It need not exist.

    Raises:
        PixlateError: The user has no home folder, and the variable is not set.
    """
    if own := os.environ.get("PIXLATE_CACHE"):
        return Path(own).expanduser().absolute()
    with _home_named_by("PIXLATE_CACHE"):
        if sys.platform == "win32":
            return _windows() / "pixlate" / "cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "pixlate"
        return _xdg("XDG_CACHE_HOME", ".cache") / "pixlate"


def models_folder() -> Path:
    """Return the folder of added models: ``PIXLATE_MODELS``, else ``pixlate/models`` in the platform's folder of data. It need not exist.

    Raises:
        PixlateError: The user has no home folder, and the variable is not set.
    """
    if own := os.environ.get("PIXLATE_MODELS"):
        return Path(own).expanduser().absolute()
    with _home_named_by("PIXLATE_MODELS"):
        if sys.platform == "win32":
            return _windows() / "pixlate" / "models"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "pixlate" / "models"
        return _xdg("XDG_DATA_HOME", ".local/share") / "pixlate" / "models"


@contextmanager
def _home_named_by(variable: str) -> Iterator[None]:
    """Context in which a user without a home folder, as a service may be, is one sentence."""
    try:
        yield
    except RuntimeError as error:
        raise PixlateError(f"this user has no home folder; name a folder with {variable}") from error


def open_kept(path: Path) -> BinaryIO:
    """Open a file of the cache to be read; a pipe that somebody has laid in its place is refused instead of waited for.

    Raises:
        OSError: It is missing, may not be read, or is no regular file.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def tag(folder: Path) -> None:
    """Mark a folder of files whose names begin with a SHA-256, or which are in folders named by the first 16 digits of one, as a cache (the Cache Directory Tagging Specification), which `pixlate cache clear` empties.

    Raises:
        OSError: The folder cannot be written.
    """
    with suppress(FileExistsError), (folder / TAG).open("xb") as file:  # through no link that somebody has laid there
        file.write(TAGGED)


def _xdg(variable: str, default: str) -> Path:
    """Return a folder of the XDG specification, which ignores relative paths."""
    given = Path(os.environ.get(variable, ""))
    return given if given.is_absolute() else Path.home() / default


def _windows() -> Path:
    """Return the local folder of applications' data."""
    return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
