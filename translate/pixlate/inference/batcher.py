"""Gathers pictures of one shape into batches and runs them in threads: the one way into a model for conversions, servers and evaluations."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType

import numpy as np

from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.conditions import NONE, Arrays
from pixlate.inference.executor import Executor, OnTile
from pixlate.inference.speed import Speed, Turn

LENT = 0.5
"""Seconds that others may have between the tiles of a large picture, for each second of its own: it takes at most half as long again."""
AHEAD = 256 * 1024 * 1024
"""Bytes of pixels that :func:`in_order` reads ahead."""
Key = tuple[str, tuple[int, int], str]
"""What the pictures of a batch have in common: model, shape, and type of samples with whether rows are asked for."""
Lane = Mapping[str, Executor]
"""The executors of one thread by the name of their model."""


class Abandoned(Exception):  # noqa: N818 - not an error: it ends a translation nobody waits for
    """Given to, or raised inside the translation of, pictures that nobody waits for."""


@dataclass(eq=False)
class Ticket:
    """One picture that waits for its model."""

    pixels: Pixels
    """(height, width, channels_in)."""
    done: "Callable[[Pixels | Exception], None]"
    """Called with the output or the reason why there is none, in the thread that ran the model; raises nothing. Of what ``strip`` has received no row is left."""
    conditions: Arrays = field(default_factory=lambda: NONE)
    """Without a batch axis."""
    model: str = ""
    """Name of its model in the lanes."""
    wanted: Callable[[], bool] = lambda: True
    """Whether somebody still waits for it; asked before each run of the model."""
    strip: "Callable[[Pixels], None] | None" = None
    """Called with the next rows of the output as soon as they are finished, in the thread that runs the model; what it raises ends the translation."""
    cost: int = 1
    """What each of its source pixels counts for ``on_tile`` of the batcher; one for all pictures of a model."""
    arrived: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Batch:
    """What has run, for metrics."""

    model: str
    count: int
    seconds: float
    """Without what others took between its tiles."""
    waited_s: Sequence[float]


class Batcher:
    """Runs what waits: for each lane one thread, which takes a batch of one shape and type whenever it is free.

    With ``speeds``, pictures that take little time run between the tiles of a large one, see :data:`LENT`, and the speeds are measured.

    Args:
        lanes: One for each thread; several may share an executor.
        wait_s: Longest time a picture waits for others to fill its batch.
        oldest_first: Whether the batch whose first picture came first is run next; else the fullest.
        warm_up: Called in each thread before its first batch.
        watch: Called with each batch that has run, in its thread.
        speeds: Of each model by its name in the lanes, or none at all.
        on_tile: Called with the source pixels of each tile or picture that is done, in the thread that ran it; see :data:`pixlate.inference.executor.OnTile`.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        wait_s: float = 0.0,
        oldest_first: bool = False,
        warm_up: Callable[[], None] = lambda: None,
        watch: Callable[[Batch], None] = lambda batch: None,
        speeds: Mapping[str, Speed] = MappingProxyType({}),
        on_tile: OnTile = lambda pixels: None,
    ) -> None:
        self._speeds, self._on_tile = speeds, on_tile
        self._lanes, self._wait_s, self._oldest_first, self._warm_up, self._watch = lanes, wait_s, oldest_first, warm_up, watch
        self._waiting: dict[Key, deque[Ticket]] = {}
        self._changed = threading.Condition()
        self._open = True
        self._threads = [threading.Thread(target=self._loop, args=(lane,), name=f"translate-{index}", daemon=True) for index, lane in enumerate(lanes)]

    def start(self) -> None:
        """Warm up, then take pictures."""
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Pictures that no thread has taken yet."""
        return sum(map(len, self._waiting.copy().values()))

    def submit(self, ticket: Ticket) -> None:
        """Let a picture wait for its model; after :meth:`close` it is abandoned at once."""
        key = ticket.model, self._lanes[0][ticket.model].shape(*ticket.pixels.shape[:2]), f"{ticket.pixels.dtype.str}{' by rows' if ticket.strip else ''}"
        with self._changed:
            if self._open:
                self._waiting.setdefault(key, deque()).append(ticket)
                self._changed.notify_all()
                return
        ticket.done(Abandoned())

    def withdraw(self, ticket: Ticket) -> bool:
        """Take a picture out of the queue and return True, where it still waits."""
        with self._changed:
            for key, tickets in self._waiting.items():
                if ticket in tickets:
                    tickets.remove(ticket)
                    if not tickets:
                        del self._waiting[key]
                    return True
        return False

    def abandon(self) -> None:
        """Abandon the pictures that wait."""
        with self._changed:
            dropped = [ticket for tickets in self._waiting.values() for ticket in tickets]
            self._waiting.clear()
        for ticket in dropped:
            ticket.done(Abandoned())

    def close(self, timeout_s: float | None = None) -> bool:
        """Abandon the pictures that wait and take no more; return whether all threads have ended in time."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self.abandon()
        end = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _loop(self, lane: Lane) -> None:
        self._warm_up()
        while tickets := self._next(lane):
            self._run(lane, tickets)
            del tickets  # or the last pictures would stay in memory until others come

    def _run(self, lane: Lane, tickets: list[Ticket]) -> None:
        """Run one batch and report each picture's result, releasing it at once."""
        started, model = time.monotonic(), tickets[0].model
        turn = Turn(started)
        outcomes = self._outcomes(lane, tickets, turn)
        self._watch(Batch(model, len(tickets), turn.own(time.monotonic()), [started - ticket.arrived for ticket in tickets]))
        while tickets:
            tickets.pop(0).done(outcomes.pop(0))

    def _outcomes(self, lane: Lane, tickets: Sequence[Ticket], turn: Turn) -> "list[Pixels | Exception]":
        """Return the translation of each picture, or why there is none; where a batch fails, each runs by itself, since one of them may be at fault."""
        executor, speed = lane[tickets[0].model], self._speeds.get(tickets[0].model)
        sizes = [ticket.pixels.shape[:2] for ticket in tickets]
        overlap = sum(executor.work(*size) for size in sizes) / sum(map(prod, sizes))

        def go_on() -> None:
            if not any(ticket.wanted() for ticket in tickets):
                raise Abandoned
            if speed is not None:
                self._lend(lane, turn)

        def record(pixels: int) -> None:
            self._on_tile(pixels * tickets[0].cost)
            if speed is not None:
                speed.record(pixels * overlap, turn.since_last(time.monotonic()))

        try:
            if tickets[0].strip is not None:
                return [_by_rows(executor, tickets[0], go_on, record)]
            return list(executor.translate([ticket.pixels for ticket in tickets], go_on, [ticket.conditions for ticket in tickets], record))
        except (PixlateError, OutOfDeviceMemory, MemoryError) as error:
            if not any(ticket.wanted() for ticket in tickets):  # it may have been ended for that
                return [Abandoned()] * len(tickets)
            if len(tickets) == 1 or isinstance(error, DeviceLost):
                return [error] * len(tickets)
            return [outcome for ticket in tickets for outcome in self._outcomes(lane, [ticket], turn)]
        except Exception as error:  # noqa: BLE001 - a bug must not end the thread that serves the others, and who waits raises it
            return [error] * len(tickets)

    def _lend(self, lane: Lane, turn: Turn) -> None:
        """Between two tiles of a picture, run the batches for which it has seconds to lend."""
        while tickets := self._short(lane, turn.may_lend(time.monotonic(), LENT)):
            begun = time.monotonic()
            self._run(lane, tickets)
            turn.lend(time.monotonic() - begun)

    def _short(self, lane: Lane, seconds: float) -> list[Ticket]:
        """Take the batch that is due, will take at most so many seconds, and whose first picture came first; none where there is no such batch."""
        with self._changed:
            now = time.monotonic()
            short = [key for key, tickets in self._waiting.items() if self._due(lane, key, tickets) <= now and self._seconds(lane, key) <= seconds]
            return self._take(lane, min(short, key=lambda key: self._waiting[key][0].arrived)) if short else []

    def _seconds(self, lane: Lane, key: Key) -> float:
        """Return how long the next batch of a kind will take."""
        model, shape, _ = key
        executor, speed = lane[model], self._speeds[model]
        return speed.seconds(min(len(self._waiting[key]), executor.batch_size(*shape)) * executor.work(*shape))

    def _next(self, lane: Lane) -> list[Ticket]:
        """Wait for a full batch, or one whose oldest picture has waited long enough; return none where the batcher is closed."""
        with self._changed:
            while self._open:
                now = time.monotonic()
                due = {key: self._due(lane, key, tickets) for key, tickets in self._waiting.items()}
                ready = [key for key, at in due.items() if at <= now]
                if ready and self._oldest_first:
                    return self._take(lane, min(ready, key=lambda key: self._waiting[key][0].arrived))
                if ready:
                    return self._take(lane, max(ready, key=lambda key: len(self._waiting[key])))
                self._changed.wait(min(due.values()) - now if due else None)
        return []

    def _due(self, lane: Lane, key: Key, tickets: deque[Ticket]) -> float:
        """Return when a batch is to run: at once where it is full."""
        full = len(tickets) >= lane[key[0]].batch_size(*key[1])
        return tickets[0].arrived + (0 if full else self._wait_s)

    def _take(self, lane: Lane, key: Key) -> list[Ticket]:
        tickets = self._waiting[key]
        most = 1 if tickets[0].strip is not None else lane[key[0]].batch_size(*key[1])
        taken = [tickets.popleft() for _ in range(min(len(tickets), most))]
        if not tickets:
            del self._waiting[key]
        return taken


def _by_rows(executor: Executor, ticket: Ticket, before_each: Callable[[], None], on_tile: OnTile) -> Pixels:
    """Translate a picture into its ``strip``; return what is left, no row."""
    assert ticket.strip is not None
    for rows in executor.strips(ticket.pixels, before_each, ticket.conditions, on_tile):
        ticket.strip(rows)
        del rows  # or it would stay in memory while the next are translated
    return np.empty((0, ticket.pixels.shape[1] * executor.spec.scale, executor.spec.channels_out), ticket.pixels.dtype)


def in_order(executor: Executor, pictures: "Iterable[tuple[Pixels, Arrays]]") -> "Iterator[Pixels | Exception]":
    """Yield the translation of each picture (height, width, channels_in) with its conditions, or why there is none, in order, while the next are read."""
    batcher = Batcher([{"": executor}])
    batcher.start()
    ahead: deque[tuple[int, Future[Pixels | Exception]]] = deque()
    try:
        for pixels, conditions in pictures:
            future: Future[Pixels | Exception] = Future()
            batcher.submit(Ticket(pixels, future.set_result, conditions))
            ahead.append((pixels.nbytes, future))
            while len(ahead) > 2 * executor.most_at_once or sum(size for size, _ in ahead) > AHEAD:
                yield ahead.popleft()[1].result()
        while ahead:
            yield ahead.popleft()[1].result()
    finally:
        executor.terminate()
        batcher.close()
