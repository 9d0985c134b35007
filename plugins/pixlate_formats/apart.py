"""Decodes in processes of their own, since libraries in C and C++ have faults that damaged files find: a crash, a hang or a flood of memory is one sentence.

A thread that decodes has a process for itself while it does; processes are kept for the next file, and end with this one.
"""

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock, Timer
from typing import Any, cast

from pixlate.errors import PixlateError
from pixlate_formats.child import KINDS
from pixlate_formats.wire import Message, receive, send

SECONDS = 120.0
"""Most seconds for a file of no size, most of them for a machine that is busy with other work."""
PIXELS_A_SECOND = 100_000
"""Pixels that are decoded in a second at least; the libraries decode a hundred times as many."""
MEMORY, PIXEL_BYTES = 1 << 30, 64
"""Bytes that a decoder may take, and those it may take for each pixel."""
_NEW_GROUP = 0x200
"""CREATE_NEW_PROCESS_GROUP of Windows."""
_idle: list[subprocess.Popen[bytes]] = []
_lock = Lock()
_owner = os.getpid()


def decoded(title: str, module: str, function: str, file: bytes, pixels: int = 0, **options: Any) -> Message:
    """Return what a function of a module returns for a file, called in another process.

    Args:
        title: What the file is, for sentences.
        module: Its full name.
        function: Takes the file's bytes and the options, and returns a Message.
        file: All its bytes.
        pixels: How many are decoded, for the limits of time and memory.
        options: Passed as they are; JSON.

    Raises:
        PixlateError: The decoder refused, crashed, or took too long.
        ValueError: The file is damaged, with the reason.
        MemoryError: It needs more memory than such a picture should.
    """
    memory = MEMORY + PIXEL_BYTES * pixels + 4 * len(file)
    seconds = SECONDS + pixels / PIXELS_A_SECOND
    # twice as long for the process itself, which matters only where this one was killed meanwhile
    fields = {"module": module, "function": function, "memory": memory, "seconds": 2 * seconds, "options": options}
    request = Message(fields, {"file": file})
    child = _taken()
    late = Timer(seconds, child.kill)
    late.daemon = True
    late.start()
    try:
        answer = _asked(child, request)
    except (EOFError, OSError, ValueError) as error:
        hung = late.finished.is_set()
        raise PixlateError(_explained(title, _ended(child), hung)) from error
    except BaseException:
        _ended(child)
        raise
    finally:
        late.cancel()
    with _lock:
        _idle.append(child)
    if failure := answer.fields.get("failure"):
        raise KINDS[failure](answer.fields["sentence"])
    return answer


def _asked(child: "subprocess.Popen[bytes]", request: Message) -> Message:
    assert child.stdin is not None and child.stdout is not None
    send(cast(Any, child.stdin), request)
    return receive(cast(Any, child.stdout))


def _taken() -> "subprocess.Popen[bytes]":
    """Return a process that waits for a request."""
    global _owner  # noqa: PLW0603 - pools are for the whole process
    with _lock:
        if _owner != os.getpid():  # after a fork the processes are the parent's
            _idle.clear()
            _owner = os.getpid()
        while _idle:
            child = _idle.pop()
            if child.poll() is None:
                return child
            _ended(child)
    # its own session: Ctrl-C in a terminal is for this process, which drains
    apart: Mapping[str, Any] = {"creationflags": _NEW_GROUP} if sys.platform == "win32" else {"start_new_session": True}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "pixlate_formats.child"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, **apart)  # noqa: S603 - this very interpreter


def _ended(child: "subprocess.Popen[bytes]") -> int:
    """End a process, and return its exit code."""
    for stream in (child.stdin, child.stdout):
        with suppress(OSError):
            if stream is not None:
                stream.close()
    with suppress(subprocess.TimeoutExpired):
        return child.wait(1)
    child.kill()
    return child.wait()


def _explained(title: str, code: int, hung: bool) -> str:
    """Return the sentence for a process that did not answer; above 255 are the codes of Windows."""
    if hung:
        return f"the decoder of {title} files took too long for it and was ended; the file may be damaged: leave it out or convert it with another program"
    name = signal.Signals(-code).name if code < 0 else hex(code)
    return f"the decoder of {title} files crashed on it ({name}); the file may be damaged: leave it out or convert it with another program"


@atexit.register
def _end_all() -> None:
    with _lock:
        children, own = [*_idle], _owner == os.getpid()
        _idle.clear()
    for child in children if own else ():
        _ended(child)
