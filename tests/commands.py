"""Runs commands in processes forked from one that has imported PyTorch: importing it takes seconds each time."""

import contextlib
import json
import multiprocessing
import os
import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast

START = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"  # Windows cannot fork
SERVER = cast("multiprocessing.context.ForkServerContext", multiprocessing.get_context(START))
SERVER.set_forkserver_preload(["pixlate.cli", "pixlate.training.engine", "torch.utils.tensorboard", "torch.export", "onnxscript"])
Work = Literal["run_module", "run_in_turn", "train_killed_after"]
"""Functions of ``tests/forked.py``."""


@dataclass(frozen=True)
class Done:
    """What a command returned and printed."""

    code: object
    out: str
    err: str

    def require(self) -> "Done":
        """Return this, if the command succeeded."""
        assert self.code == 0, f"{self.code}\n{self.out}\n{self.err}"
        return self


class Process:
    """A process that leads a group of its own, with the methods of ``subprocess.Popen`` that tests need.

    Args:
        printed: A folder for what it prints.
        work: What it does.
        arguments: Of the work.
        environment: Variables beside those of this process.
    """

    def __init__(self, printed: Path, work: Work, *arguments: object, **environment: str) -> None:
        self._streams = [printed / name for name in ("out", "err")]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment}
        given = {"work": work, "arguments": arguments, "streams": self._streams, "environment": variables}
        self._process = SERVER.Process(target=runpy.run_path, args=(str(Path(__file__).with_name("forked.py")), {"given": given}, "__main__"))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, or None."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill this process alone."""
        self._process.kill()

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Wait for the end; return what was printed, errors second."""
        self._process.join(timeout)
        assert self.returncode is not None, f"it still runs after {timeout} s"
        out, err = (stream.read_text() if stream.exists() else "" for stream in self._streams)
        return out, err


def run_modules(*commands: Sequence[object], site: str | Path = "", folder: Path | None = None) -> list[Done]:
    """Run ``python -m MODULE WORDS`` for each command, one after the other in one process, with a folder of packages before the others, in a folder."""
    before = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    words = [[str(word) for word in command] for command in commands]
    with TemporaryDirectory() as temporary, contextlib.chdir(folder or Path.cwd()):
        results = Path(temporary) / "results"
        printed = Process(Path(temporary), "run_in_turn", results, *words, PYTHONPATH=before).communicate(timeout=500)
        found = [Done(*json.loads(line)) for line in results.read_text().splitlines()]
    assert len(found) == len(commands), printed
    return found
