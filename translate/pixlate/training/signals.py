"""Signals that ask training to stop after the step it is in."""

import signal
import threading
from types import FrameType
from typing import Self


class StopOnSignal:
    """Context in which SIGTERM and SIGINT only ask to stop; outside the main thread, where signals cannot be taken, it does nothing."""

    def __init__(self) -> None:
        self.asked = False
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
