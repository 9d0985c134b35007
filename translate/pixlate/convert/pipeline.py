"""The pipeline of a conversion: threads read, one thread for each lane of a device runs the model, threads write; all queues are bounded in bytes."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

from pixlate.convert.budget import ByteBudget, Closed
from pixlate.convert.conversion import Sinks, Task
from pixlate.convert.plan import settle
from pixlate.convert.report import Result, reason_of
from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.images import ImageFile, Picture, to_srgb, write_picture
from pixlate.images.formats import writable
from pixlate.images.picture import Pixels
from pixlate.images.write import require_held
from pixlate.inference.batcher import Abandoned, Batcher, Ticket
from pixlate.inference.conditions import ImageConditions
from pixlate.inference.executor import Executor
from pixlate.inference.pictures import channels_made, from_model, refuse_colour, to_model, with_origin
from pixlate.places.journal import Job
from pixlate.plugin.place import FULL, GivenUp, Version
from pixlate.plugin.spec import ModelSpec
from pixlate.system.process import StopOnSignal

BUDGET = 256 * 1024 * 1024
"""Bytes of pixels read ahead, and bytes waiting to be written."""

WAKE = 0.2
"""Most seconds until an interruption is seen."""


@dataclass(frozen=True)
class _Read:
    """A picture in the pipeline."""

    job: Job
    picture: Picture
    version: Version
    taken: int
    """Bytes of the reading budget."""


@dataclass(frozen=True)
class _Event:
    """What a thread reports to the loop: a picture is ready for the model, or finished."""

    ended: bool = True
    reading: bool = False
    """Whether it leaves the reading threads."""
    result: Result | None = None
    """The result; None if it was not started or was dropped."""
    error: BaseException | None = None
    """What ends the conversion: the device is lost, or there is a bug."""


def conditions_for(task: Task, spec: ModelSpec) -> ImageConditions:
    """Return the conditions that the options give for a model, once its plan is known to be possible.

    Raises:
        PixlateError: A condition is not right, no image has a mask, or no output's format holds the channels that the model makes.
    """
    options, formats = task.options, task.formats
    conditions = ImageConditions(spec, options.set, options.seed, options.mask, formats)
    conditions.require_some(job.pair for job in task.plan.jobs)
    written = [writable(name, formats) for name in sorted({job.format for job in task.plan.jobs})]
    if written and not any(format.holds(spec.channels_out, "uint8", (1, 1)) for format in written):
        require_held(written[0], spec.channels_out, "uint8", (1, 1), formats)
    return conditions


class Run:
    """One run through a task, by any engine: it reports results, and shuts down cleanly.

    Args:
        task: What to convert.
        sinks: Takes the outputs and every result.
    """

    def __init__(self, task: Task, sinks: Sinks) -> None:
        self.plan, self.options, self.formats, self.watch = task.plan, task.options, task.formats, task.watch
        self.journal, self.report, self.sheet = sinks.journal, sinks.report, sinks.sheet
        self._stopping = self._full = False

    def run(self) -> None:
        """Convert everything; return when nothing is in flight."""
        started = time.monotonic()
        self.watch(self.report)
        for path, reason in self.plan.failures:
            self._finish(Result(path, "", "failed", reason))
        with StopOnSignal(self._interrupt):
            self._convert()
        self.report.summary.seconds = time.monotonic() - started

    def stop(self) -> None:
        """Drain, from any thread: finish what has started, and start nothing new."""
        self._stopping = True

    def _convert(self) -> None:
        """Convert what can be converted."""
        raise NotImplementedError

    def _failed(self, job: Job, error: BaseException) -> Result:
        """Return the result of an image whose output cannot be written; a full disk stops the others."""
        cause = error.__cause__ if isinstance(error, PixlateError) else error
        if isinstance(cause, OSError) and cause.errno in FULL:
            self.report.summary.stopped = f"the output folder takes no more ({cause.strerror}); free some space and run the same command again"
            self._full = self._stopping = True
        return Result(job.source, job.name, "failed", reason_of(error))

    def _finish(self, result: Result) -> None:
        self.report.add(result)
        if result.status == "failed" and self.options.fail_fast and not self._stopping:
            self.report.summary.stopped = "stopped at the first failure, as --fail-fast asks"
            self._stopping = True
        self.watch(self.report)

    def _interrupt(self) -> None:
        """Drain, on Ctrl-C and SIGTERM."""
        self.report.summary.interrupted = True
        self.stop()


class Conversion(Run):
    """A run in this process.

    Args:
        task: What to convert.
        sinks: Takes the outputs and every result.
        executors: Run the model, each in a thread of its own; one that is listed twice gets two threads.
        conditions: The conditions of each image; by default those of the options.
    """

    def __init__(self, task: Task, sinks: Sinks, executors: Sequence[Executor], conditions: ImageConditions | None = None) -> None:
        super().__init__(task, sinks)
        options = self.options
        self.spec = executors[0].spec
        self.conditions = conditions or ImageConditions(self.spec, options.set, options.seed, options.mask, self.formats)
        self._batcher = Batcher([{"": executor} for executor in executors])
        self._ahead = 2 * options.workers + 2 * len(executors) * executors[0].most_at_once
        self._events: SimpleQueue[_Event | None] = SimpleQueue()
        self._reading_budget, self._writing_budget = ByteBudget(BUDGET), ByteBudget(BUDGET)
        self._reading = self._flying = 0

    def _convert(self) -> None:
        workers = self.options.workers
        with (
            ThreadPoolExecutor(workers, "read") as readers,
            ThreadPoolExecutor(workers, "write") as self._writers,
            self._running_batches(),
            self._freed_on_error(),
        ):
            self._loop(iter(self.plan.jobs), readers)

    def stop(self) -> None:
        """Drain, from any thread."""
        super().stop()
        self._events.put(None)

    def _loop(self, jobs: Iterator[Job], readers: ThreadPoolExecutor) -> None:
        """Feed the readers and handle events, until nothing is in flight."""
        while True:
            while not self._stopping and self._reading + self._batcher.waiting < self._ahead and (job := next(jobs, None)) is not None:
                readers.submit(self._read, job)
                self._reading += 1
                self._flying += 1
            if self._stopping:  # what is not yet translated is dropped; what is being written is finished
                self._reading_budget.close()
                self._batcher.abandon()
            if not self._flying:
                return
            with suppress(Empty):  # a signal that another thread received wakes nobody who waits for ever
                if (event := self._events.get(timeout=WAKE)) is not None:
                    self._take(event)

    def _take(self, event: _Event) -> None:
        self._reading -= event.reading
        self._flying -= event.ended
        if event.result is not None:
            self._finish(event.result)
        if isinstance(event.error, DeviceLost):
            self.report.summary.stopped = f"{event.error}; the same command continues"
            self._stopping = True
        elif event.error is not None:
            raise event.error

    def _read(self, job: Job) -> None:
        """Decode one image, in a reading thread."""
        taken = 0
        try:
            if self._stopping:
                raise Closed
            version = job.place.version()
            settled = settle(job, version, self.journal, self.options.on_exists)
            if settled is not None:
                self._events.put(_Event(reading=True, result=settled))
                return
            with job.place.fetched(lambda: self._stopping) as path, ImageFile(path, max_pixels=self.options.max_pixels, formats=self.formats) as file:
                taken = self._reading_budget.take(2 * file.nbytes)
                picture = file.read(self.spec.channels_in)
            refuse_colour(picture, self.spec)
            height, width, channels = picture.pixels.shape
            scale, written = self.spec.scale, channels_made(channels, self.spec)
            require_held(writable(job.format, self.formats), written, "uint8", (width * scale, height * scale), self.formats)
            conditions = self.conditions.arrays(job.pair, height, width)
            read = _Read(job, picture, version, taken)
            ticket = Ticket(to_model(picture, self.spec), partial(self._translated, read), conditions, wanted=lambda: not self._stopping)
        except (Closed, GivenUp):
            self._events.put(_Event(reading=True))
        except BaseException as error:  # noqa: BLE001 - one bad file, or a bug in a decoder, must not stop the others, nor leave them waiting
            self._reading_budget.give_back(taken)
            self._events.put(_Event(reading=True, result=Result(job.source, job.name, "failed", reason_of(error))))
        else:
            self._batcher.submit(ticket)
            self._events.put(_Event(ended=False, reading=True))

    def _translated(self, read: _Read, output: Pixels | Exception) -> None:
        """Hand an output to the writing threads, in a translating thread."""
        event = _Event()
        try:
            if not isinstance(output, Exception):
                taken = self._writing_budget.take(2 * output.nbytes)
                self._writers.submit(self._write, read, output, taken)
                return
            if isinstance(output, PixlateError | OutOfDeviceMemory | MemoryError) and not isinstance(output, DeviceLost):
                event = _Event(result=Result(read.job.source, read.job.name, "failed", reason_of(output)))
            elif not isinstance(output, Abandoned):
                self._stopping = True  # at once: nothing more may run where a device is lost
                event = _Event(error=output)
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - what is no failure of this picture is raised by the loop
            event = _Event(error=error)
        finally:
            self._reading_budget.give_back(read.taken)
        self._events.put(event)

    def _write(self, read: _Read, output: Pixels, taken: int) -> None:
        """Encode one output under a temporary name, record it and rename it, in a writing thread."""
        job = read.job
        part = self.journal.parts / f"{id(read):x}"
        result: Result | None
        try:
            if self._full:
                raise Closed
            picture = from_model(output, read.picture, self.spec)
            picture = to_srgb(picture) if self.options.strip_metadata else with_origin(picture, self.spec)
            notes = write_picture(picture, part, job.format, quality=self.options.quality, formats=self.formats)
            if self.sheet is not None:
                self.sheet.add(job.name, read.picture, picture)
            sizes = [(pixels.shape[1], pixels.shape[0]) for pixels in (read.picture.pixels, picture.pixels)]
            self.journal.finish(job, part, read.version)
            result = Result(job.source, job.name, "converted", "", (*job.notes, *picture.notes, *notes), *sizes)
        except Closed:
            result = None
        except BaseException as error:  # noqa: BLE001 - one bad file, or a bug in an encoder, must not stop the others, nor leave them waiting
            with suppress(OSError):
                part.unlink()
            result = self._failed(job, error)
        finally:
            self._writing_budget.give_back(taken)
        self._events.put(_Event(result=result))

    @contextmanager
    def _running_batches(self) -> Iterator[None]:
        self._batcher.start()
        try:
            yield
        finally:
            self._batcher.close()

    @contextmanager
    def _freed_on_error(self) -> Iterator[None]:
        """Wake every thread where the loop is left by an exception, so that the pools can end."""
        try:
            yield
        except BaseException:
            self._stopping = True
            self._reading_budget.close()
            self._writing_budget.close()
            raise
