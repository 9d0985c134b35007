"""The folder for what is dropped on the pages of one server, and the removal of those that killed servers left behind."""

import os
import shutil
import tempfile
from io import FileIO
from pathlib import Path

from pixlate.system.locking import UNSUPPORTED, lock_file

PREFIX = "pixlate-web-"
LOCK = "lock"
"""File in the folder that is locked as long as its server lives, however it ends."""


class TemporaryFolder:
    """A new folder in the system's temporary folder that belongs to this process until it is removed."""

    def __init__(self) -> None:
        self.path, self._lock = _new()

    def remove(self) -> None:
        """Remove it with all that is in it; again is harmless."""
        self._lock.close()  # first, since Windows removes no open files
        shutil.rmtree(self.path, ignore_errors=True)


def remove_abandoned() -> list[Path]:
    """Remove the folders of this user's servers that ended without removing them, as when they were killed; return which.

    A folder without a lock file is no proof of anything, and one whose file system knows no locks may be in use: both are left alone.
    """
    return [folder for folder in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")) if _removed(folder)]


def _new() -> tuple[Path, FileIO]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = FileIO(path / LOCK, "w")
        try:
            lock_file(lock)
        except BlockingIOError:  # a server that starts at this moment has taken it for abandoned
            lock.close()
            continue
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
        if (path / LOCK).exists():  # it has not been removed before it was locked
            return path, lock
        lock.close()


def _removed(folder: Path) -> bool:
    try:
        if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
            return False
        with FileIO(folder / LOCK, "r+") as lock:
            lock_file(lock)
            for path in folder.iterdir():  # the lock goes last: if this process is killed meanwhile, the next one goes on
                if path.name == LOCK:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
    except OSError:  # in use, or of no server, or removed meanwhile by another
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
