"""Conversions that pages ask for: one runs at a time, each in a thread of its own, and can be cancelled."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Event, Lock, Thread

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.report import Report, Result, Summary, reason_of
from pixlate.errors import PixlateError
from pixlate.inference.progress import Progress

log = logging.getLogger("pixlate_web")
REMEMBERED = 1000
"""Most results of a folder that a page shows; there may be millions, and the journal has all."""


class Turns:
    """Lets one conversion run at a time, in the order in which they came, and at most so many wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[object] = deque()
        """That at the front runs."""
        self._changed = Condition()

    def join(self) -> object:
        """Return a place in the queue.

        Raises:
            PixlateError: The queue is full.
        """
        with self._changed:
            if len(self._waiting) > self._most:
                raise PixlateError(f"expected at most {self._most} conversions to wait, got one more; try again in a while")
            place = object()
            self._waiting.append(place)
            return place

    def ahead(self, place: object) -> int:
        """Return how many conversions come before a place."""
        with self._changed:
            return self._waiting.index(place) if place in self._waiting else 0

    def wait(self, place: object, cancelled: Event) -> bool:
        """Return when it is a place's turn, or False when it is cancelled first; see :meth:`wake`."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting[0] is place or cancelled.is_set())
            return not cancelled.is_set()

    def leave(self, place: object) -> None:
        """Give the place up."""
        with self._changed:
            self._waiting.remove(place)
            self._changed.notify_all()

    def wake(self) -> None:
        """Have those that wait look again whether they are cancelled."""
        with self._changed:
            self._changed.notify_all()


@dataclass
class Work:
    """One conversion: what it has done so far, and its end.

    Args:
        turns: Whose turn it is.
        sources: What is converted.
        out: The output folder.
        model: A ready model's name or a model file.
        options: As of :func:`pixlate.convert`.
    """

    turns: Turns
    sources: Sequence[Path]
    out: Path
    model: str
    options: ConvertOptions
    results: list[Result] = field(default_factory=list)
    """The first results, in the order in which they came."""
    summary: Summary | None = None
    """Known once the model is loaded; counts on until the end."""
    progress: Progress | None = None
    refused: str = ""
    """Why nothing was converted, in one sentence."""
    on_end: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._cancelled, self._ended, self._lock = Event(), Event(), Lock()
        self._report: Report | None = None
        self._place = self.turns.join()
        self._thread = Thread(target=self._run, name="conversion", daemon=True)

    def start(self) -> None:
        """Begin, or wait for those before."""
        self._thread.start()

    def cancel(self) -> None:
        """End gracefully: what has begun is finished, nothing new starts. Once is enough; called again it changes nothing."""
        with self._lock:
            if self._cancelled.is_set():
                return
            self._cancelled.set()
            report = self._report
        if report is not None:
            report.interrupt()
        self.turns.wake()

    def wait(self, seconds: float | None = None) -> bool:
        """Return whether it has ended within so many seconds."""
        return self._ended.wait(seconds)

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._ended.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for its end."""
        return self._cancelled.is_set()

    @property
    def ahead(self) -> int:
        """How many conversions come first."""
        return self.turns.ahead(self._place)

    def _run(self) -> None:
        try:
            if self.turns.wait(self._place, self._cancelled):
                self.summary = convert(self.sources, self.out, self.model, self.options, self._watch)
        except PixlateError as error:
            self.refused = str(error)
        except Exception as error:  # a bug, which must not leave the page waiting
            log.exception("a conversion has failed")
            self.refused = reason_of(error)
        finally:
            self.turns.leave(self._place)
            self._ended.set()
            self.on_end()

    def _watch(self, report: Report) -> None:
        if report.last is not None and len(self.results) < REMEMBERED:
            self.results.append(report.last)
        if self._report is None:
            self.summary, self.progress = report.summary, report.progress
            with self._lock:
                self._report = report
                cancelled = self._cancelled.is_set()
            if cancelled:
                report.interrupt()
