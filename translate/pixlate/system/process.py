"""This process: the cores it may use, locks on files, and the signals that stop it."""

import errno
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
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
    """Return the processors this process may use: its affinity, limited by ``PIXLATE_CORES`` or else by the quota of its containers (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get(CORES)
    if asked is not None:
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10 and int(asked) >= 1):
            raise PixlateError(f"expected {CORES} to be a whole number of at least 1, got {asked[:40]!r}; fix or unset the environment variable")
        return min(cores, int(asked))
    return max(1, min(cores, math.floor(min(_quotas(), default=cores))))


def _quotas() -> Iterator[float]:
    """Yield the processors that each control group over this process allows where it has a limit; inside a container its own is the root."""
    own = ""
    with suppress(OSError):
        own = next((line.removeprefix("0::") for line in _OWN.read_text().splitlines() if line.startswith("0::")), "")
    parts = [part for part in own.split("/") if part not in ("", "..")]
    for depth in range(len(parts) + 1):
        with suppress(OSError, ValueError, ZeroDivisionError):  # no such group, or the quota is "max"
            quota, period = _CGROUPS.joinpath(*parts[:depth], "cpu.max").read_text().split()
            yield int(quota) / int(period)


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


class StopOnSignal:
    """Context in which SIGTERM and SIGINT only request a stop; outside the main thread, where signals cannot be taken, it does nothing.

    ``tell`` is called when one arrives, in the main thread.
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
