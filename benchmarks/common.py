"""What every benchmark shares: sides measured in turns, figures with their bars, the machine, the result file, and timing of whole processes."""

import json
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pixlate.system.cores import granted_cores

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("pixlate", "onnxruntime-gpu", "onnxruntime", "openvino", "numpy", "pillow", "imagecodecs", "av", "torch", "spandrel")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm", "bf16", "sve")
"""Of a processor's flags, those that decide what arithmetic costs; the last four are ARM's."""
TURNS = 5
"""Turns of each side, at least, of a ratio that is published."""
_STARTED = time.perf_counter()


@dataclass(frozen=True)
class Figure:
    """One measured number, with the bars it has to clear."""

    what: str
    """What was measured, over what, as the page shows it."""
    value: float
    """The median where there were turns."""
    unit: str = "times"
    least: float | None = None
    """Of all turns, or of all pictures."""
    most: float | None = None
    turns: int = 1
    required: float | None = None
    aim: float | None = None
    better: Literal["more", "less"] = "more"

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set, numbers with six significant digits."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: significant(value) if isinstance(value, float) else value for name, value in fields.items()}


@dataclass(frozen=True)
class Turns:
    """What sides measured, turn by turn."""

    seen: Mapping[str, Sequence[float]]
    """Seconds of each side, or anything of which less is better; entries of one index were measured one after the other."""

    def median(self, side: str) -> float:
        """Return the median of a side."""
        return statistics.median(self.seen[side])

    def ratios(self, side: str, over: str) -> list[float]:
        """Return, for each turn, how many times as fast one side is as another."""
        return [theirs / ours for ours, theirs in zip(self.seen[side], self.seen[over], strict=True)]

    def times(self, what: str, side: str, over: str, required: float | None = None, aim: float | None = None) -> Figure:
        """Return how many times as fast one side is as another: the median of the turns' ratios, with their spread."""
        ratios = self.ratios(side, over)
        return Figure(what, statistics.median(ratios), "times", min(ratios), max(ratios), len(ratios), required, aim)

    def seconds(self, what: str, side: str, required: float | None = None, aim: float | None = None) -> Figure:
        """Return the median seconds of a side, with their spread."""
        seen = self.seen[side]
        return Figure(what, statistics.median(seen), "s", min(seen), max(seen), len(seen), required, aim, "less")

    def to_json(self) -> dict[str, list[float]]:
        """Return what was measured, with six significant digits."""
        return {side: [significant(value) for value in seen] for side, seen in self.seen.items()}


def in_turns(sides: Mapping[str, Callable[[], float]], turns: int = TURNS, warm_up: int = 0) -> Turns:
    """Measure sides alternately, so that a machine that slows down slows all; every second turn goes backwards, so that none is always first.

    Args:
        sides: By name, what measures once and returns seconds (or anything of which less is better).
        turns: How often each side is measured.
        warm_up: Turns before those, which do not count.
    """
    seen: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(-warm_up, turns):
        for side in sides if turn % 2 == 0 else reversed(list(sides)):
            value = sides[side]()
            if turn >= 0:
                seen[side].append(value)
    return Turns(seen)


def significant(value: float) -> float:
    """Return a number with six significant digits."""
    return float(f"{value:.6g}")


def decibels(levels: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the PSNR of a picture in levels against another; 99 where they are equal."""
    error = float(np.mean((levels.astype(np.float64) - expected.astype(np.float64)) ** 2))
    return min(99.0, 10 * math.log10(255**2 / error)) if error else 99.0


def data() -> Path:
    """Return the folder of benchmark images; leave with a sentence where it is not named."""
    folder = os.environ.get("PIXLATE_DATA")
    if not folder or not Path(folder).is_dir():
        sys.exit("expected PIXLATE_DATA to name the folder of benchmark images (set5/, photos/); set it and run again")
    return Path(folder)


def machine() -> dict[str, Any]:
    """Return processor, its flags that decide, cores, memory, Python and the versions of what is measured."""
    processor, flags = platform.processor() or platform.machine(), set[str]()
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                processor = value.strip()
            elif name.strip() in ("flags", "Features"):
                flags.update(value.split())
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": processor,
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": granted_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def save(name: str, results: Mapping[str, Any], figures: Sequence[Figure] = ()) -> None:
    """Print the figures, and write a result file with them, the command, its seconds so far, commit, machine and versions; ``page.py`` draws the page of it."""
    for figure in figures:
        print(sentence(figure))
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    words = ["PATH" if Path(word).is_absolute() else word for word in sys.argv[1:]]
    head = {"command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words]), "took_s": round(time.perf_counter() - _STARTED)}
    whole = {"commit": commit, **head, "machine": machine(), "figures": [figure.to_json() for figure in figures], **results}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(whole, indent=2) + "\n")
    print(f"wrote {path}")


def sentence(figure: Figure) -> str:
    """Return a figure as a line of text."""
    spread = f" ({figure.least:.4g} to {figure.most:.4g}, {figure.turns} turns)" if figure.least is not None and figure.most is not None else ""
    bars = ", ".join(f"{name} {value:g}" for name, value in (("required", figure.required), ("aim", figure.aim)) if value is not None)
    return f"{figure.what}: {figure.value:.4g} {figure.unit}{spread}" + (f"; {bars}" if bars else "")


@dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    seconds: float
    """Wall time from start to end."""
    peak_mb: float
    """Largest resident memory, in millions of bytes."""
    output: str


_LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
process.returncode = 0
with os.fdopen(int(sys.argv[1]), "w") as result:
    json.dump([time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6, os.waitstatus_to_exitcode(status)], result)
"""
"""Runs a command in place of a benchmark: Linux counts the memory of whoever begins a process as that of the process."""


def timed(command: Sequence[str | Path]) -> Finished:
    """Run a command to its end; leave where it fails."""
    reading, writing = os.pipe()
    words = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writing), *map(str, command)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, pass_fds=[writing]) as process:
        os.close(writing)
        assert process.stdout is not None
        output = process.stdout.read()
    with os.fdopen(reading) as result:
        seconds, peak_mb, code = json.load(result)
    if code:
        sys.exit(f"{' '.join(map(str, command))} ended with {code}")
    return Finished(seconds, peak_mb, output)
