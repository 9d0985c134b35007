"""Threads that give way to others."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pixlate.system.priority import STEP, run_in_background

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness of each thread")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_background_thread_is_nicer_and_the_others_stay_as_they_are() -> None:
    before = niceness()
    with ThreadPoolExecutor(1, initializer=run_in_background) as pool:
        assert pool.submit(niceness).result() == min(19, before + STEP)
    assert niceness() == before


def test_a_thread_that_is_as_nice_as_can_be_stays_so() -> None:
    def often() -> int:
        for _ in range(10):
            run_in_background()
        return niceness()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(often).result() == 19


def test_a_machine_that_forbids_it_only_loses_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    before = niceness()
    run_in_background()
    assert niceness() == before
