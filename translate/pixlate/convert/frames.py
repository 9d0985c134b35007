"""The frames of one file on their way through a model, in their order, while other files are on theirs."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor as Pool
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Condition
from typing import Generic, TypeVar

from pixlate.convert.budget import WAKE, ByteBudget, Closed
from pixlate.convert.options import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.images.frames import FramesFile
from pixlate.images.picture import Picture, Pixels
from pixlate.inference.batcher import Abandoned
from pixlate.inference.pictures import without_pixels
from pixlate.plugin.image_format import DamagedFrames, Frame, ImageFormat

T = TypeVar("T")


def wants_all(source: ImageFormat, output: ImageFormat, options: ConvertOptions) -> bool:
    """Return whether all pictures of a file of a format are converted, and not the first alone: films are, and what becomes a film."""
    if source.film or (output.film and source.frames):
        return options.frames != "first"
    return options.frames == "all" and bool(source.frames)


class InOrder(Generic[T]):
    """Hands what threads finish in any order to one function in order, in threads of a pool, never two at once.

    Args:
        pool: Its threads call the function.
        handle: Called with each; what it raises ends the handling, and :meth:`enter` and :meth:`join` raise it.
        drop: Called with those behind.
        most: Most that are begun and not yet handled.
        stopping: Returns whether the conversion stops.
    """

    def __init__(self, pool: Pool, handle: Callable[[T], None], drop: Callable[[T], None], most: int, stopping: Callable[[], bool]) -> None:
        self._pool, self._handle, self._drop, self._most, self._stopping = pool, handle, drop, most, stopping
        self._begun = self._handled = 0
        self._ready: dict[int, T] = {}
        self._running = self._closed = False
        self._error: BaseException | None = None
        self._changed = Condition()

    def enter(self) -> int | None:
        """Return the number of the next, once there is room for it; None where the conversion stops."""
        with self._changed:
            while not self._stopping():
                if self._error is not None:
                    raise self._error
                if self._begun - self._handled < self._most:
                    self._begun += 1
                    return self._begun - 1
                self._changed.wait(WAKE)
        return None

    def put(self, number: int, item: T) -> None:
        """Take in what is finished, from any thread, without waiting; raises nothing."""
        with self._changed:
            self._ready[number] = item
            if self._running or self._handled not in self._ready:
                return
            self._running = True
        try:
            self._pool.submit(self._drain)
        except RuntimeError as error:  # the pool is shut down, after a bug elsewhere
            self._closed = True
            self._end(error)

    def join(self) -> None:
        """Wait until all that was begun is handled, and raise what has ended the handling."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._handled == self._begun)
            if self._error is not None:
                raise self._error

    def _drain(self) -> None:
        """Handle what is ready."""
        while True:
            with self._changed:
                item = self._ready.pop(self._handled, None)
                if item is None:
                    self._running = False
                    return
                failed = self._error is not None
            try:
                (self._drop if failed else self._handle)(item)
            except BaseException as error:  # noqa: BLE001 - raised in the thread that reads the frames
                self._end(error)
            finally:
                del item
                with self._changed:
                    self._handled += 1
                    self._changed.notify_all()

    def _end(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()


@dataclass(frozen=True)
class Steps(Generic[T]):
    """What a conversion does with a frame; ``T`` is what it remembers of one."""

    pool: Pool
    """Threads that write."""
    most: int
    """Most frames that are read ahead."""
    stopping: Callable[[], bool]
    """Returns whether the conversion stops."""
    budget: ByteBudget
    """Bytes of sources and outputs that are in memory."""
    send: Callable[[int, Picture, Callable[[T, Pixels | Exception], None]], None]
    """Sends a picture of a number to the model, which calls the function with its output or why there is none."""
    picture: Callable[[int, T, Pixels | Exception], Picture]
    """Returns the picture of a number that is to be written, or raises why there is none."""


class Reel(Generic[T]):
    """The frames of one file through a model into another.

    The bytes of a frame are taken before it is read, for its output too, and released once that is written: whatever the order in which the model is done,
    no frame waits for bytes that one behind it holds.

    Args:
        steps: What the conversion does with each.
        output: Where they are written.
        name: What they are called, ``frames`` or ``pages``.
        watch: Called with the frames that are written and how many there are.
    """

    def __init__(self, steps: Steps[T], output: FramesFile, name: str, watch: Callable[[int, int], None]) -> None:
        self.count = output.done
        """Frames written."""
        self._steps, self._output, self._name, self._watch = steps, output, name, watch
        self._notes: dict[str, None] = {}
        self._damage = DamageCount()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the frames, each sentence once."""
        return (*self._notes, *self._damage.notes(self._name))

    def run(self, frames: Generator[Frame | DamagedFrames, None, None], nbytes: int, scale: int) -> None:
        """Convert frames; returns, or raises, when none is on its way.

        Args:
            frames: Those to convert.
            nbytes: Bytes of the first frame; of the others it is seen what they take.
            scale: Most that a side becomes longer.

        Raises:
            Closed: The conversion stops.
            PixlateError: None can be read.
        """
        order = InOrder(self._steps.pool, self._write, lambda item: self._steps.budget.give_back(item.taken), self._steps.most, self._steps.stopping)
        with closing(frames):
            try:
                self._read(frames, nbytes, scale, order)
            except BaseException:
                with suppress(BaseException):  # what is raised is what was first
                    order.join()
                raise
            order.join()
        if not self.count:
            raise PixlateError(
                f"none of its {self._name} can be read ({'; '.join(self._damage.notes(self._name)) or 'there are none'}); copy it again from its source"
            )

    def _read(self, frames: Iterator[Frame | DamagedFrames], nbytes: int, scale: int, order: "InOrder[_Item[T]]") -> None:
        while True:
            taken = self._steps.budget.take(2 * nbytes * (1 + scale**2))
            try:
                frame = next(frames, None)
                if isinstance(frame, DamagedFrames):
                    self._damage.add(frame)
                    continue
                if frame is None:
                    return
                if (number := order.enter()) is None:
                    raise Closed
                release, taken = taken, 0
            finally:
                self._steps.budget.give_back(taken)
            picture, nbytes = frame.picture, frame.picture.nbytes
            self._watch(self.count, frame.count)
            shell = replace(frame, picture=without_pixels(picture))
            try:
                self._steps.send(number, picture, partial(self._translated, order, number, shell, release))
            except BaseException:
                order.put(number, _Item(number, shell, release, None, Abandoned()))
                raise
            del frame, picture

    def _translated(self, order: "InOrder[_Item[T]]", number: int, frame: Frame, taken: int, read: T, output: Pixels | Exception) -> None:
        """Let an output be written when it is its turn, in a translating thread."""
        order.put(number, _Item(number, frame, taken, read, output))

    def _write(self, item: "_Item[T]") -> None:
        """Write a frame, in a writing thread."""
        try:
            if item.read is None:
                return
            picture = self._steps.picture(item.number, item.read, item.output)
            self._notes |= dict.fromkeys(picture.notes)
            self._output.add(replace(item.frame, picture=picture))
            self.count += 1
        finally:
            self._steps.budget.give_back(item.taken)


@dataclass(frozen=True)
class _Item(Generic[T]):
    """A frame that the model is done with."""

    number: int
    frame: Frame
    """Without its pixels."""
    taken: int
    """Bytes of the budget."""
    read: T | None
    """None for one that was not sent to the model."""
    output: Pixels | Exception


class DamageCount:
    """What of a file's frames could not be read."""

    def __init__(self) -> None:
        self._first: dict[bool, DamagedFrames] = {}
        self._counts = {True: 0, False: 0}
        self._open = False

    def add(self, damaged: DamagedFrames) -> None:
        """Count frames that are damaged."""
        self._first.setdefault(damaged.kept, damaged)
        self._counts[damaged.kept] += damaged.count
        self._open = self._open or not damaged.count

    def notes(self, name: str) -> tuple[str, ...]:
        """Return what the user should know; ``name`` is ``frames`` or ``pages``."""
        notes = []
        if left_out := self._first.get(False):
            count = self._counts[False]
            if self._open:
                notes.append(f"all from {left_out.first} on were left out, since they cannot be read: {left_out.reason}")
            else:
                what = left_out.first if count == 1 and name == "pages" else f"{count} {name if count > 1 else name.removesuffix('s')}"
                first = "" if count == 1 and name == "pages" else f", the first at {left_out.first}"
                notes.append(f"{what} could not be read and {'was' if count == 1 else 'were'} left out{first}: {left_out.reason}")
        if kept := self._first.get(True):
            count = self._counts[True]
            notes.append(f"{count} damaged {name if count > 1 else name.removesuffix('s')} kept as far as they could be decoded, the first at {kept.first}")
        return tuple(notes)
