"""The SHA-256 of models' files, remembered in the user's cache, since hashing hundreds of megabytes takes longer than a picture.

A digest is remembered with device, inode, size and times of the file, and is used as long as they are the same. A file that was changed less than
:data:`SETTLED_NS` ago is hashed and not remembered: a second change may not show in its times.
"""

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path
from time import time_ns
from typing import BinaryIO

from pixlate.errors import PixlateError
from pixlate.system.user import TAG, cache_folder, open_kept, tag

SETTLED_NS = 2_000_000_000
"""The coarsest steps, in nanoseconds, in which a file system counts time: those of FAT."""
MOST = 256
"""Digests that are remembered; the oldest are forgotten first."""


def remembered_digest(path: Path) -> str:
    """Return the SHA-256 of a model's file; where the cache is damaged, full, read-only or missing, the file is hashed each time.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        state, settled = _state(file)
        record = _record(path)
        if record is not None and (known := _known(record, state)):
            return known
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if record is not None and settled and _state(file)[0] == state:
            with suppress(OSError):
                _remember(record, f"{digest} {state}\n")
    return digest


def _state(file: BinaryIO) -> tuple[str, bool]:
    """Return what changes with an open file, and whether its last change was long enough ago for the next one to show."""
    status = os.fstat(file.fileno())
    state = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return state, time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS


def _record(path: Path) -> Path | None:
    """Return where the digest of a file is remembered; None for a user without a cache."""
    try:
        return cache_folder() / "digests" / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
    except PixlateError:
        return None


def _known(record: Path, state: str) -> str:
    """Return the remembered digest of a file in this state; nothing where there is none, or the record is damaged."""
    try:
        with open_kept(record) as file:
            digest, _, rest = file.read().decode("ascii").partition(" ")
    except (OSError, UnicodeError):
        return ""
    return digest if rest == f"{state}\n" and len(digest) == 64 else ""


def _remember(record: Path, text: str) -> None:
    """Write a record beside its place, so that no other process sees half of it, and forget the oldest."""
    folder = record.parent
    folder.mkdir(parents=True, exist_ok=True)
    tag(folder)
    part = folder / f".{record.name}-{os.getpid()}-{threading.get_ident()}"
    try:
        with part.open("x", encoding="ascii") as file:
            file.write(text)
        part.replace(record)
    finally:
        part.unlink(missing_ok=True)
    records = sorted((path for path in folder.iterdir() if path.name != TAG), key=lambda path: path.lstat().st_mtime_ns)
    for path in records[:-MOST]:
        path.unlink(missing_ok=True)
