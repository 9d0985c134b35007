"""``pixlate runs``: the run folders under a folder, with how each goes and how good it is."""

import json as json_format
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pixlate.cli.periodic import duration
from pixlate.errors import PixlateError
from pixlate.places.paths import require_folder
from pixlate.runs.folder import RUNS
from pixlate.runs.state import Run, find_runs, read_run
from pixlate.system.text import printable

HEADINGS = ("run", "method", "state", "steps", "best")


def runs(folder: Path = RUNS, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the runs of training under a folder, those that are going on too, with steps and best figures; exit code 1 where one cannot be read.

    Parameters
    ----------
    folder
        Searched for run folders; or a run folder itself.
    json
        Print one JSON list, for programs, with the newest figures too.
    """
    require_folder(folder, "runs")
    found: dict[str, Run] = {}
    problems = []
    for path in find_runs(folder):
        name = os.path.relpath(path, folder) if path != folder else path.resolve().name
        try:
            found[name] = read_run(path)
        except (PixlateError, OSError) as error:
            problems.append(f"{name}: {error}")
    if json:
        print(json_format.dumps([_row(name, run) for name, run in found.items()]))
    elif found:
        print("\n".join(_table([HEADINGS, *(_cells(name, run) for name, run in found.items())])))
    elif not problems:
        print(f"no runs of training in {printable(str(folder))}; `pixlate train METHOD FOLDER... --out {folder / 'first'}` starts one")
    for problem in problems:
        print(f"pixlate: {printable(problem)}", file=sys.stderr)
    return 1 if problems else 0


def _cells(name: str, run: Run) -> tuple[str, ...]:
    """Return a line of the table."""
    left = run.seconds_left
    state = f"{run.state}, {duration(left)} left" if left is not None else run.state
    best = f"{run.best.metric} {run.best.value:.4g} at step {run.best.step:,}" if run.best else ""
    return printable(name), run.method, state, f"{run.step:,}{f' of {run.steps:,}' if run.steps else ''}", best


def _table(rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    """Return rows with columns as wide as their longest cell."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(name: str, run: Run) -> dict[str, Any]:
    """Return what programs read of a run."""
    best = {"step": run.best.step, "metric": run.best.metric, "value": run.best.value} if run.best else None
    newest = {kind: next(reversed(lines.values()), {}) for kind, lines in run.logged.lines.items()}
    return {
        "name": name,
        "path": str(run.path.resolve()),
        "method": run.method,
        "state": run.state,
        "message": run.message,
        "step": run.step,
        "steps": run.steps,
        "seconds_left": run.seconds_left,
        "best": best,
        **newest,
    }
