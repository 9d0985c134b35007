"""Pictures of one shape run together, one that fails costs no other, and what nobody waits for is dropped."""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np
import pytest
from tests.pixlate.conftest import Nearest, nearest, noise

from pixlate.errors import DeviceLost, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.batcher import Abandoned, Batch, Batcher, Ticket, in_order
from pixlate.inference.executor import Executor
from pixlate.inference.speed import Speed

PATIENCE = 30
"""Seconds after which a thread that should have ended is a failure."""


class Gate:
    """Holds the model in its first run until it is opened, so that what is submitted meanwhile waits."""

    def __init__(self, then: Callable[[Pixels], None] = lambda pixels: None) -> None:
        self.entered, self.opened, self.then = threading.Event(), threading.Event(), then

    def __call__(self, pixels: Pixels) -> None:
        if not self.entered.is_set():
            self.entered.set()
            assert self.opened.wait(PATIENCE)
        else:
            self.then(pixels)


def filled(gate: Gate, model: Nearest, sizes: list[tuple[int, int]], **options: object) -> list[Pixels | Exception]:
    """Return the results of pictures that arrive while the model is busy with another one."""
    batcher = Batcher([{"": Executor(model, "off", 4)}], **options)  # type: ignore[arg-type]
    batcher.start()
    results: dict[int, Pixels | Exception] = {}
    done: SimpleQueue[int] = SimpleQueue()

    def ticket(index: int, height: int, width: int) -> Ticket:
        def settle(outcome: Pixels | Exception) -> None:
            results[index] = outcome
            done.put(index)

        return Ticket(noise(height, width, seed=index + 1), settle)

    batcher.submit(ticket(-1, 1, 1))
    assert gate.entered.wait(PATIENCE)
    for index, size in enumerate(sizes):
        batcher.submit(ticket(index, *size))
    assert batcher.waiting == len(sizes)
    gate.opened.set()
    for _ in range(len(sizes) + 1):
        done.get(timeout=PATIENCE)
    assert batcher.close(PATIENCE)
    return [results[index] for index in range(len(sizes))]


def test_fullest_group_runs_first_and_no_batch_is_larger_than_it_may() -> None:
    gate = Gate()
    model = Nearest(before=gate)
    results = filled(gate, model, [(3, 3), (2, 5), (2, 5), (2, 5), (2, 5), (2, 5)])
    assert [shape[:3] for shape in model.shapes[1:]] == [(4, 2, 5), (1, 3, 3), (1, 2, 5)]
    for index, (result, size) in enumerate(zip(results, [(3, 3)] + [(2, 5)] * 5, strict=True)):
        np.testing.assert_array_equal(np.asarray(result), nearest(noise(*size, seed=index + 1)[None], 2)[0])


def test_oldest_runs_first_where_that_is_asked_for() -> None:
    gate = Gate()
    model = Nearest(before=gate)
    batches: list[Batch] = []
    filled(gate, model, [(3, 3), (2, 5), (2, 5)], oldest_first=True, watch=batches.append)
    assert [shape[:3] for shape in model.shapes[1:]] == [(1, 3, 3), (2, 2, 5)]
    assert [batch.count for batch in batches] == [1, 1, 2] and all(seconds >= 0 for batch in batches for seconds in (batch.seconds, *batch.waited_s))


def test_picture_that_fails_costs_none_of_its_batch() -> None:
    def fail(pixels: Pixels) -> None:
        if (pixels == noise(2, 5, seed=2)).all(axis=(1, 2, 3)).any():
            raise PixlateError("not this one")

    gate = Gate(fail)
    results = filled(gate, Nearest(before=gate), [(2, 5)] * 3)
    assert [isinstance(result, PixlateError) for result in results] == [False, True, False]


def test_lost_device_is_not_called_again() -> None:
    def lose(pixels: Pixels) -> None:
        raise DeviceLost("cuda:0 answers no more")

    gate = Gate(lose)
    model = Nearest(before=gate)
    assert all(isinstance(result, DeviceLost) for result in filled(gate, model, [(2, 5)] * 3))
    assert len(model.shapes) == 2


def test_exception_in_a_model_reaches_the_caller_and_the_thread_keeps_running(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Executor(Nearest(), "off", 1)
    translate = executor.translate
    monkeypatch.setattr(executor, "translate", lambda images, *more: translate(images, *more) if images[0].shape[0] != 3 else int("a bug"))
    outcomes = list(in_order(executor, ((noise(height, 4), {}) for height in (2, 3, 4))))
    assert isinstance(outcomes[1], ValueError) and [np.asarray(outcome).shape for outcome in (outcomes[0], outcomes[2])] == [(4, 8, 3), (8, 8, 3)]


def test_cancelled_pictures_are_dropped_between_two_runs_of_the_model() -> None:
    wanted = threading.Event()
    wanted.set()
    model = Nearest(before=lambda pixels: wanted.clear())
    outcome: SimpleQueue[Pixels | Exception] = SimpleQueue()
    batcher = Batcher([{"": Executor(model, 32, 1)}])
    batcher.start()
    batcher.submit(Ticket(noise(100, 100), outcome.put, wanted=wanted.is_set))
    assert isinstance(outcome.get(timeout=PATIENCE), Abandoned)
    assert len(model.shapes) == 1
    assert batcher.close(PATIENCE)


def test_queued_and_late_pictures_can_be_withdrawn_or_abandoned() -> None:
    gate = Gate()
    batcher = Batcher([{"": Executor(Nearest(before=gate), "off", 1)}])
    batcher.start()
    outcomes: SimpleQueue[tuple[str, Pixels | Exception]] = SimpleQueue()
    tickets = {name: Ticket(noise(2, 2), lambda outcome, name=name: outcomes.put((name, outcome))) for name in ("running", "withdrawn", "waiting", "late")}  # type: ignore[misc]
    batcher.submit(tickets["running"])
    assert gate.entered.wait(PATIENCE)
    batcher.submit(tickets["withdrawn"])
    batcher.submit(tickets["waiting"])
    batcher.withdraw(tickets["withdrawn"])
    batcher.abandon()
    gate.opened.set()
    assert batcher.close(PATIENCE)
    batcher.submit(tickets["late"])
    found = {}
    while not outcomes.empty():
        name, outcome = outcomes.get()
        found[name] = isinstance(outcome, Abandoned)
    assert found == {"running": False, "waiting": True, "late": True}


def test_picture_alone_waits_for_others_no_longer_than_it_may() -> None:
    batcher = Batcher([{"": Executor(Nearest(), "off", 4)}], wait_s=0.2, oldest_first=True)
    batcher.start()
    outcome: SimpleQueue[Pixels | Exception] = SimpleQueue()
    started = time.monotonic()
    batcher.submit(Ticket(noise(2, 2), outcome.put))
    outcome.get(timeout=PATIENCE)
    assert time.monotonic() - started >= 0.2
    assert batcher.close(PATIENCE)


def test_translations_come_in_order_whatever_runs_together() -> None:
    sizes = [(2, 3), (4, 5), (2, 3), (6, 1), (4, 5), (2, 3)] * 4
    pictures = [noise(*size, seed=index) for index, size in enumerate(sizes)]
    outputs = list(in_order(Executor(Nearest(), "auto", 3), ((picture, {}) for picture in pictures)))
    assert len(outputs) == len(pictures)
    for picture, output in zip(pictures, outputs, strict=True):
        np.testing.assert_array_equal(np.asarray(output), nearest(picture[None], 2)[0])


def between_tiles(pixels_a_second: float, count: int) -> list[tuple[int, ...]]:
    """Return the shapes in their order where small pictures arrive while the first of a large one's 16 tiles runs, and the wait of each of them."""
    outcomes: SimpleQueue[Pixels | Exception] = SimpleQueue()
    speed, small = Speed(), [noise(3, 3, seed=seed) for seed in range(count)]
    speed.record(pixels_a_second * 1000, 1000)

    def arrive(pixels: Pixels) -> None:
        for one in small:
            batcher.submit(Ticket(one, outcomes.put))
        small.clear()

    model = Nearest(before=arrive)
    batcher = Batcher([{"": Executor(model, 32, 1)}], oldest_first=True, speeds={"": speed})
    batcher.submit(Ticket(noise(128, 128), outcomes.put))
    batcher.start()
    results = [outcomes.get(timeout=PATIENCE) for _ in range(count + 1)]
    assert batcher.close(PATIENCE) and all(isinstance(result, np.ndarray) for result in results)
    large = next(result for result in results if isinstance(result, np.ndarray) and result.shape[0] == 256)
    np.testing.assert_array_equal(large, nearest(noise(128, 128)[None], 2)[0])
    return [shape[1:3] for shape in model.shapes]


def test_small_pictures_run_between_the_tiles_of_a_large_one_that_has_begun() -> None:
    shapes = between_tiles(1e12, 2)
    assert shapes[0] == shapes[-1] == (32, 32) and shapes.count((32, 32)) == 16
    assert {index for index, shape in enumerate(shapes) if shape == (3, 3)} <= {*range(1, 6)}


def test_picture_that_would_take_more_than_a_large_one_may_lend_waits_for_its_end() -> None:
    assert between_tiles(1e-3, 2) == [(32, 32)] * 16 + [(3, 3)] * 2


def test_batch_reports_its_own_seconds_and_the_speed_is_measured() -> None:
    speed, seen = Speed(), SimpleQueue[Batch]()
    batcher = Batcher([{"": Executor(Nearest(before=lambda _: time.sleep(0.005)), 32, 1)}], watch=seen.put, speeds={"": speed})
    batcher.submit(Ticket(noise(64, 64), lambda _: None))
    batcher.start()
    batch = seen.get(timeout=PATIENCE)
    assert batcher.close(PATIENCE)
    assert batch.seconds >= 0.02 and 0.5 * 64 * 64 / batch.seconds < speed.pixels_a_second <= 64 * 64 / 0.02
