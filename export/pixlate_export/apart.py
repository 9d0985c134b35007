"""Runs work in a process of its own: where PyTorch or ONNX Runtime crash on a network, that is one sentence. No PyTorch here."""

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Concatenate, ParamSpec

from pixlate.errors import PixlateError

Report = Callable[[str], None]
"""Prints a line."""
Given = ParamSpec("Given")
PATIENCE = 5.0
"""Seconds a process has to remove its temporary files after it was asked to end."""


def apart(remedy: str, work: Callable[Concatenate[Report, Given], None], *given: Given.args, **named: Given.kwargs) -> None:
    """Call ``work(report, *given)`` in a new process; print what it reports, and raise what it raises.

    Args:
        remedy: What to do where it crashes.
        work: A function of a module; what is given to it can be pickled.
        given: Of the work.
        named: Of the work.

    Raises:
        PixlateError: Raised by the work; or its process crashed, or was killed.
        SystemExit: The work raised what is no user's mistake; its process has printed the traceback.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_begin, args=(sending, work, given, named))
    process.start()
    sending.close()
    try:
        while (message := _received(receiving)) is not None:
            if isinstance(message, Exception):
                raise message
            print(message, flush=True)
        process.join()
    finally:
        receiving.close()
        if process.is_alive():
            process.terminate()
            process.join(PATIENCE)
            process.kill()
            process.join()
    code = process.exitcode or 0
    if code < 0 or code > 255:
        raise PixlateError(_explained(code, remedy))
    if code:
        raise SystemExit(code)


def _received(connection: Connection) -> str | Exception | None:
    """Return the next line or exception, or None where the process has ended."""
    try:
        message: str | Exception = connection.recv()
    except (EOFError, OSError):
        return None
    if isinstance(message, Warning):
        warnings.warn(message, stacklevel=3)
        return _received(connection)
    return message


def _explained(code: int, remedy: str) -> str:
    """Return the sentence for a process that did not end by itself; above 255 are the codes of Windows."""
    if -code == getattr(signal, "SIGKILL", 9):
        return "the process that writes the file was killed (SIGKILL), mostly for lack of memory; nothing was written: close other programs, or use a machine with more"
    name = signal.Signals(-code).name if code < 0 else hex(code)
    return f"the process that writes the file crashed ({name}), by a fault of PyTorch or ONNX Runtime with this network; nothing was written: {remedy}"


def _begin(sending: Connection, work: Callable[..., None], given: tuple[object, ...], named: dict[str, object]) -> None:
    """Do the work, in the new process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes; the first ends this one
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.showwarning = lambda message, *_, **__: sending.send(UserWarning(str(message)))
    try:
        work(sending.send, *given, **named)
    except (PixlateError, OSError) as error:
        sending.send(error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
