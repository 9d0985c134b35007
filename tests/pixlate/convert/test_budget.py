"""The budget bounds bytes, lets one huge image through alone, and ends what waits."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixlate.convert.budget import ByteBudget, Closed

PATIENCE = 30
"""Seconds after which a thread that should have ended is a failure."""


def _started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 150), min_size=1, max_size=60))
def test_no_more_than_the_capacity_is_ever_granted(requests: list[int]) -> None:
    budget, lock = ByteBudget(100), threading.Lock()
    out = peak = 0

    def work(count: int) -> int:
        nonlocal out, peak
        taken = budget.take(count)
        with lock:
            out += taken
            peak = max(peak, out)
        with lock:
            out -= taken
        budget.give_back(taken)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(work, requests, timeout=PATIENCE))
    assert peak <= 100
    assert taken == [min(count, 100) for count in requests]


def test_a_request_larger_than_the_capacity_is_granted_alone() -> None:
    budget = ByteBudget(10)
    budget.take(1)
    granted = threading.Event()

    def huge() -> None:
        budget.take(1000)
        granted.set()

    thread = _started(huge)
    waiter = _started(lambda: budget.take(9))  # fits beside the one, and does not wait
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert not granted.is_set()
    budget.give_back(9)
    assert not granted.is_set()
    budget.give_back(1)
    thread.join(PATIENCE)
    assert granted.is_set()


def test_close_wakes_every_waiter() -> None:
    budget = ByteBudget(10)
    budget.take(10)
    ended: list[str] = []

    def work() -> None:
        try:
            budget.take(1)
        except Closed:
            ended.append("closed")

    threads = [_started(work) for _ in range(5)]
    budget.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert ended == ["closed"] * 5


def test_a_closed_budget_grants_nothing() -> None:
    budget = ByteBudget(10)
    budget.close()
    with pytest.raises(Closed):
        budget.take(0)
