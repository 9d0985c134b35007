"""This process: the cores it may use, locks on files, and the signals that stop it."""

import errno
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from types import FrameType
from typing import Self

from pixlate.errors import PixlateError

CORES = "PIXLATE_CORES"
"""Environment variable that sets the cores by hand, for a process that shares the machine with others."""
_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def granted_cores() -> int:
    """Return the processors this process may use: its affinity, further limited by the quota of its containers (cgroup v2 and v1) and by ``PIXLATE_CORES``.

    Raises:
        PixlateError: ``PIXLATE_CORES`` is no whole number of at least 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get(CORES)
    if asked is not None:
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10 and int(asked) >= 1):
            raise PixlateError(f"expected {CORES} to be a whole number of at least 1, got {asked[:40]!r}; fix or unset the environment variable")
        return min(cores, int(asked))
    return max(1, min(cores, math.floor(min(_quotas(), default=cores))))


def _quotas() -> Iterator[float]:
    """Yield the processors that each control group over this process allows; none where there is no limit."""
    for folder in _groups():
        for quota, period in (("cpu.max", ""), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            try:
                words = " ".join((folder / name).read_text() for name in (quota, period) if name).split()
                allowed = int(words[0]) / int(words[1])
            except (OSError, ValueError, IndexError, ZeroDivisionError):  # no such group, or the quota is "max"
                continue
            if allowed > 0:  # version 1 writes -1 for no limit
                yield allowed


def _groups() -> Iterator[Path]:
    """Yield the folders of this process's control groups: inside a container its own is the root."""
    yield _CGROUPS
    yield _CGROUPS / "cpu"
    try:
        lines = _OWN.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = _CGROUPS / "cpu" if controllers else _CGROUPS
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(1, len(parts) + 1):
            yield top.joinpath(*parts[:depth])


def lock_file(file: FileIO) -> None:
    """Lock a file for this process until it is closed or the process ends, however it ends.

    Raises:
        BlockingIOError: Another process has locked it.
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


class StopOnSignal:
    """Context in which SIGTERM and SIGINT only request a stop; outside the main thread, where signals cannot be taken, it does nothing.

    Args:
        tell: Called when one arrives, in the main thread.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self.asked = False
        self._tell = tell
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._tell()
