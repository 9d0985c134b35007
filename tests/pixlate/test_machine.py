"""Cores granted to the process."""

import os
from pathlib import Path

import pytest

from pixlate import machine


@pytest.mark.parametrize(
    ("affinity", "quota", "cores"),
    [(8, "max 100000", 8), (8, "200000 100000", 2), (8, "150000 100000", 1), (8, "20000 100000", 1), (2, "900000 100000", 2), (8, "nonsense", 8), (8, None, 8)],
)
def test_cores_are_the_affinity_within_the_quota(affinity: int, quota: str | None, cores: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(affinity)), raising=False)
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    assert machine.granted_cores() == cores


def test_a_system_without_affinity_counts_its_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "missing")
    assert machine.granted_cores() == 5
