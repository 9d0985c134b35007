"""Signals that stop long work gracefully: Ctrl-C, SIGTERM, and the hang-up of a terminal that is closed."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Self, TypeVar

STOPPING = tuple(number for name in ("SIGTERM", "SIGINT", "SIGHUP") if (number := getattr(signal, name, None)) is not None)

Made = TypeVar("Made")
INTERRUPTED = 130
"""Exit code of a process that Ctrl-C has ended."""


class StopOnSignal:
    """Context in which the signals of ``STOPPING`` only request a stop; outside the main thread, where signals cannot be taken, it does nothing.

    A hang-up that is ignored when the context begins, as ``nohup`` does, stays ignored.

    ``tell`` is called when one arrives, in the main thread.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self.asked = False
        self._tell = tell
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            ignored = {signal.SIGHUP} if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
            self._before = {number: signal.signal(number, self._ask) for number in STOPPING if number not in ignored}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._tell()


def interruptible(function: Callable[[], Made]) -> Made:
    """Call a function in a thread of its own, so that a signal which raises does so at once, whatever library the function is in.

    What runs there cannot be ended: it is left behind, and ends with the process.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    made: list[Made] = []
    raised: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            made.append(function())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            raised.append(error)
        ended.set()

    try:
        threading.Thread(target=run, name="interruptible", daemon=True).start()  # the signal may come while this waits for the thread
        ended.wait()
    except KeyboardInterrupt:
        atexit.register(_leave, ended)
        raise
    if raised:
        raise raised[0]
    return made[0]


def _leave(ended: threading.Event) -> None:
    """End the process where what was left behind still runs: libraries abort when the interpreter ends around them."""
    if not ended.is_set():
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # there may be none, or nobody reads it
                stream.flush()
        os._exit(INTERRUPTED)
