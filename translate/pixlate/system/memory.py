"""The memory available to this process, and what it keeps of it."""

import ctypes
import os
import sys
from contextlib import suppress

from pixlate.system.cores import groups

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of options in the ``malloc.h`` of glibc."""
_LARGE = 1 << 20
"""Bytes from which a block is returned to the system when it is freed. From 4 MB on, a folder of many sizes takes a quarter more memory; below 1 MB
nothing is saved, and each block costs the system a mapping and a page fault for every 4 KB."""


def return_freed_memory() -> None:
    """Have this process return large blocks to the system as soon as they are freed, where its C library is glibc; for commands, not for libraries.

    Without it, glibc takes blocks of up to 32 MB from heaps once one of that size has been freed, and small blocks that live longer keep parts of those
    heaps for ever: the memory of a long run over pictures of many sizes grows with their number.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)


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
