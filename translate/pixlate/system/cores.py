"""The cores available to this process."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pixlate.errors import PixlateError

CORES = "PIXLATE_CORES"
"""Environment variable that sets the cores by hand, for a process that shares the machine with others."""
_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def granted_cores() -> int:
    """Return the processors this process may use: its affinity, limited by ``PIXLATE_CORES`` or else by the quota of its containers (cgroup v2 and v1)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get(CORES)
    if asked is not None:
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10 and int(asked) >= 1):
            raise PixlateError(f"expected {CORES} to be a whole number of at least 1, got {asked[:40]!r}; fix or unset the environment variable")
        return min(cores, int(asked))
    return max(1, min(cores, math.floor(min(_quotas(), default=cores))))


def _quotas() -> Iterator[float]:
    """Yield the processors that each control group over this process allows where it has a limit."""
    for folder in groups("cpu"):
        for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):  # versions 2 and 1
            with suppress(OSError, ValueError, ZeroDivisionError):  # no such group, or the quota is "max"
                quota, period = " ".join((folder / name).read_text() for name in names).split()
                if int(quota) > 0:  # version 1 writes -1 for no limit
                    yield int(quota) / int(period)


def groups(controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups over this process that may limit ``cpu`` or ``memory``; inside a container its own is the root."""
    yield _CGROUPS
    yield _CGROUPS / controller
    try:
        lines = _OWN.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = _CGROUPS / controller if controllers else _CGROUPS
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(1, len(parts) + 1):
            yield top.joinpath(*parts[:depth])
