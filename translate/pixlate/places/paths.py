"""Local paths: what they say before a file is opened, the walk through folders, and what a glob names."""

import errno
import fnmatch
import hashlib
import os
import stat
import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from glob import has_magic
from pathlib import Path, PurePath

from pixlate.errors import PixlateError
from pixlate.plugin.place import Failures, Version


def version_of(source: str) -> Version:
    """Return size and time of an image file, and see that it is a file: opening a pipe would wait for its writer for ever."""
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
    return Version(status.st_size, status.st_mtime_ns, status.st_atime_ns)


def identity(path: str | Path) -> tuple[int, int] | None:
    """Return what identifies a file or folder, whatever path leads to it; None if it does not exist."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of millions, for which pathlib is slow
    except OSError:
        return None
    return status.st_dev, status.st_ino


def make_folders(folder: Path) -> None:
    """Make a folder and those above it; trees may be deeper than Python's recursion limit, to which ``Path.mkdir`` is bound."""
    missing: list[Path] = []
    while not folder.is_dir() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)


def unwritable(folder: Path) -> str:
    """Return why nothing can be written into a folder, which need not exist; empty where nothing is known against it."""
    above = folder.absolute()
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if not os.path.isdir(above):  # noqa: PTH112 - pathlib raises where a folder above may not be read
        return os.strerror(errno.ENOTDIR)
    if os.access(above, os.W_OK | os.X_OK):
        return ""
    return os.strerror(errno.EROFS if hasattr(os, "statvfs") and os.statvfs(above).f_flag & os.ST_RDONLY else errno.EACCES)


def digest_file(path: Path | int) -> str:
    """Return the SHA-256 of a file, or of an open one, which is closed."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib knows no open files
        return hashlib.file_digest(file, "sha256").hexdigest()


def folds_case(root: Path) -> bool:
    """Return whether the disk of the output folder is case-insensitive, as those of macOS and Windows do."""
    if os.path.normcase("A") == "a":
        return True
    folder = Path(os.path.realpath(root))
    while not os.path.isdir(folder) and folder != folder.parent:  # noqa: PTH112
        folder = folder.parent
    inside = None if folder.is_mount() else folder
    with suppress(OSError), os.scandir(folder) as entries:
        inside = next((Path(entry.path) for entry in entries if entry.name.swapcase() != entry.name), inside)
    if inside is None or identity(inside) is None:
        return False
    return identity(inside) == identity(inside.with_name(inside.name.swapcase()))


def walk(top: Path, out: Path | None, failures: Failures, wanted: Callable[[Path], bool] = lambda folder: True) -> Iterator[str]:
    """Yield the files below a folder in the order of their names, through links too; the output and hidden folders are left out.

    Args:
        top: The folder.
        out: The output folder, which is skipped where it is below; None if it is not on a local disk.
        failures: Receives the folders that cannot be read and the links that lead back to a folder above them.
        wanted: Returns whether to enter a folder.
    """
    output = None if out is None else identity(out)
    levels: list[tuple[tuple[int, int] | None, Iterator[os.DirEntry[str]]]] = []

    def enter(folder: str) -> None:
        own = identity(folder)
        if own is not None and any(own == other for other, _ in levels):
            failures.append((folder, "is a link back to a folder that holds it; its images count once, remove the link"))
        elif not (levels and own == output and own is not None):
            try:
                with os.scandir(folder) as entries:
                    levels.append((own, iter(sorted(entries, key=lambda entry: entry.name))))
            except OSError as error:
                failures.append((folder, f"the folder cannot be read ({error.strerror}); check its path and permissions"))

    enter(str(top))
    while levels:
        entry = next(levels[-1][1], None)
        if entry is None:
            levels.pop()
        elif not _is_folder(entry):
            yield entry.path
        elif not entry.name.startswith(".") and wanted(Path(entry.path)):
            enter(entry.path)


def find(pattern: Path, out: Path | None, failures: Failures) -> tuple[Path, Iterator[str]]:
    """Return the folder a glob such as ``photos/**/*.jpg`` starts in, and the files it names; see :func:`walk` and :func:`is_named`."""
    first = next(index for index, part in enumerate(pattern.parts) if has_magic(part))
    base, rest = Path(*pattern.parts[:first]), pattern.parts[first:]
    fixed = rest.index("**") if "**" in rest else len(rest) - 1

    def wanted(folder: Path) -> bool:
        parts = folder.relative_to(base).parts
        if len(parts) >= len(rest) and "**" not in rest:
            return False
        return all(fnmatch.fnmatch(part, like) for part, like in zip(parts, rest[:fixed], strict=False))

    below = walk(base, out, failures, wanted) if os.path.isdir(base) else ()  # noqa: PTH112 - pathlib raises where a folder above may not be read
    return base, (path for path in below if is_named(Path(path).relative_to(base).parts, rest))


def is_named(parts: tuple[str, ...], like: tuple[str, ...]) -> bool:
    """Return whether a path, part by part, is one that a glob names: ``**`` matches any number of folders."""
    if not like or not parts:
        return not like and not parts
    if like[0] == "**":
        return len(like) == 1 or any(is_named(parts[first:], like[1:]) for first in range(len(parts)))
    return fnmatch.fnmatch(parts[0], like[0]) and is_named(parts[1:], like[1:])


def is_excluded(parts: tuple[str, ...], patterns: Sequence[str]) -> bool:
    """Return whether a path, or a folder above it, is named by one of the globs; one without a slash names the last part alone."""
    for pattern in patterns:
        like = PurePath(pattern.strip("/")).parts
        for depth in range(1, len(parts) + 1):
            if fnmatch.fnmatch(parts[depth - 1], like[0]) if len(like) == 1 and "/" not in pattern.rstrip("/") else is_named(parts[:depth], like):
                return True
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; reading it will say so
        return False


def pair_name(path: PurePath) -> str:
    """Return the name by which images of two folders belong together: the relative path without suffix, with slashes, in one form of Unicode."""
    return unicodedata.normalize("NFC", path.with_suffix("").as_posix())


def require_folder(folder: Path, holds: str = "images") -> None:
    """Refuse what is no folder, which is to hold images or what ``holds`` names."""
    if not folder.is_dir():
        raise PixlateError(f"expected a folder of {holds}, got {folder}, which is {'a file' if folder.exists() else 'not there'}; name a folder")


def images_by_name(folder: Path, suffixes: Container[str]) -> dict[str, Path]:
    """Return the images in and below a folder by :func:`pair_name`, in the order of their paths; hidden ones are left out.

    Raises:
        PixlateError: It is no folder, holds none, or a part of it cannot be read, or two have one name.
    """
    require_folder(folder)
    failures: Failures = []
    found: dict[str, Path] = {}
    for path in sorted(map(Path, walk(folder, folder, failures))):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        name = pair_name(path.relative_to(folder))
        if name in found:
            raise PixlateError(f"expected one image of each name, got {found[name]} and {path}; take one of them out")
        found[name] = path
    for path_failed, reason in failures:
        raise PixlateError(f"{path_failed}: {reason}")
    return found
