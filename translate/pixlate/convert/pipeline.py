"""The way of the images: threads read, one thread for each lane of a device runs the model, threads write; all queues are bounded in bytes."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from pixlate.convert.budget import ByteBudget, Closed
from pixlate.convert.options import ConvertOptions
from pixlate.convert.plan import Plan, settle
from pixlate.convert.report import Report, Result, reason_of
from pixlate.convert.sheet import Sheet
from pixlate.errors import DeviceLost, PixlateError
from pixlate.images import ImageFile, Picture, to_srgb, write_picture
from pixlate.images.formats import writable
from pixlate.images.picture import Pixels
from pixlate.images.write import require_held
from pixlate.inference.executor import Executor
from pixlate.inference.pictures import from_model, refuse_colour, to_model, with_origin
from pixlate.places.job import Job
from pixlate.places.journal import Outputs
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.place import FULL, FileStatus, GivenUp
from pixlate.system.signals import StopOnSignal

BUDGET = 256 * 1024 * 1024
"""Bytes of pixels read ahead, and bytes waiting to be written."""

WAKE = 0.2
"""Most seconds until an interruption is seen."""


@dataclass(frozen=True)
class _Read:
    """What a reading thread hands over: a picture to translate, or a result where there is none."""

    job: Job
    picture: Picture | None = None
    status: FileStatus | None = None
    taken: int = 0
    result: Result | None = None


@dataclass(frozen=True)
class _Written:
    """What a writing thread hands over."""

    result: Result | None
    """None where it was not begun, since the disk is full."""


@dataclass(frozen=True)
class _Translated:
    """What a translating thread hands over when it is free again."""

    executor: Executor
    writing: int = 0
    """Outputs given to the writing threads."""
    failed: tuple[tuple[_Read, Exception], ...] = ()
    """Pictures that could not be translated, and why."""
    error: BaseException | None = None
    """What ends the conversion: the device is lost, or there is a bug."""


class Conversion:
    """One run through a plan.

    Args:
        plan: What to convert.
        executors: Run the model, each in a thread of its own; one that stands twice gets two threads.
        journal: Of the output folder.
        report: Takes every result.
        options: How to read, write and stop.
        formats: Image formats by suffix.
        sheet: Takes the first results, or None.
        watch: Called after each result, in the calling thread.
    """

    def __init__(
        self,
        plan: Plan,
        executors: Sequence[Executor],
        journal: Outputs,
        report: Report,
        options: ConvertOptions,
        formats: Mapping[str, ImageFormat],
        sheet: Sheet | None,
        watch: Callable[[Report], None],
    ) -> None:
        self.plan, self.journal, self.report = plan, journal, report
        self.options, self.formats, self.sheet, self.watch = options, formats, sheet, watch
        self.spec = executors[0].spec
        self._lanes = len(executors)
        self._free = list(executors)
        self._sizing = executors[0]
        self._events: SimpleQueue[_Read | _Translated | _Written | None] = SimpleQueue()
        self._reading_budget, self._writing_budget = ByteBudget(BUDGET), ByteBudget(BUDGET)
        self._groups: dict[tuple[int, ...], list[_Read]] = {}
        self._reading = self._writing = 0
        self._stopping = self._full = False

    def run(self) -> None:
        """Convert everything; return when nothing is in flight."""
        started = time.monotonic()
        self.watch(self.report)
        for path, reason in self.plan.failures:
            self._finish(Result(path, "", "failed", reason))
        workers = self.options.workers
        jobs = iter(self.plan.jobs)
        with (
            StopOnSignal(self._interrupt),
            ThreadPoolExecutor(workers, "read") as readers,
            ThreadPoolExecutor(workers, "write") as self._writers,
            ThreadPoolExecutor(self._lanes, "translate") as self._translators,
            self._freed_on_error(),
        ):
            self._loop(jobs, readers)
        self.report.summary.seconds = time.monotonic() - started

    def stop(self) -> None:
        """End early and in order, from any thread: what is being written is finished."""
        self._stopping = True
        self._events.put(None)

    def _loop(self, jobs: Iterator[Job], readers: ThreadPoolExecutor) -> None:
        """Feed the readers and take what comes, until nothing is left in flight."""
        ahead = 2 * self.options.workers + 2 * self._lanes * self._sizing.most_at_once
        while True:
            while not self._stopping and self._reading + sum(map(len, self._groups.values())) < ahead and (job := next(jobs, None)) is not None:
                readers.submit(self._read, job)
                self._reading += 1
            if self._stopping:
                self._abandon()
            if not self._reading and not self._writing and not self._groups and len(self._free) == self._lanes:
                return
            self._step()

    def _step(self) -> None:
        """Take what the threads hand over; when there is nothing, run the fullest group."""
        if self._groups and self._free and self._events.empty():
            self._dispatch(max(self._groups, key=lambda shape: len(self._groups[shape])))
            return
        try:
            event = self._events.get(timeout=WAKE)  # a signal that another thread received wakes nobody who waits for ever
        except Empty:
            return
        if isinstance(event, _Written):
            self._writing -= 1
            if event.result is not None:
                self._finish(event.result)
        elif isinstance(event, _Translated):
            self._free.append(event.executor)
            self._writing += event.writing
            for read, error in event.failed:
                self._finish(Result(read.job.source, read.job.name, "failed", reason_of(error)))
            if isinstance(event.error, DeviceLost):
                self.report.summary.stopped = f"{event.error}; the same command continues"
                self._stopping = True
            elif event.error is not None:
                raise event.error
        elif event is not None:
            self._reading -= 1
            self._receive(event)

    def _receive(self, read: _Read) -> None:
        if read.picture is None:
            if read.result is not None:
                self._finish(read.result)
            return
        if self._stopping:
            self._reading_budget.give_back(read.taken)
            return
        size = self._sizing.shape(*read.picture.pixels.shape[:2])
        key = (*size, read.picture.pixels.dtype.itemsize)
        group = self._groups.setdefault(key, [])
        group.append(read)
        if self._free and len(group) >= self._sizing.batch_size(*size):
            self._dispatch(key)

    def _dispatch(self, key: tuple[int, ...]) -> None:
        """Give one batch of a group to a free executor."""
        executor, group = self._free.pop(0), self._groups.pop(key)
        count = executor.batch_size(*key[:2])
        if len(group) > count:
            self._groups[key] = group[count:]
        self._translators.submit(self._translate, executor, group[:count])

    def _read(self, job: Job) -> None:
        """Decode one image, in a reading thread."""
        taken = 0
        try:
            if self._stopping:
                raise Closed
            status = job.status()
            settled = settle(job, status, self.journal, self.options.on_exists)
            if settled is not None:
                self._events.put(_Read(job, result=settled))
                return
            with job.at_hand(lambda: self._stopping) as path, ImageFile(path, max_pixels=self.options.max_pixels, formats=self.formats) as file:
                taken = self._reading_budget.take(2 * file.nbytes)
                picture = file.read(self.spec.channels_in)
            refuse_colour(picture, self.spec)
            height, width, channels = picture.pixels.shape
            scale, written = self.spec.scale, 1 if channels == 1 and self.spec.scale > 1 else self.spec.channels_out
            require_held(writable(job.format, self.formats), written, "uint8", (width * scale, height * scale), self.formats)
            self._events.put(_Read(job, picture, status, taken))
        except (Closed, GivenUp):
            self._events.put(_Read(job))
        except BaseException as error:  # noqa: BLE001 - one bad file, or a bug in a decoder, must not stop the others, nor leave them waiting
            self._reading_budget.give_back(taken)
            self._events.put(_Read(job, result=Result(job.source, job.name, "failed", reason_of(error))))

    def _translate(self, executor: Executor, group: list[_Read]) -> None:
        """Run the model on one group and hand the outputs to the writing threads, in a translating thread."""
        writing, waiting = 0, list(group)
        failed: list[tuple[_Read, Exception]] = []
        fatal: BaseException | None = None
        try:
            images = [to_model(read.picture, self.spec) for read in group if read.picture is not None]
            outputs = self._outputs(executor, images)
            del images
            while waiting:
                output = outputs.pop(0)
                if isinstance(output, Exception):
                    failed.append((waiting[0], output))
                else:
                    taken = self._writing_budget.take(2 * output.nbytes)
                    self._writers.submit(self._write, waiting[0], output, taken)
                    writing += 1
                self._reading_budget.give_back(waiting.pop(0).taken)
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - what is no failure of these pictures is raised by the loop
            fatal = error
        for read in waiting:
            self._reading_budget.give_back(read.taken)
        self._events.put(_Translated(executor, writing, tuple(failed), fatal))

    def _outputs(self, executor: Executor, images: list[Pixels]) -> "list[Pixels | Exception]":
        """Return the translation of each image, or why there is none; where a batch fails, each image runs by itself, since one may be to blame."""
        try:
            return list(executor.translate(images, self._go_on))
        except DeviceLost:
            raise
        except (PixlateError, MemoryError) as error:
            if len(images) == 1:
                return [error]
            return [output for image in images for output in self._outputs(executor, [image])]

    def _go_on(self) -> None:
        """End a long translation when the conversion stops."""
        if self._stopping:
            raise Closed

    def _write(self, read: _Read, output: Pixels, taken: int) -> None:
        """Encode one output under a temporary name, record it and rename it, in a writing thread."""
        assert read.picture is not None
        assert read.status is not None
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
            self.journal.finish(job, part, read.status)
            result = Result(job.source, job.name, "converted", "", (*job.notes, *picture.notes, *notes), *sizes)
        except Closed:
            result = None
        except BaseException as error:  # noqa: BLE001 - one bad file, or a bug in an encoder, must not stop the others, nor leave them waiting
            with suppress(OSError):
                part.unlink()
            cause = error.__cause__ if isinstance(error, PixlateError) else error
            if isinstance(cause, OSError) and cause.errno in FULL:
                self.report.summary.stopped = f"the output folder takes no more ({cause.strerror}); free some space and run the same command again"
                self._full = self._stopping = True
            result = Result(job.source, job.name, "failed", reason_of(error))
        finally:
            self._writing_budget.give_back(taken)
        self._events.put(_Written(result))

    def _finish(self, result: Result) -> None:
        self.report.add(result)
        if result.status == "failed" and self.options.fail_fast and not self._stopping:
            self.report.summary.stopped = "stopped at the first failure, as --fail-fast asks"
            self._stopping = True
        self.watch(self.report)

    def _abandon(self) -> None:
        """Drop what is not yet translated; what is being written is finished."""
        self._reading_budget.close()
        for group in self._groups.values():
            for read in group:
                self._reading_budget.give_back(read.taken)
        self._groups.clear()

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

    def _interrupt(self) -> None:
        """Stop in order, as Ctrl-C and SIGTERM ask."""
        self.report.summary.interrupted = self._stopping = True
        self._events.put(None)
