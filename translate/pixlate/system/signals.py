"""Signals that stop long work gracefully: Ctrl-C, SIGTERM, and the hang-up of a terminal that is closed."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self

STOPPING = tuple(number for name in ("SIGTERM", "SIGINT", "SIGHUP") if (number := getattr(signal, name, None)) is not None)


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
