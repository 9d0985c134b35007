"""The report of a run: one page that shows how it goes, with its curves, samples, options and warnings."""

import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import cache
from importlib.resources import files
from math import ceil, floor, log10
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from jinja2 import Environment, Template
from PIL import Image

from pixlate.runs.folder import LOG, REPORT
from pixlate.runs.log import RATE, Logged, thinned
from pixlate.runs.samples import data_url, spread
from pixlate.runs.state import Run, read_run
from pixlate.system.folder import replacing

POINTS = 400
"""Most points of a curve: about one a pixel of its chart."""
SHEETS = 24
"""Most sheets on the page, shared by the views."""
HEAVIEST = 900_000
"""Largest newest sheet of a view on the page, in bytes."""
LIGHT = 200_000
"""Largest earlier one; with three views the page stays below 10 MB in base64."""
DECADES = 3
"""A chart whose numbers span more powers of ten than this is drawn on a logarithmic scale."""
APART = 20
"""So is one where the median of one curve is more times that of another: the smaller would be a flat line."""
FLOOR = 6
"""Powers of ten below its largest number where such a chart ends; smaller numbers are drawn at the bottom."""
LEFT, RIGHT, TOP, BOTTOM = 52, 408, 22, 196
"""Edges of a plot, in the units of its drawing, which ``report.html`` makes 420 wide and 230 high."""
STATES = {
    "running": "running when this page was written",
    "finished": "finished",
    "stopped": "stopped",
    "failed": "ended with an error",
    "died": "ended without a word, as a process that is killed",
}
"""States of a run in words."""


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
    """Write ``report.html`` of a run folder from its options, log, samples and state, atomically; return its path.

    The page holds all it shows, needs no network, and can be read without scripts. A run that was resumed logs some steps twice: the later lines hold. Damaged lines of the log,
    as a killed run leaves them, are skipped, and the page says how many.

    Raises:
        PixlateError: The run folder has no options that can be read.
        OSError: The page cannot be written.
    """
    found = read_run(run)
    title = f"{found.method}: {run.resolve().name}"
    edges = {"left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
    page = _template().render(
        title=title,
        log=LOG,
        run=found,
        logged=found.logged,
        options=found.options,
        headline=_headline(found),
        **edges,
        commands=found.commands(),
        views=list(_views(found)),
        charts=list(_charts(found.logged)),
    )
    with replacing(run / REPORT) as part:
        part.write_text(page, encoding="utf-8")
    return run / REPORT


def _headline(run: Run) -> str:
    """Return how the run goes, in a line."""
    left, rate = run.seconds_left, run.logged.rate
    parts = [
        STATES[run.state],
        *([f"about {timedelta(seconds=round(left))} left"] if left else []),
        *([f"{_brief(rate)} steps a second"] if rate else []),
        *([f"on {run.device}"] if run.device else []),
        time.strftime("%Y-%m-%d %H:%M"),
    ]
    return ", ".join(parts)


@cache
def _template() -> Template:
    """Return the page's template, whose compilation takes longer than a page."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["brief"] = _brief
    return environment.from_string(files("pixlate.training").joinpath("report.html").read_text(encoding="utf-8"))


def _views(run: Run) -> Iterator[dict[str, Any]]:
    """Yield each view with at most SHEETS sheets in all, evenly spread over the run, newest first: step, name and data URL of each."""
    for view, sheets in run.sheets.items():
        steps = spread(list(sheets), max(2, SHEETS // len(run.sheets)))
        shown = [
            {
                "step": step,
                "name": sheets[step].relative_to(run.path).as_posix(),
                "url": data_url(sheets[step], LIGHT if index else HEAVIEST),
                "width": _width(sheets[step]),
            }
            for index, step in enumerate(steps)
        ]
        yield {"name": view.replace("-", " "), "sheets": shown}


def _width(path: Path) -> int:
    """Return the width of a sheet in pixels, which it has on the page, too, where it is made lighter."""
    with Image.open(path) as image:
        return image.width


def _charts(logged: Logged) -> Iterator[dict[str, Any]]:
    """Yield the charts that have numbers, as the page draws them: steps and values of each curve, its last value, and both axes."""
    losses, validation = (logged.curves(kind) for kind in ("losses", "validation"))
    speed = {name: losses.pop(name) for name in list(losses) if name == RATE}
    rates = {name: losses.pop(name) for name in list(losses) if name.endswith("learning_rate")}
    measured = [(f"Validation: {name}", "dB" if name.startswith("psnr") else "", {name: points}) for name, points in validation.items()]
    for title, unit, group in (("Losses", "", losses), *measured, ("Learning rate", "", rates), ("Speed", "steps/s", speed)):
        if group:
            curves = {name: thinned(points, POINTS) for name, points in group.items()}
            last = {name: points[-1][1] for name, points in group.items()}
            ends = [step for curve in curves.values() for step, _ in (curve[0], curve[-1])]
            x = _Axis(min(ends), max(*ends, min(ends) + 1), LEFT, RIGHT)
            # a schedule that ends near zero is read on a linear scale
            y = _axis([[value for _, value in curve] for curve in curves.values()], may_be_logarithmic=group is not rates and group is not speed)
            yield {"title": title, "unit": unit, "curves": curves, "last": last, "x": x, "y": y}


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
