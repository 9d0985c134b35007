"""Exclusive locks on files, and writing through to the disk; a mount such as a network drive may know neither."""

import errno
import os
import sys
from io import FileIO

UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
"""Numbers of the OSError by which a file system says that it does not know what it is asked for."""


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


def sync(handle: int) -> bool:
    """Wait until an open file, or the entries of an open folder, are on the disk; return False where the file system does not know how."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return False
    return True
