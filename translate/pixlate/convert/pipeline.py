"""The pipeline of a conversion: threads read, one thread for each lane of a device runs the model, threads write; all queues are bounded in bytes."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import token_hex

import numpy as np

from pixlate.convert.budget import WAKE, ByteBudget, Closed
from pixlate.convert.conversion import Run, Sinks, Task
from pixlate.convert.frames import Reel, Steps
from pixlate.convert.plan import settle
from pixlate.convert.report import Result, reason_of
from pixlate.convert.room import by_strips, require_room
from pixlate.convert.sizes import Sized, Sizes
from pixlate.convert.strips import Strips
from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.images import ImageFile, Picture, to_srgb, write_picture
from pixlate.images.formats import writable
from pixlate.images.frames import FramesFile, require_frames, require_still
from pixlate.images.picture import Pixels
from pixlate.images.resize import resized, resized_rows
from pixlate.images.write import require_held, require_sides, write_strips
from pixlate.inference.batcher import Abandoned, Batcher, Ticket
from pixlate.inference.conditions import ImageConditions
from pixlate.inference.executor import Executor
from pixlate.inference.models import split_devices
from pixlate.inference.pictures import channels_made, from_model, opacity_to_model, refuse_colour, to_model, with_origin, without_pixels
from pixlate.inference.strength import blend
from pixlate.places.journal import Job
from pixlate.plugin.image_format import Frame, FrameTarget
from pixlate.plugin.place import GivenUp, Version
from pixlate.system.priority import run_in_background

BUDGET = 256 * 1024 * 1024
"""Bytes of pixels read ahead, and bytes waiting to be written."""

DRAIN = 5.0
"""Seconds in which the model may finish what it runs when the conversion stops."""
ALL_FRAMES = "; --frames all converts every one"
PIECE = 64
"""Rows of the source whose outputs are written at once, of a picture that is written while it is translated."""


@dataclass(frozen=True)
class _Read:
    """A picture in the pipeline."""

    job: Job
    picture: Picture
    """Without its pixels, where no sheet shows them."""
    version: Version
    taken: int
    """Bytes of the reading budget."""
    sized: Sized
    """What becomes of it."""
    given: Pixels | None = None
    """What the model is given, where its output is blended with that."""
    opacity: Pixels | None = None
    """Its opacity as the model has enlarged it, where it is to."""


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


class _Failed(Exception):  # noqa: N818 - it is raised where a picture is written, and says what to report of it
    """Ends the writing of a picture that the model did not finish."""

    def __init__(self, event: _Event) -> None:
        super().__init__()
        self.event = event


_Done = Callable[[_Read, Pixels | Exception], None]
"""Called with a picture and its output, or why there is none."""


class Conversion(Run):
    """A run in this process.

    Args:
        executors: Run the model, each in a thread of its own; one that is listed twice gets two threads.
        conditions: The conditions of each image; by default those of the options.
    """

    def __init__(self, task: Task, sinks: Sinks, executors: Sequence[Executor], conditions: ImageConditions | None = None) -> None:
        super().__init__(task, sinks)
        options = self.options
        self.spec, self._executors = executors[0].spec, executors
        self.conditions = conditions or ImageConditions(self.spec, options.set, options.seed, options.mask, self.formats)
        sizes = {id(executor): Sizes(options, executor) for executor in executors}
        self._sizes = sizes[id(executors[0])]
        self.report.progress.work = self._sizes.cost
        self._batcher = Batcher([sizes[id(executor)].lane for executor in executors], on_tile=self.report.progress.tile)
        self._ahead = 2 * options.workers + 2 * len(executors) * executors[0].most_at_once
        self._events: SimpleQueue[_Event | None] = SimpleQueue()
        self._reading_budget, self._writing_budget = ByteBudget(BUDGET), ByteBudget(BUDGET)
        self._reading = self._flying = 0

    def _convert(self) -> None:
        workers = self.options.workers
        pool = partial(ThreadPoolExecutor, workers, initializer=run_in_background)  # so that no thread of the model waits for a core
        with pool("read") as readers, pool("write") as self._writers:
            self._batcher.start()
            try:
                self._loop(iter(self.plan.jobs), readers)
            except BaseException:  # wakes every thread, so that the pools can end
                self._stopping = True
                self._reading_budget.close()
                self._writing_budget.close()
                raise
            finally:
                self._batcher.close()

    def stop(self) -> None:
        """Drain, from any thread."""
        super().stop()
        self._events.put(None)

    def end(self) -> None:
        """End what the model runs."""
        for executor in self._executors:
            executor.terminate()

    def _loop(self, jobs: Iterator[Job], readers: ThreadPoolExecutor) -> None:
        """Feed the readers and handle events, until nothing is in flight."""
        until = 0.0
        while True:
            while self._has_room() and (job := next(jobs, None)) is not None:
                readers.submit(self._read, job)
                self._begun += 1
                self._reading += 1
                self._flying += 1
            if self._stopping:  # what is not yet translated is dropped; what is being written is finished
                self._reading_budget.close()
                self._batcher.abandon()
                until = until or time.monotonic() + DRAIN
                if time.monotonic() > until:
                    self.end()
            if not self._flying:
                return
            with suppress(Empty):  # a signal that another thread received wakes nobody who waits for ever
                if (event := self._events.get(timeout=WAKE)) is not None:
                    self._take(event)

    def _has_room(self) -> bool:
        """Return whether another picture may be read: where writing is slower than the model, outputs would else pile up as long as their budget has bytes."""
        return not self._stopping and self._reading + self._batcher.waiting < self._ahead and self._flying < 2 * self._ahead

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
            format = writable(job.format, self.formats)
            with job.place.fetched(lambda: self._stopping) as path, ImageFile(path, max_pixels=self.options.max_pixels, formats=self.formats) as file:
                whole = self._whole(file.format, job)
                if file.format.probe is not None:  # what cannot be written is not even decoded
                    sized = self._sizes.of(*file.size)
                    require_sides(format, sized.size)
                    require_room(format, sized, self.options, file.header, whole=whole)
                first = None
                if not (whole and file.format.film):
                    taken = self._reading_budget.take(2 * file.nbytes)
                    first = file.first(self.spec.channels_in, whole=whole)
                if not isinstance(first, Frame) or (whole and first.count != 1):
                    self._reading_budget.give_back(taken)
                    count = first.count if isinstance(first, Frame) else file.header.frames
                    first, taken = None, 0
                    self._events.put(_Event(reading=True, result=self._frames(job, version, path, file, count)))
                    return
                picture = file.only(first, ALL_FRAMES if self.options.frames == "auto" else "")
                del first
            require_still(format)
            height, width = picture.pixels.shape[:2]
            self.report.progress.size(job.source, self._sizes.cost(width, height))
            read, ticket = self._ticket(job, version, picture, taken, self.sheet is not None, self._translated)
            if by_strips(format, read.sized.executor, self.options, (width, height)):
                strips = Strips()
                ticket = replace(ticket, done=partial(self._strips_translated, read, strips), strip=partial(self._strip_translated, read, strips))
        except _Failed as failed:
            self._events.put(replace(failed.event, reading=True))
        except (Closed, GivenUp):
            self._events.put(_Event(reading=True))
        except BaseException as error:  # noqa: BLE001 - one bad file, or a bug in a decoder, must not stop the others, nor leave them waiting
            self._reading_budget.give_back(taken)
            self._events.put(_Event(reading=True, result=Result(job.source, job.name, "failed", reason_of(error))))
        else:
            self._batcher.submit(ticket)
            self._events.put(_Event(ended=False, reading=True))

    def _ticket(self, job: Job, version: Version, picture: Picture, taken: int, shown: bool, done: _Done) -> tuple[_Read, Ticket]:
        """Return a picture with what the model is given of it; ``shown``: its pixels are needed for a sheet."""
        refuse_colour(picture, self.spec)
        height, width, channels = picture.pixels.shape
        sized = self._sizes.of(width, height)
        require_held(writable(job.format, self.formats), channels_made(channels, sized.executor.spec), "uint8", sized.size, self.formats)
        conditions = self.conditions.arrays(job.pair, height, width, picture.alpha)
        if self.conditions.from_alpha:
            picture = replace(picture, alpha=None)
        pixels = to_model(picture, self.spec)
        given = pixels if self.options.output_strength < 1 else None
        read = _Read(job, picture if shown else without_pixels(picture), version, taken, sized, given)
        ticket = Ticket(pixels, partial(done, read), conditions, sized.lane, lambda: not self._stopping, cost=sized.cost)
        opacity = opacity_to_model(picture, self.spec) if self.options.alpha == "model" else None
        if opacity is not None:
            ticket = replace(ticket, pixels=opacity, done=partial(self._opacity_translated, read, opacity, ticket, done))
        return read, ticket

    def _opacity_translated(self, read: _Read, given: Pixels, ticket: Ticket, done: _Done, output: Pixels | Exception) -> None:
        """Let the pixels follow their opacity through the model, in a translating thread."""
        if isinstance(output, Exception):
            done(read, output)
        else:
            opacity = blend(output, given, self.options.output_strength)
            self._batcher.submit(replace(ticket, done=partial(done, replace(read, opacity=opacity))))

    def _frames(self, job: Job, version: Version, path: Path, file: ImageFile, count: int) -> Result:
        """Convert all pictures of a file into one output, in a reading thread, which reads them meanwhile.

        Raises:
            Closed: The conversion stops.
            _Failed: The model did not finish a picture.
        """
        reader, format = file.format, writable(job.format, self.formats)
        name = reader.frames or "frames"
        require_frames(format, f"a film in {reader.title}" if reader.film else f"the {name} of this {reader.title} file", self.formats)
        options, size, kept = self.options, file.size, partial(self.journal.kept, job, version)
        try:
            with self._output(job, version) as part:
                target = FrameTarget(part, options.quality, options.lossless, file.header.channels in (2, 4), path, kept)
                output = FramesFile(format, target, self.formats)
                steps = Steps(self._writers, self._ahead, lambda: self._stopping, self._reading_budget, partial(self._frame, job, version), self._frame_picture)
                reel = Reel(steps, output, name, partial(self.report.progress.frame, job.source))
                try:
                    sized = self._sizes.of(*size)
                    self.report.progress.size(job.source, self._sizes.cost(*size) * max(1, count - output.done))
                    reel.run(file.frames(self.spec.channels_in, whole=True, skip=output.done), file.nbytes, sized.enlarged)
                    notes = output.finish()
                except BaseException:
                    output.abandon()
                    raise
        except (Closed, _Failed):
            raise
        except BaseException as error:  # noqa: BLE001 - one bad file, or a bug in an encoder, must not stop the others
            return self._failed(job, error)
        self.report.progress.translated(job.source)
        result = self._converted(job, size, sized, reel.notes, notes, np.dtype(f"uint{8 * min(2, file.header.itemsize)}"))
        return replace(result, frames=reel.count, earlier=output.done)

    def _frame(self, job: Job, version: Version, number: int, picture: Picture, done: Callable[[_Read, Pixels | Exception], None]) -> None:
        """Send a frame to the model."""
        _, ticket = self._ticket(job, version, picture, 0, self.sheet is not None and number == 0, done)
        self._batcher.submit(ticket)

    def _frame_picture(self, number: int, read: _Read, output: Pixels | Exception) -> Picture:
        """Return a frame that is ready to be written, in a writing thread."""
        if isinstance(output, Exception):
            event = self._failure(read.job, output)
            raise _Failed(event if event.result is None else replace(event, result=replace(event.result, reason=f"frame {number + 1}: {event.result.reason}")))
        picture = resized(self._picture(read, output), read.sized.size)
        if self.sheet is not None and number == 0:
            self.sheet.add(read.job.name, read.picture, picture)
        return picture

    def _strip_translated(self, read: _Read, strips: Strips, strip: Pixels) -> None:
        """Hand the next rows of an output to the thread that writes it, in a translating thread; it waits until those before are written."""
        if not strips.begun:  # only now, so that no thread that writes waits for a picture that has not begun
            more = (0 if read.given is None else read.given.nbytes) + (strip.nbytes if read.sized.resized else 0)
            self._writers.submit(self._write, read, strips, self._writing_budget.take(3 * strip.nbytes + more))
        if not strips.put(strip):
            raise Abandoned

    def _strips_translated(self, read: _Read, strips: Strips, output: Pixels | Exception) -> None:
        """Let an output end that is being written, in a translating thread; that thread reports how."""
        if not strips.begun:
            self._translated(read, output if isinstance(output, Exception) else Abandoned())
            return
        event = self._failure(read.job, output) if isinstance(output, Exception) else None
        if event is None:
            self.report.progress.translated(read.job.source)
        strips.end(None if event is None else _Failed(event))
        self._reading_budget.give_back(read.taken)

    def _translated(self, read: _Read, output: Pixels | Exception) -> None:
        """Hand an output to the writing threads, in a translating thread."""
        event = _Event()
        try:
            if not isinstance(output, Exception):
                self.report.progress.translated(read.job.source)
                more = 0 if read.given is None else output.nbytes + read.given.nbytes
                more += 2 * math.prod(read.sized.size) * output.shape[2] * output.itemsize if read.sized.resized else 0
                taken = self._writing_budget.take(2 * output.nbytes + more)
                self._writers.submit(self._write, read, output, taken)
                return
            event = self._failure(read.job, output)
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - what is no failure of this picture is raised by the loop
            event = _Event(error=error)
        finally:
            self._reading_budget.give_back(read.taken)
        self._events.put(event)

    def _failure(self, job: Job, error: Exception) -> _Event:
        """Return what is reported of a picture that was not translated."""
        if isinstance(error, PixlateError | OutOfDeviceMemory | MemoryError) and not isinstance(error, DeviceLost):
            return _Event(result=Result(job.source, job.name, "failed", reason_of(error)))
        if isinstance(error, Abandoned | Closed):
            return _Event()
        self._stopping = True  # at once: nothing more may run where a device is lost
        return _Event(error=error)

    def _write(self, read: _Read, output: Pixels | Strips, taken: int) -> None:
        """Encode one output under a temporary name, record it and rename it, in a writing thread."""
        job, event = read.job, _Event()
        try:
            with self._output(job, read.version) as part:
                quality, formats = self.options.quality, self.formats
                if isinstance(output, Strips):
                    pictures = self._pictures(read, output)
                    picture = next(pictures)
                    notes = write_strips(chain([picture], pictures), read.sized.size[1], part, job.format, quality=quality, formats=formats)
                else:
                    picture = resized(self._picture(read, output), read.sized.size)
                    notes = write_picture(picture, part, job.format, quality=quality, lossless=self.options.lossless, formats=formats)
                    if self.sheet is not None:
                        self.sheet.add(job.name, read.picture, picture)
            height, width = read.picture.pixels.shape[:2]
            event = _Event(result=self._converted(job, (width, height), read.sized, picture.notes, notes, picture.pixels.dtype))
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - one bad file, or a bug in an encoder, must not stop the others, nor leave them waiting
            event = error.event if isinstance(error, _Failed) else _Event(result=self._failed(job, error))
        finally:
            if isinstance(output, Strips):
                output.close()
            self._writing_budget.give_back(taken)
        self._events.put(event)

    @contextmanager
    def _output(self, job: Job, version: Version) -> Iterator[Path]:
        """Context of a path to write an output to, which gets its name when it is whole, and is removed where it is not.

        Raises:
            Closed: The disk is full.
        """
        if self._full:
            raise Closed
        part = self.journal.parts / token_hex(8)  # which nobody can have laid a link under
        try:
            yield part
            self.journal.finish(job, part, version)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise

    def _converted(self, job: Job, size: tuple[int, int], sized: Sized, made: tuple[str, ...], written: tuple[str, ...], dtype: np.dtype[np.generic]) -> Result:
        """Return the result of a source of (width, height), with the notes on what was made of it, and on how that was written."""
        width, height = size
        notes = (*job.notes, *sized.notes, *made, *sized.executor.notes(height, width), *written)
        return Result(job.source, job.name, "converted", "", notes, size, sized.size, sized.executor.arithmetic(dtype))

    def _pictures(self, read: _Read, strips: Strips) -> Iterator[Picture]:
        """Yield an output at its size, some rows at a time."""
        pictures = self._made(read, strips)
        return resized_rows(pictures, read.sized.made[1], read.sized.size) if read.sized.resized else pictures

    def _made(self, read: _Read, strips: Strips) -> Iterator[Picture]:
        """Yield what the model makes strip by strip, in pieces that are small beside the strips."""
        scale, top = read.sized.executor.spec.scale, 0
        for strip in strips:
            for start in range(0, len(strip), PIECE * scale):
                piece = strip[start : start + PIECE * scale]
                yield self._picture(read, piece, top)
                top += len(piece) // scale
            del strip, piece

    def _picture(self, read: _Read, output: Pixels, top: int = 0) -> Picture:
        """Return an output, or its rows from that of a row of the source on, ready to be written; only that of row 0 says what made it."""
        strength = self.options.output_strength
        if read.given is not None:
            output = blend(output, read.given, strength, top)
        spec = read.sized.executor.spec
        picture = from_model(output, read.picture, spec, read.opacity, top)
        if self.options.strip_metadata:
            return to_srgb(picture)
        return with_origin(picture, spec, strength, self.system) if top == 0 else picture


def device_of(task: Task, executors: Sequence[Executor]) -> str:
    """Return where the model runs, as the summary says it."""
    device = task.options.device
    return device if len(split_devices(device)) > 1 else executors[0].translator.device
