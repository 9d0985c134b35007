"""Runs several commands in one process of their own: importing PyTorch takes seconds each time."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

IN_TURN = """
import contextlib, io, json, runpy, sys, traceback

for module, *words in json.loads(sys.argv[1]):
    sys.argv, code, out, err = [module, *words], 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as left:
            code = left.code or 0
        except BaseException:
            code = traceback.format_exc()
    print("DONE" + json.dumps([code, out.getvalue(), err.getvalue()]))
"""


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


def run_modules(*commands: Sequence[object], site: str | Path = "", folder: Path | None = None) -> list[Done]:
    """Run ``python -m MODULE WORDS`` for each command, one after the other, with a folder of packages before the others, in a folder."""
    before = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": before}
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run([sys.executable, "-c", IN_TURN, words], cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False)
    results = [Done(*json.loads(line.removeprefix("DONE"))) for line in done.stdout.splitlines() if line.startswith("DONE")]
    assert len(results) == len(commands), f"{done.stdout}\n{done.stderr}"
    return results
