"""The report of a run: one page that shows how it goes, with its curves, samples, options and warnings."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from io import BytesIO
from math import ceil, floor, isfinite, log10
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, Template
from PIL import Image

from pixlate.system.folder import replacing
from pixlate.training.run import LOG, SAMPLES, stored_options

REPORT = "report.html"
POINTS = 400
"""Most points of a curve: about one a pixel of its chart."""
SHEETS = 8
HEAVIEST = 900_000
"""Largest sheet on the page, in bytes; eight of these in base64 stay below 10 MB."""
DECADES = 3
"""A chart whose numbers span more powers of ten than this is drawn on a logarithmic scale."""
APART = 20
"""So is one where the median of one curve is more times that of another: the smaller would be a flat line."""
FLOOR = 6
"""Powers of ten below its largest number where such a chart ends; smaller numbers are drawn at the bottom."""
LEFT, RIGHT, TOP, BOTTOM = 52, 408, 22, 196
"""Edges of a plot, in the units of its drawing, which ``report.html`` makes 420 wide and 230 high."""

Points = list[tuple[float, float]]
"""Steps and numbers, in the order of steps."""


@dataclass
class _Logged:
    """What the log of a run holds."""

    step: int = 0
    lines: dict[str, dict[int, dict[str, float]]] = field(default_factory=lambda: {"losses": {}, "validation": {}})
    """Finite numbers by kind of line, by step and by name."""
    warnings: dict[str, int] = field(default_factory=dict)
    """The step of each message."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """What models cost, by the name of a cost and then by model."""
    damaged: int = 0


class _Axis(NamedTuple):
    """A range of numbers and where each is drawn; in powers of ten where it is logarithmic."""

    low: float
    high: float
    start: float
    """Where the low end is drawn."""
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a number is drawn; what is below the low end is put there."""
        if self.logarithmic:
            value = log10(value) if value > 0 else self.low
        return self.start + max(0.0, (value - self.low) / (self.high - self.low)) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round numbers in the range."""
        if self.logarithmic:
            return [10.0**exponent for exponent in range(int(self.low), int(self.high) + 1)]
        rough = (self.high - self.low) / 6
        power = 10 ** floor(log10(rough))
        distance = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
        return [number * distance for number in range(ceil(self.low / distance - 1e-9), floor(self.high / distance + 1e-9) + 1)]


def write_report(run: Path) -> Path:
    """Write ``report.html`` of a run folder from its options, log and samples, atomically; return its path.

    The page needs neither network nor scripts. A run that was resumed logs some steps twice: the later lines hold. Damaged lines of the log,
    as a killed run leaves them, are skipped, and the page says how many.

    Raises:
        PixlateError: The run folder has no options that can be read.
        OSError: The page cannot be written.
    """
    with stored_options(run) as (method, options, _):
        title = f"{method}: {run.resolve().name}"
    logged = _read(run / LOG)
    found = {"options": options, "logged": logged, "sheets": list(_sheets(run / SAMPLES)), "charts": list(_charts(logged))}
    page = _template().render(title=title, log=LOG, left=LEFT, right=RIGHT, bottom=BOTTOM, **found)
    with replacing(run / REPORT) as part:
        part.write_text(page, encoding="utf-8")
    return run / REPORT


@cache
def _template() -> Template:
    """Return the page's template, whose compilation takes longer than a page."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["brief"] = _brief
    return environment.from_string(files("pixlate.training").joinpath("report.html").read_text(encoding="utf-8"))


def _read(path: Path) -> _Logged:
    logged = _Logged()
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
            kind, step = line.pop("kind"), line.pop("step")
        except (ValueError, KeyError, TypeError, AttributeError):
            logged.damaged += 1
            continue
        if kind == "costs":
            logged.costs = _by_cost(line)
        if kind == "warning":
            logged.warnings[line["message"]] = step
        if (lines := logged.lines.get(kind)) is not None:
            while lines and next(reversed(lines)) >= step:  # resumed from a checkpoint before the last line
                lines.popitem()
            lines[step] = {name: value for name, value in line.items() if type(value) in (int, float) and isfinite(value)}
            logged.step = step
    return logged


def _by_cost(models: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the numbers of each model by their own names first, as the rows of a table."""
    rows: dict[str, dict[str, float]] = {}
    for model, costs in models.items():
        for name, value in costs.items() if isinstance(costs, dict) else ():
            if type(value) in (int, float) and isfinite(value):
                rows.setdefault(name, {})[model] = value
    return rows


def _sheets(folder: Path) -> Iterator[tuple[int, str, str]]:
    """Yield step, name and data URL of at most SHEETS sheets, evenly spread over the run, newest first."""
    found = {int(match[1]): path for path in folder.glob("step-*.png") if (match := re.fullmatch(r"step-(\d+)\.png", path.name))}
    newest_first = sorted(found, reverse=True)
    for index in dict.fromkeys(np.linspace(0, len(found) - 1, min(SHEETS, len(found))).round().astype(int)):
        step = newest_first[index]
        kind, data = _light(found[step])
        yield step, f"{SAMPLES}/{found[step].name}", f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _light(path: Path) -> tuple[str, bytes]:
    """Return a sheet as it is, or as JPEG and then ever smaller where it is too heavy for the page."""
    kind, data, factor = "png", path.read_bytes(), 1
    while len(data) > HEAVIEST:
        kind, buffer = "jpeg", BytesIO()
        Image.open(path).convert("RGB").reduce(factor).save(buffer, "JPEG", quality=90, subsampling=0)
        data, factor = buffer.getvalue(), 2 * factor
    return kind, data


def _charts(logged: _Logged) -> Iterator[dict[str, Any]]:
    """Yield the charts that have numbers, as the page draws them: steps and values of each curve, its last value, and both axes."""
    losses, validation = (_by_name(logged.lines[kind]) for kind in ("losses", "validation"))
    speed = {name: losses.pop(name) for name in list(losses) if name == "steps_per_second"}
    rates = {name: losses.pop(name) for name in list(losses) if name.endswith("learning_rate")}
    measured = [(f"Validation: {name}", "dB" if name.startswith("psnr") else "", {name: points}) for name, points in validation.items()]
    for title, unit, group in (("Losses", "", losses), *measured, ("Learning rate", "", rates), ("Speed", "steps/s", speed)):
        if group:
            curves = {name: _thinned(points) for name, points in group.items()}
            last = {name: points[-1][1] for name, points in group.items()}
            ends = [step for curve in curves.values() for step, _ in (curve[0], curve[-1])]
            x = _Axis(min(ends), max(*ends, min(ends) + 1), LEFT, RIGHT)
            # a schedule that ends near zero is read on a linear scale
            y = _axis([[value for _, value in curve] for curve in curves.values()], may_be_logarithmic=group is not rates and group is not speed)
            yield {"title": title, "unit": unit, "curves": curves, "last": last, "x": x, "y": y}


def _by_name(lines: Mapping[int, Mapping[str, float]]) -> dict[str, Points]:
    series: dict[str, Points] = {}
    for step, values in lines.items():
        for name, value in values.items():
            series.setdefault(name, []).append((step, value))
    return series


def _thinned(series: Points) -> Points:
    """Return at most POINTS points, each the mean of a window."""
    points = np.array(series, np.float64)
    starts = np.arange(0, len(points), ceil(len(points) / POINTS))
    means: Points = (np.add.reduceat(points, starts) / np.diff(starts, append=len(points))[:, None]).tolist()
    return means


def _axis(curves: Iterable[list[float]], may_be_logarithmic: bool) -> _Axis:
    """Return an axis that holds the values of all curves, with some room."""
    medians = [middle for curve in curves if (middle := median(curve)) > 0]
    ordered = sorted(value for curve in curves for value in curve)
    low, high = ordered[0], ordered[-1]
    least = next((value for value in ordered if value > 0), high)
    apart = bool(medians) and max(medians) > APART * min(medians)
    if may_be_logarithmic and low >= 0 and (apart or high > least * 10**DECADES):
        return _Axis(max(floor(log10(least)), ceil(log10(high)) - FLOOR), ceil(log10(high)), BOTTOM, TOP, logarithmic=True)
    if 0 <= low <= high / 2:
        low = 0.0
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return _Axis(low if low == 0 else low - room, high + room, BOTTOM, TOP)


def _brief(value: float) -> str:
    """Return a number in four digits, short enough for the label of an axis: 1.5e-4 instead of 0.00015."""
    if 0 < abs(value) < 1e-3:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.4g}"
