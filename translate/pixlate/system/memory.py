"""The memory available to this process."""

import os
from contextlib import suppress

from pixlate.system.cores import groups


def granted_memory() -> int:
    """Return the bytes of memory of this machine, or fewer where a container allows fewer (cgroup v2 and v1); 0 where the system does not say."""
    limits = []
    with suppress(AttributeError, ValueError, OSError):  # not on Windows
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for folder in groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):  # versions 2 and 1
            with suppress(OSError, ValueError):  # no such group, or the limit is "max"
                limits.append(int((folder / name).read_text()))
    return min((limit for limit in limits if limit > 0), default=0)
