"""The memory of this process is that of the machine, or of the smallest control group over it."""

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
