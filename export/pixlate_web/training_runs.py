"""The run folders of training under the folders of the page: found again now and then, and read where they have changed."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from pixlate.errors import PixlateError
from pixlate.runs.folder import LOCK, LOG, OPTIONS, SAMPLES, STATUS
from pixlate.runs.state import Run, find_runs, read_run
from pixlate.system.locking import is_locked

SHARE = 20
"""Looking for runs is repeated after so many times what it took last time, so that folders of many folders cost little."""
SOONEST_S = 5.0
"""Seconds until it is repeated at the earliest."""


class TrainingRuns:
    """What is known of the runs under some folders; any thread may ask.

    Args:
        folders: Where runs are looked for; nothing else of the disk is shown.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self._lock = Lock()
        self._paths: dict[str, Path] = {}
        self._again = 0.0
        self._read: dict[Path, tuple[object, Run]] = {}

    def read(self) -> dict[str, Run]:
        """Return all runs by name, which is the path below their folder; what cannot be read is left out."""
        with self._lock:
            self._find()
            found = {}
            for name, path in self._paths.items():
                with suppress(PixlateError, OSError):  # removed meanwhile, or not written yet
                    mark = _mark(path)
                    if path not in self._read or self._read[path][0] != mark:
                        self._read[path] = mark, read_run(path)
                    found[name] = self._read[path][1]
            return found

    def sheet(self, name: str, view: str, step: int) -> Path | None:
        """Return the sheet of samples of a run that was found, if there is one."""
        with self._lock:
            path = self._paths.get(name)
            known = self._read.get(path) if path else None
        found = known[1].sheets.get(view, {}).get(step) if known else None
        return found if found is not None and found.is_file() else None

    def _find(self) -> None:
        started = time.monotonic()
        if started < self._again:
            return
        self._paths = dict(_named(self.folders))
        self._read = {path: read for path, read in self._read.items() if path in self._paths.values()}
        ended = time.monotonic()
        self._again = ended + max(SOONEST_S, SHARE * (ended - started))


def _named(folders: Sequence[Path]) -> Iterable[tuple[str, Path]]:
    """Yield runs by name: the path below their folder, with that folder's own name where there are several; that of another of the same name gets a number."""
    taken: dict[str, int] = {}
    for folder in folders:
        for path in find_runs(folder):
            below = path.relative_to(folder)
            name = folder.name if path == folder else below.as_posix() if len(folders) == 1 else (Path(folder.name) / below).as_posix()
            taken[name] = taken.get(name, 0) + 1
            yield (name if taken[name] == 1 else f"{name} ({taken[name]})"), path


def _mark(path: Path) -> object:
    """Return what changes when a run does."""
    found: list[object] = [is_locked(path / LOCK)]
    for name in (OPTIONS, LOG, STATUS, SAMPLES):
        with suppress(FileNotFoundError):
            status = (path / name).stat()
            found.append((name, status.st_mtime_ns, status.st_size))
    return found
