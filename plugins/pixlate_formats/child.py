"""The process that decodes: it answers requests on its standard input until that ends. Run as ``python -m pixlate_formats.child``."""

import os
import signal
import sys
from importlib import import_module
from typing import BinaryIO

from pixlate.errors import OverLimit, PixlateError, Unsupported
from pixlate.system.priority import run_in_background
from pixlate_formats.wire import Message, receive, send

KINDS: dict[str, type[Exception]] = {"unsupported": Unsupported, "over limit": OverLimit, "refused": PixlateError, "memory": MemoryError, "damaged": ValueError}
"""Kind of a failure -> what is raised for it; the first that fits is sent."""


def limit_memory(count: int) -> None:
    """Let this process take at most so many bytes beyond what it has; on Linux, elsewhere nothing is done."""
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm") as stream:  # noqa: PTH123 - a path object is no clearer here
        taken = int(stream.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + count if most == resource.RLIM_INFINITY else min(taken + count, most), most))


def limit_time(seconds: float) -> None:
    """Let this process end after so many seconds, whatever a library does; 0 takes that back. On Windows nothing is done."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


def answer(request: Message) -> Message:
    """Call the function of a module that a request names with the file's bytes; what it raises is an answer as well."""
    fields = request.fields
    try:
        decoder = getattr(import_module(fields["module"]), fields["function"])
        limit_time(fields["seconds"])
        limit_memory(fields["memory"])
        found: Message = decoder(request.data("file"), **fields["options"])
        return found
    except BaseException as error:  # noqa: BLE001 - whatever a decoder raises is about the file
        kind = next((name for name, raised in KINDS.items() if isinstance(error, raised)), "damaged")
        return Message({"failure": kind, "sentence": " ".join(str(error).split()) or type(error).__name__})
    finally:
        limit_time(0)


def main() -> None:
    """Answer until the other side ends."""
    requests, answers = sys.stdin.buffer, _own_output()
    run_in_background()
    while True:
        try:
            request = receive(requests)
        except EOFError:
            return
        send(answers, answer(request))


def _own_output() -> BinaryIO:
    """Return the standard output, where decoders that print no longer reach it."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
