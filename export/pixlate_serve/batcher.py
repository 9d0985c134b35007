"""Gathers the pictures of concurrent requests into batches: one thread a device, so that no two models of a device run at once."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from pixlate.images.picture import Pixels
from pixlate_serve.refusals import Refusal, internal
from pixlate_serve.served import ServedModel, log

Key = tuple[str, tuple[int, int], str]
Watch = Callable[["Batch"], None]


@dataclass(eq=False)
class Ticket:
    """One picture that waits for its model."""

    model: ServedModel
    pixels: Pixels
    """(height, width, channels_in)."""
    outcome: "Future[Pixels]" = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    wanted: bool = True
    """Whether somebody still waits for it."""

    key: Key = field(init=False)
    """What pictures that run together have in common, as it was when this one came."""

    def __post_init__(self) -> None:
        self.key = self.model.name, self.model.shape(*self.pixels.shape[:2]), self.pixels.dtype.str


@dataclass(frozen=True, eq=False)
class Batch:
    """What has run, for the metrics."""

    model: ServedModel
    count: int
    seconds: float
    waited_s: Sequence[float]


class Abandoned(Exception):  # noqa: N818 - not an error: it ends a translation nobody waits for
    """Raised inside a translation when every client of it has gone away."""


class Batcher:
    """Runs what waits for the models of one device, the oldest first.

    Args:
        device: For the thread's name.
        models: Warmed up before the first picture.
        wait_s: Longest time a picture waits for others of its shape.
        watch: Told of each batch, in the batcher's thread.
    """

    def __init__(self, device: str, models: Sequence[ServedModel], wait_s: float, watch: Watch) -> None:
        self._models, self._wait_s, self._watch = models, wait_s, watch
        self._waiting: dict[Key, deque[Ticket]] = {}
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._loop, name=f"model-{device}", daemon=True)

    def start(self) -> None:
        """Warm the models up, then take pictures."""
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Take no more pictures, drop those that wait, and tell whether the thread has ended in time."""
        with self._changed:
            self._open = False
            for tickets in self._waiting.values():
                for ticket in tickets:
                    ticket.wanted = False
                    ticket.outcome.cancel()
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    async def translated(self, model: ServedModel, pixels: Pixels) -> Pixels:
        """Return the translated picture; where the caller is cancelled, the picture leaves the queue.

        Raises:
            Refusal: Why there is none.
        """
        ticket = Ticket(model, pixels)
        with self._changed:
            self._waiting.setdefault(ticket.key, deque()).append(ticket)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(ticket.outcome)
        finally:
            ticket.wanted = False
            if ticket.outcome.cancelled():
                self._drop(ticket)

    def _drop(self, ticket: Ticket) -> None:
        with self._changed:
            tickets = self._waiting.get(ticket.key, deque())
            if ticket in tickets:
                tickets.remove(ticket)
            if not tickets:
                self._waiting.pop(ticket.key, None)

    def _loop(self) -> None:
        for model in self._models:
            model.warm_up()
        while (tickets := self._next()) is not None:
            running = [ticket for ticket in tickets if ticket.outcome.set_running_or_notify_cancel()]
            del tickets
            if running:
                self._run(running)
            del running  # or the last pictures would stay in memory until others come

    def _next(self) -> list[Ticket] | None:
        """Wait for a full batch, or one whose oldest picture has waited long enough; return None where there is nothing more to come."""
        with self._changed:
            while self._open:
                now = time.monotonic()
                due = {key: self._due(key, tickets) for key, tickets in self._waiting.items()}
                ready = [key for key, at in due.items() if at <= now]
                if ready:
                    return self._take(min(ready, key=lambda key: self._waiting[key][0].arrived))
                self._changed.wait(min(due.values()) - now if due else None)
        return None

    def _due(self, key: Key, tickets: deque[Ticket]) -> float:
        """Return when a batch is to run: at once where it is full."""
        oldest = tickets[0]
        full = len(tickets) >= oldest.model.batch_size(*key[1])
        return oldest.arrived if full else oldest.arrived + self._wait_s

    def _take(self, key: Key) -> list[Ticket]:
        tickets = self._waiting[key]
        count = min(len(tickets), tickets[0].model.batch_size(*key[1]))
        taken = [tickets.popleft() for _ in range(count)]
        if not tickets:
            del self._waiting[key]
        return taken

    def _run(self, tickets: list[Ticket]) -> None:
        model = tickets[0].model
        started = time.monotonic()

        def go_on() -> None:
            if not any(ticket.wanted for ticket in tickets):
                raise Abandoned

        try:
            outcomes = model.run([ticket.pixels for ticket in tickets], go_on)
        except Abandoned:
            outcomes = [Refusal(499, "gone", "the client has gone away") for _ in tickets]
        except Exception:  # noqa: BLE001 - a bug in a model must not end the thread that serves the others
            log.exception("%s: unexpected error", model.name)
            outcomes = [internal() for _ in tickets]
        self._watch(Batch(model, len(tickets), time.monotonic() - started, [started - ticket.arrived for ticket in tickets]))
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                ticket.outcome.set_exception(outcome)
            else:
                ticket.outcome.set_result(outcome)
