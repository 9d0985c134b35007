"""What decoders do to damaged files, called in another process."""

import os
import signal
from pathlib import Path
from threading import Event

from pixlate_formats.wire import Message


def crash(file: bytes) -> Message:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Message({})


def hang(file: bytes) -> Message:
    if file.startswith(b"/"):  # where to say that it has begun
        Path(os.fsdecode(file)).touch()
    Event().wait()
    return Message({})


def flood(file: bytes) -> Message:
    return Message({}, {"all": bytes(64 << 30)})


def chat(file: bytes) -> Message:
    os.write(1, b"a library that prints " * 100)
    print("and another", flush=True)
    return Message({"process": os.getpid(), "length": len(file), "group": os.getpgid(0)})
