"""The log of a run, read back: curves, warnings and costs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, isfinite
from pathlib import Path
from typing import Any

RATE = "steps_per_second"
"""Name of the speed in the log."""

Points = list[tuple[float, float]]
"""Steps and numbers, in the order of steps."""


@dataclass
class Logged:
    """What the log of a run holds."""

    step: int = 0
    lines: dict[str, dict[int, dict[str, float]]] = field(default_factory=lambda: {"losses": {}, "validation": {}})
    """Finite numbers by kind of line, by step and by name."""
    warnings: dict[str, int] = field(default_factory=dict)
    """The step of each message."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """What models cost, by the name of a cost and then by model."""
    damaged: int = 0
    """Lines that cannot be read."""

    @property
    def rate(self) -> float | None:
        """Return the newest speed, in steps a second, or None where there is none."""
        newest = next(reversed(self.lines["losses"].values()), {})
        return newest.get(RATE)

    def curves(self, kind: str) -> dict[str, Points]:
        """Return the numbers of one kind of line by name."""
        series: dict[str, Points] = {}
        for step, values in self.lines[kind].items():
            for name, value in values.items():
                series.setdefault(name, []).append((step, value))
        return series


def read_log(path: Path) -> Logged:
    """Return what a log holds; nothing where there is none.

    A run that was resumed after a crash may have logged some steps twice: the later lines hold. Damaged lines, as a killed run leaves them, are counted.
    """
    logged = Logged()
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
            kind, step = line.pop("kind"), line.pop("step")
            if type(step) is not int:
                raise TypeError("a step is a number")
            _take(logged, kind, step, line)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            logged.damaged += 1
    return logged


def thinned(series: Points, most: int) -> Points:
    """Return at most so many points, each the mean of a window."""
    length = ceil(len(series) / most)
    if length <= 1:
        return [(float(step), float(value)) for step, value in series]
    starts = [*range(0, len(series), length), len(series)]
    windows = (series[start:end] for start, end in pairwise(starts))
    return [(sum(step for step, _ in window) / len(window), sum(value for _, value in window) / len(window)) for window in windows]


def _take(logged: Logged, kind: str, step: int, values: dict[str, Any]) -> None:
    if kind == "costs":
        logged.costs = _by_cost(values)
    if kind == "warning":
        logged.warnings[str(values["message"])] = step
    if (lines := logged.lines.get(kind)) is not None:
        while lines and next(reversed(lines)) >= step:  # resumed from a checkpoint before the last line
            lines.popitem()
        lines[step] = {name: value for name, value in values.items() if type(value) in (int, float) and isfinite(value)}
        logged.step = step


def _by_cost(models: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the numbers of each model by their own names first, as the rows of a table."""
    rows: dict[str, dict[str, float]] = {}
    for model, costs in models.items():
        for name, value in costs.items() if isinstance(costs, dict) else ():
            if type(value) in (int, float) and isfinite(value):
                rows.setdefault(name, {})[model] = value
    return rows
