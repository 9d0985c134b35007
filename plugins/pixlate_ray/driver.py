"""The driver's side of a conversion on a cluster: it looks what is to be done, takes the answers, and gives files their names."""

import pickle
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pixlate.convert.conversion import Task, Work
from pixlate.convert.plan import settle
from pixlate.convert.report import Result, reason_of
from pixlate.convert.sheet import ROWS
from pixlate.errors import PixlateError
from pixlate.images import read_picture
from pixlate.places.job import Job
from pixlate.places.paths import digest_file
from pixlate.plugin.place import FULL, Version
from pixlate.system.signals import StopOnSignal
from pixlate_ray.worker import Answer, Order

AT_ONCE = 16
"""Most images in one task on cores; what a killed worker had of them is done again."""
AT_ONCE_GPU = 128
"""Most images in one task on a GPU, which does hundreds a second."""
_TASKS = 10_000
"""Tasks that Ray Data takes in its stride; a longer folder has larger ones."""
_PARTING = 120.0
"""Seconds the workers may take to end what they have begun when the conversion stops; Ray must not be left while one is listened to."""
_LAST = 2.0
"""Seconds without an answer after which, then, no more are waited for."""
_TICK = 0.2
"""Most seconds until an interruption is seen."""


@dataclass(frozen=True)
class Share:
    """How a cluster is divided."""

    workers: int
    cores: int
    """Of each worker."""
    gpus: int
    """Of each worker, 0 or 1."""


class Workers(Protocol):
    """A cluster, as its driver sees it."""

    share: Share

    def stop(self) -> None:
        """Have the workers end what they have begun, and begin nothing."""

    def answers(self, orders: Sequence[bytes], at_once: int) -> Generator[Any, None, None]:
        """Yield tables of the workers' rows, as they come."""


class ClusterRun:
    """One run through a plan on a cluster; the counterpart of :class:`pixlate.convert.pipeline.Conversion`.

    Args:
        task: What to convert.
        workers: Translate.
        work: Journal, report and sheet.
    """

    def __init__(self, task: Task, workers: Workers, work: Work) -> None:
        self.plan, self.options, self.formats, self.watch = task.plan, task.options, task.formats, task.watch
        self.journal, self.report, self.sheet, self.workers = work.journal, work.report, work.sheet, workers
        self._shared = self.journal.store.shared
        self._orders: dict[int, Order] = {}
        self._shown = 0
        self._stopping = self._full = False

    def run(self) -> None:
        """Convert everything; return when nothing is in flight."""
        started = time.monotonic()
        self.watch(self.report)
        for path, reason in self.plan.failures:
            self._finish(Result(path, "", "failed", reason))
        with StopOnSignal(self._interrupt):
            self._settle()
            for alone in (False, True):  # what was lost with a worker again and again is tried once more, each by itself
                if self._orders and not self._stopping:
                    self._convert(alone)
            if not self._stopping:
                for order in list(self._orders.values()):
                    reason = "no worker answered for it, though it was given out twice; run the same command again"
                    self._finish(Result(order.job.source, order.job.name, "failed", reason))
        self.report.summary.seconds = time.monotonic() - started

    def _settle(self) -> None:
        """Look at every source and output; keep as orders what there is to do."""

        def look(numbered: tuple[int, Job]) -> Result | Order | None:
            index, job = numbered
            if self._stopping:
                return None
            try:
                status = job.status()
                fresh = not self.journal.exists(job.name)
                return settle(job, status, self.journal, self.options.on_exists) or Order(index, job, Version(status.st_size, status.st_mtime_ns), fresh)
            except Exception as error:  # noqa: BLE001 - one bad file must not stop the others
                return Result(job.source, job.name, "failed", reason_of(error))

        with ThreadPoolExecutor(self.options.workers, "look") as pool:
            for found in pool.map(look, enumerate(self.plan.jobs)):
                if isinstance(found, Order):
                    self._orders[found.index] = found
                elif found is not None and not self._stopping:
                    self._finish(found)

    def _convert(self, alone: bool) -> None:
        """Hand the orders out and take the answers; those without one stay."""
        share = self.workers.share
        most = AT_ONCE_GPU if share.gpus else AT_ONCE
        at_once = 1 if alone else max(1, min(most, len(self._orders) // (share.workers * 4)), len(self._orders) // _TASKS)
        orders = [pickle.dumps(order) for order in self._orders.values()]
        try:
            for table in _streamed(self.workers.answers(orders, at_once), lambda: self._stopping, self.workers.stop):
                self._check()
                for index, last, data in zip(*(table[name].to_pylist() for name in ("index", "last", "data")), strict=True):
                    if not self._full:
                        self._take(index, last, data)
        except PixlateError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever Ray raises when it loses its cluster
            if not self._stopping:
                self.report.summary.stopped = f"the cluster was lost ({' '.join(str(error).split())[:200]}); the same command continues"
                self._stopping = True
        finally:
            for index in self._orders:
                self._part(index).unlink(missing_ok=True)

    def _check(self) -> None:
        """Stop where another conversion has taken over the output."""
        try:
            self.journal.store.check()
        except PixlateError as error:
            self.report.summary.stopped = str(error)
            self._full = self._stopping = True

    def _take(self, index: int, last: bool, data: bytes) -> None:
        """Take one row: a piece of an output, or the answer."""
        order = self._orders.get(index)
        if order is None:  # answered already, before a worker was killed and its task done again
            return
        try:
            if last:
                self._answer(order, pickle.loads(data))  # noqa: S301 - of our own workers' making
            else:
                with self._part(index).open("ab") as part:
                    part.write(data)
        except (OSError, PixlateError) as error:
            self._part(index).unlink(missing_ok=True)
            del self._orders[index]
            if isinstance(error, OSError) and error.errno in FULL:
                self.report.summary.stopped = f"the output folder takes no more ({error.strerror}); free some space and run the same command again"
                self._full = self._stopping = True
            self._finish(Result(order.job.source, order.job.name, "failed", reason_of(error)))

    def _answer(self, order: Order, answer: Answer) -> None:
        """Give an output its name, record it and report the result."""
        job, entry, part = order.job, answer.entry, self._part(order.index)
        if answer.result.status == "converted" and entry is not None:
            if self._shared:
                self.journal.adopt(entry)
            elif not part.exists() or digest_file(part) != entry.sha256:
                part.unlink(missing_ok=True)  # a worker was killed amid the pieces: to be done again
                return
            self._show(job, part)
            if not self._shared:
                self.journal.finish(job, part, order.source)
        part.unlink(missing_ok=True)
        del self._orders[order.index]
        self._finish(answer.result)

    def _show(self, job: Job, part: Path) -> None:
        """Put a picture on the sheet while there is room."""
        if self.sheet is None or self._shown >= ROWS:
            return
        self._shown += 1
        limit = self.options.max_pixels
        with suppress(PixlateError), job.at_hand() as source:
            before = read_picture(source, max_pixels=limit, formats=self.formats)
            with self.journal.store.fetched(job.name) if self._shared else nullcontext(part) as output:
                self.sheet.add(job.name, before, read_picture(output, max_pixels=limit * 256, formats=self.formats))

    def _part(self, index: int) -> Path:
        return self.journal.parts / f"{index}"

    def _finish(self, result: Result) -> None:
        self.report.add(result)
        if result.status == "failed" and self.options.fail_fast and not self._stopping:
            self.report.summary.stopped = "stopped at the first failure, as --fail-fast asks"
            self._stopping = True
        self.watch(self.report)

    def _interrupt(self) -> None:
        """Stop in order, as Ctrl-C and SIGTERM ask."""
        self.report.summary.interrupted = self._stopping = True


def _streamed(tables: Generator[Any, None, None], stopping: Callable[[], bool], stop: Callable[[], None]) -> Iterator[Any]:
    """Yield what comes, from a thread of its own, so that an interruption need not wait for it; few tables wait at a time.

    Args:
        tables: Waits for the workers.
        stopping: Tells whether to come to an end.
        stop: Called once, then; what the workers have finished by that time still comes.
    """
    waiting: queue.Queue[Any] = queue.Queue(2)
    ended = threading.Event()

    def hand_over(item: object) -> None:
        while not ended.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=_TICK)
                return

    def follow() -> None:
        try:
            for table in tables:
                hand_over(table)
                if ended.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - raised again where the tables are taken
            hand_over(error)
        with suppress(Exception):  # of a cluster that is going
            tables.close()
        hand_over(None)

    thread = threading.Thread(target=follow, name="answers", daemon=True)
    thread.start()
    last = time.monotonic()
    told = False
    try:
        while not told or time.monotonic() - last < _LAST:
            if stopping() and not told:
                told, last = True, time.monotonic()
                stop()
            with suppress(queue.Empty):
                item = waiting.get(timeout=_TICK)
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                last = time.monotonic()
                yield item
    finally:
        ended.set()
        thread.join(_PARTING)
