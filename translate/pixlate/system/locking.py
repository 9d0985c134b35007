"""Exclusive locks on files."""

import errno
import sys
from io import FileIO


def lock_file(file: FileIO) -> None:
    """Lock a file until it is closed or the process ends, however it ends; raises BlockingIOError where another process has locked it."""
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
