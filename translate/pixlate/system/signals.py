"""Signals that stop long work gracefully."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self


class StopOnSignal:
    """Context in which SIGTERM and SIGINT only request a stop; outside the main thread, where signals cannot be taken, it does nothing.

    ``tell`` is called when one arrives, in the main thread.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self.asked = False
        self._tell = tell
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._tell()
