"""What every benchmark shares: the machine, the data, the result file and timing of whole processes."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("pixlate", "onnxruntime-gpu", "onnxruntime", "numpy", "pillow", "torch")


def data() -> Path:
    """Return the folder of benchmark images; leave with a sentence where it is not named."""
    folder = os.environ.get("PIXLATE_DATA")
    if not folder or not Path(folder).is_dir():
        sys.exit("expected PIXLATE_DATA to name the folder of benchmark images (set5/, photos/); set it and run again")
    return Path(folder)


def machine() -> dict[str, Any]:
    """Return processor, cores, Python and the versions of what is measured."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except ImportError:
            continue
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def save(name: str, results: dict[str, Any]) -> None:
    """Write a result file with commit, machine and versions."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"commit": commit, "machine": machine(), **results}, indent=2) + "\n")
    print(f"wrote {path}")


@dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    seconds: float
    """Wall time from start to end."""
    peak_mb: float
    """Largest resident memory, in millions of bytes."""
    output: str


def timed(command: Sequence[str | Path]) -> Finished:
    """Run a command to its end; leave where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return Finished(seconds, usage.ru_maxrss * 1024 / 1e6, output)
