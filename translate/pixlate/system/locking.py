"""Exclusive locks on files, and writing through to the disk; a mount such as a network drive may know neither."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from pixlate.errors import PixlateError

UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
"""Numbers of the OSError by which a file system says that it does not know what it is asked for."""
PATIENCE = 600.0
"""Seconds to wait for another process that has locked what is written once."""


def lock_file(file: FileIO) -> None:
    """Lock a file until it is closed or the process ends, however it ends.

    Raises:
        BlockingIOError: Another process has locked it.
        OSError: The file system knows no locks: one of ``UNSUPPORTED``.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            file.seek(0)  # the same byte, however long the file has grown
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:  # Windows says "permission denied"
            raise BlockingIOError(errno.EWOULDBLOCK, error.strerror) from error
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(path: Path) -> bool | None:
    """Return whether a process has locked an existing file; None where that cannot be known, since the file system knows no locks.

    On the way the lock is taken for an instant: a process that needs it then waits a moment before it gives up (:func:`lock_within`).
    """
    try:
        with FileIO(path, "r+" if sys.platform == "win32" else "r") as file:
            if sys.platform == "win32":
                lock_file(file)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False


def lock_within(file: FileIO, seconds: float) -> None:
    """Lock a file as :func:`lock_file` does, and try again for some seconds where another process has locked it, which may only be looking."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            lock_file(file)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # no system wakes whoever waits for a lock and for a deadline


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Context in which no other process writes a path: the lock is ``.NAME.lock`` beside it. Where the file system knows no locks, there is none.

    Raises:
        PixlateError: Another process holds the lock for longer than ``PATIENCE``.
        OSError: The folder cannot be written.
    """
    with path.with_name(f".{path.name}.lock").open("ab", buffering=0) as file:
        try:
            lock_within(file, PATIENCE)
        except BlockingIOError:
            raise PixlateError(f"another process has been writing {path} for {PATIENCE:.0f} s; end it, and try again") from None
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
        yield


def sync(handle: int) -> bool:
    """Wait until an open file, or the entries of an open folder, are on the disk; return False where the file system does not know how."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return False
    return True
