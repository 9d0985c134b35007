"""Cores granted to the process."""

import os
from pathlib import Path

import pytest

from pixlate.errors import PixlateError
from pixlate.system import cores as machine


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty tree of control groups; ``own`` names those of this process."""
    monkeypatch.delenv(machine.CORES, raising=False)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "_OWN", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "groups").mkdir()
    return tmp_path / "groups"


@pytest.mark.parametrize(
    ("affinity", "quota", "cores"),
    [(8, "max 100000", 8), (8, "200000 100000", 2), (8, "150000 100000", 1), (8, "20000 100000", 1), (2, "900000 100000", 2), (8, "nonsense", 8), (8, None, 8)],
)
def test_cores_are_the_affinity_within_the_quota(affinity: int, quota: str | None, cores: int, monkeypatch: pytest.MonkeyPatch, groups: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(affinity)), raising=False)
    if quota is not None:
        (groups / "cpu.max").write_text(quota + "\n")
    assert machine.granted_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3), ("50000", 1)])
def test_quota_of_the_older_control_groups_counts_too(quota: str, cores: int, groups: Path) -> None:
    (groups / "cpu").mkdir()
    (groups / "cpu/cpu.cfs_quota_us").write_text(quota + "\n")
    (groups / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert machine.granted_cores() == cores


def test_quota_of_a_service_counts_in_the_older_control_groups_too(groups: Path) -> None:
    groups.with_name("own").write_text("5:memory:/other\n4:cpu,cpuacct:/system.slice/pixlate.service\n0::/\n")
    service = groups / "cpu/system.slice/pixlate.service"
    service.mkdir(parents=True)
    (service / "cpu.cfs_quota_us").write_text("200000\n")
    (service / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.granted_cores() == 2


@pytest.mark.parametrize("limited", ["system.slice", "system.slice/pixlate.service"])
def test_quota_of_a_service_and_of_the_slice_above_it_counts_outside_containers(limited: str, groups: Path) -> None:
    groups.with_name("own").write_text("0::/system.slice/pixlate.service\n")
    (groups / "system.slice/pixlate.service").mkdir(parents=True)
    (groups / limited / "cpu.max").write_text("400000 100000\n")
    assert machine.granted_cores() == 4


def test_environment_sets_the_cores_by_hand_within_the_affinity(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (groups / "cpu.max").write_text("200000 100000\n")
    for asked, cores in (("1", 1), ("5", 5), ("99", 8)):
        monkeypatch.setenv(machine.CORES, asked)
        assert machine.granted_cores() == cores


@pytest.mark.parametrize("asked", ["0", "-1", "two", "", "1.5", "²"])
def test_environment_that_is_no_number_is_refused(asked: str, groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(machine.CORES, asked)
    with pytest.raises(PixlateError, match=r"expected PIXLATE_CORES to be a whole number of at least 1, got .*; fix or unset"):
        machine.granted_cores()


def test_a_system_without_affinity_counts_its_processors(monkeypatch: pytest.MonkeyPatch, groups: Path) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert machine.granted_cores() == 5
