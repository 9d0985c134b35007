"""Read and write files in forked children whose time and memory are bounded, and say what each came to. Run as a script, so that it forks no threads.

``guarded.py files PATH ...`` reads files, ``guarded.py fuzz SEED FIRST LAST`` mutated ones; each prints one line of JSON a file.
"""

import importlib
import json
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pixlate.images.formats  # noqa: F401 - imported before forking, once for all
from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.write import encode_picture

CPU_SECONDS, WALL_SECONDS, BYTES = 10, 60, 1 << 30
MAX_PIXELS = 25_000_000
BATCH, FRAMES = 100, 20


def outcome(source: Path | bytes, max_pixels: int, back: bool) -> str:
    """Read the header and the first frames of a file, and write each back where asked for; return a picture's facts, or the sentence."""
    try:
        with ImageFile(source, max_pixels=max_pixels) as file:
            facts = f"{file.format.name} {file.size}"
            for index, frame in enumerate(file.frames()):
                if index == FRAMES:
                    break
                if back and file.format.write is not None:
                    encode_picture(frame.picture, file.format.name)
    except PixlateError as error:
        return str(error)
    return facts


def report(names: Sequence[str], read: Callable[[str], str]) -> None:
    """Print what each file came to; a batch of files shares a child until one is killed."""
    left = list(names)
    while left:
        receiving, sending = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(receiving)
            _work(left[:BATCH], read, sending)
        os.close(sending)
        done = _followed(receiving, child)
        _, status = os.waitpid(child, 0)
        left = left[done:]
        if status:
            print(json.dumps({"name": left.pop(0), "killed": signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}))


def _work(names: Sequence[str], read: Callable[[str], str], sending: int) -> None:
    with os.fdopen(sending, "w") as stream:
        for name in names:
            began, used = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            resource.setrlimit(resource.RLIMIT_CPU, (int(began) + CPU_SECONDS + 1, resource.RLIM_INFINITY))
            try:
                answer = read(name)
            except BaseException as error:  # noqa: BLE001 - what must not happen, reported
                answer = f"bug: {type(error).__name__}: {error}"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            print(
                json.dumps({"name": name, "answer": answer, "seconds": round(time.process_time() - began, 2), "peak": peak, "grown": peak - used * 1024}),
                file=stream,
                flush=True,
            )
            if peak > BYTES // 4:
                break  # the next gets a child of its own size
    os._exit(0)


def _followed(receiving: int, child: int) -> int:
    """Print the lines of a child and return their number; kill it where none comes for too long."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    count = 0
    with os.fdopen(receiving) as stream:
        signal.alarm(WALL_SECONDS)
        for line in stream:
            print(line, end="", flush=True)
            count += 1
            signal.alarm(WALL_SECONDS)
    signal.alarm(0)
    return count


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.argv[1] == "files":
        report(sys.argv[2:], lambda name: outcome(Path(name), MAX_PIXELS, back=False))
    else:
        fuzzing = importlib.import_module("fuzzing")  # beside this script
        fuzzing.whole()  # once for all children
        seed, first, last = map(int, sys.argv[2:])
        report([str(number) for number in range(first, last)], lambda name: outcome(fuzzing.mutated(seed, int(name)), MAX_PIXELS // 8, back=True))
