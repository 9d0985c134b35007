"""Ends the server where it cannot end itself: Python handles no signal while a decoder written in C holds its lock.

A small process beside the server reads the numbers of its signals, which Python writes into a pipe in the signal handler itself, without waiting for the lock.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LEAST_S = 5.0
"""Fewest seconds before the server is killed, however short its time to finish: what it does by itself is better."""
AGAIN_S = 1.0
"""Seconds from the second signal until the server is killed."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that shut the server down; there is no SIGHUP on Windows."""
_WATCH = """
import os, select, sys, time
server, grace, again, *numbers = sys.argv[1:]
until = None
while True:
    ready, _, _ = select.select([0], [], [], None if until is None else max(0.0, until - time.monotonic()))
    sent = os.read(0, 1) if ready else b""
    if ready and not sent:
        break
    if not ready:
        os.kill(int(server), 9)
        break
    if str(sent[0]) in numbers:
        until = time.monotonic() + float(grace) if until is None else min(until, time.monotonic() + float(again))
"""
log = logging.getLogger("pixlate_serve")


@contextmanager
def watched(grace_s: float) -> Iterator[None]:
    """Context in which a signal ends this process after ``grace_s``, and a second one at once, whatever it is doing; call it in the main thread.

    On Windows, where signals are no way to end a process, and where no other process can be started, which is logged, it does nothing.
    """
    if os.name == "nt":
        yield
        return
    words = [str(os.getpid()), str(max(grace_s, LEAST_S)), str(AGAIN_S), *(str(int(number)) for number in SIGNALS)]
    end, pipe = os.pipe()
    os.set_blocking(pipe, False)
    try:
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", _WATCH, *words], stdin=end, stdout=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own program
    except OSError as error:
        log.warning("no process can be started to end the server where a decoder keeps it from ending itself (%s)", error.strerror)
        os.close(pipe)
        yield
        return
    finally:
        os.close(end)
    before = signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(pipe)
        process.wait()
