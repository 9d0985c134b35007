"""The memory of this process is that of the machine, or of the smallest control group over it, and what it frees returns to the system."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from pixlate.system import cores
from pixlate.system.memory import granted_memory


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of 8 GB without control groups."""
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "_OWN", tmp_path / "own")
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_PHYS_PAGES": 2_000_000, "SC_PAGE_SIZE": 4000}[name])
    return tmp_path / "groups"


def test_memory_is_that_of_the_machine_where_no_group_has_a_limit(groups: Path) -> None:
    assert granted_memory() == 8_000_000_000


@pytest.mark.parametrize(("file", "text", "memory"), [
    ("memory.max", "3000000000\n", 3_000_000_000), ("memory.max", "max\n", 8_000_000_000), ("memory/memory.limit_in_bytes", "1000000\n", 1_000_000),
    ("memory/memory.limit_in_bytes", "9223372036854771712\n", 8_000_000_000), ("service/part/memory.max", "5\n", 5), ("other/memory.max", "5\n", 8_000_000_000),
])  # fmt: skip
def test_limits_of_control_groups_count(groups: Path, file: str, text: str, memory: int) -> None:
    (groups.parent / "own").write_text("0::/service/part\n")
    (groups / file).parent.mkdir(parents=True, exist_ok=True)
    (groups / file).write_text(text)
    assert granted_memory() == memory


def test_memory_is_0_where_the_system_does_not_say(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sysconf")
    assert granted_memory() == 0


MAPPED = """
import ctypes, sys
from pixlate.system.memory import return_freed_memory

if "--return" in sys.argv:
    return_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
libc.free(libc.malloc(16 << 20))
block = libc.malloc(8 << 20)
maps = [line.split()[0].split("-") for line in open("/proc/self/maps") if "[heap]" in line]
print(not any(int(start, 16) <= block < int(end, 16) for start, end in maps))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is that of glibc")
@pytest.mark.parametrize(("words", "mapped"), [((), "False"), (("--return",), "True")])
def test_large_blocks_are_no_part_of_the_heap_even_after_one_was_freed(words: tuple[str, ...], mapped: str) -> None:
    if not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("the C library is not glibc")
    run = subprocess.run([sys.executable, "-c", MAPPED, *words], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == mapped
