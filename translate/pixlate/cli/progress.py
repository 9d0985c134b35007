"""What is on the screen while a folder is converted: a bar on a terminal, a line every half minute elsewhere."""

import sys
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pixlate.cli.periodic import EVERY, Periodic, duration
from pixlate.convert.report import Report, Result
from pixlate.system.text import printable

if TYPE_CHECKING:
    from pixlate.cli.bar import Bar

_LOOK = 1.0
"""Seconds between two looks at whether a line is due."""
_WIDEST = 24
"""Characters of the model's name: the end of a path is the most informative, and a line has 80."""


def status(report: Report) -> str:
    """Return how far a conversion is: ``12/340 images, 31 %, 0:04:10 left, 2 failed``."""
    summary, progress = report.summary, report.progress
    left = progress.seconds_left
    parts = [f"{summary.planned - summary.not_reached}/{summary.planned}", f"{progress.fraction:.0%}"]
    done, count = progress.frames
    if count:
        parts.append(f"frame {done} of {count}")
    if left is not None and summary.not_reached:
        parts.append(f"{duration(left)} left")
    if report.watching:
        parts = [f"watching {printable(report.watching)}: {summary.converted} converted"]
    return ", ".join([*parts, *([f"{summary.failed} failed"] if summary.failed else []), *(["Ctrl-C ends it"] if report.watching else [])])


def line_of(result: Result, out: str) -> str:
    """Return what ``--verbose`` prints of a result."""
    sizes = " {}x{} -> {}x{}".format(*result.source_size, *result.output_size) if result.source_size and result.output_size else ""
    more = "; ".join([*([result.reason] if result.reason else []), *result.notes])
    return printable(f"{result.status}: {result.source} -> {out_path(out, result.output)}{sizes}") + (f" ({more})" if more else "")


def out_path(out: str, name: str) -> str:
    """Return the full path or URL of an output in an output folder."""
    return f"{out.rstrip('/')}/{name}" if name else out


class Lines:
    """What is printed where there is no terminal: the estimate once it is known, if that is long, and then a line every half minute.

    Args:
        model: Name of the model, which is said while it is loaded.
        write: Prints a line.
        clock: Returns seconds of a monotonic clock.
    """

    def __init__(self, model: str, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.report: Report | None = None
        """Known once the conversion has begun."""
        self._model, self._write, self._lines = model, write, Periodic(clock)
        self._estimated = False

    def tick(self) -> None:
        """Print a line if one is due; called every second or so."""
        if self.report is not None and self.report.watching:
            return
        left = None if self.report is None else self.report.progress.seconds_left
        first = not self._estimated and left is not None and left >= EVERY
        if not self._lines.due(at_once=first):
            return
        self._estimated = self._estimated or left is not None
        if self.report is None:
            self._write(f"loading {self._model} ..., {duration(self._lines.seconds)}")
        else:
            self._write(f"{self._model}: {status(self.report)}, {self.report.progress.pixels_left / 1e6:.3g} million pixels to do")


class Display:
    """Context in which the state of a conversion is shown on standard error.

    Args:
        model: Name of the model.
        quiet: Whether to show nothing.
        verbose: Whether to print a line for each file, too.
        failures: Whether to print a line for each file that fails, at once.
        lines: Receives each result in place of those lines.
    """

    def __init__(self, model: str, quiet: bool, verbose: bool, failures: bool = False, lines: Callable[[Result], None] | None = None) -> None:
        self._quiet, self._failures, self._results = quiet, failures, lines
        model = model if len(model) <= _WIDEST else f"...{model[3 - _WIDEST :]}"
        self._verbose = verbose
        self._report: Report | None = None
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar = self._made(model) if terminal and not quiet else None
        self._lines = None if terminal or quiet else Lines(model, self._say)
        self._lock, self._ended = Lock(), Event()
        self._ticking = Thread(target=self._tick, name="progress", daemon=True)

    def _made(self, model: str) -> "Bar":
        from pixlate.cli.bar import Bar

        return Bar(model, lambda: self._report)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        if self._lines is not None:
            self._ticking.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._bar is not None:
            self._bar.stop()
        if self._lines is not None:
            self._ticking.join()

    def watch(self, report: Report) -> None:
        """Take in the state after a result."""
        self._report = report
        if self._lines is not None:
            self._lines.report = report
        if report.last is not None and self._results is not None:
            self._results(report.last)
        elif report.last is not None and (self._verbose or (self._failures and report.last.status == "failed")):
            self._say(line_of(report.last, report.out))
        if report.watching and self._bar is None and not self._quiet:
            self._say(status(report))

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            with self._lock:
                print(line, file=sys.stderr, flush=True)

    def _tick(self) -> None:
        while self._lines is not None and not self._ended.wait(_LOOK):
            self._lines.tick()
