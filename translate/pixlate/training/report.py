"""The report of a run: one page that shows how it goes, with its curves, samples, options and warnings."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from importlib.resources import files
from itertools import chain
from math import ceil, floor, log10
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from jinja2 import Environment, Template
from PIL import Image

from pixlate.runs.folder import LOG, REPORT
from pixlate.runs.log import RATE, Logged, Points, thinned
from pixlate.runs.samples import MAIN, data_url, spread
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
    _write(
        run / REPORT,
        title=f"{found.method}: {run.resolve().name}",
        run=found,
        headline=_headline(found),
        commands=found.commands(),
        options=found.options,
        views=list(_views(found)),
        charts=list(_charts(found.logged)),
    )
    return run / REPORT


def write_comparison(folder: Path, runs: Mapping[str, Run], options: Sequence[str]) -> Path:
    """Write ``report.html`` of a folder of runs that differ in some ``options``, atomically; return its path.

    It has a table with the best figure of each, a curve of each in every chart, and the samples of all with a slider over steps.

    Raises:
        OSError: The page cannot be written.
    """
    best = _best(runs.values())
    rows = [{"values": [run.options.get(name) for name in options], "run": run, "state": STATES[run.state], "best": run is best} for run in runs.values()]
    some = next(iter(runs.values()))
    views = [{"name": name, "sheets": sheets} for name, run in runs.items() for sheets in [_sheets(run, MAIN, len(runs), folder)] if sheets]
    _write(
        folder / REPORT,
        title=f"{some.method}: {folder.resolve().name}",
        compared=list(options),
        rows=rows,
        metric=best.best.metric if best and best.best else "",
        headline=f"{len(runs)} runs, {time.strftime('%Y-%m-%d %H:%M')}",
        commands=best.commands() if best else {},
        options={name: value for name, value in some.options.items() if name not in options},
        views=views,
        charts=list(_compared(runs)),
    )
    return folder / REPORT


def _write(path: Path, **content: Any) -> None:
    """Fill in the page and write it, atomically."""
    page = _template().render(log=LOG, left=LEFT, right=RIGHT, top=TOP, bottom=BOTTOM, **content)
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def _best(runs: Iterable[Run]) -> Run | None:
    """Return the run with the best figure; None where no run has one."""
    measured = [(run.best.value if run.best.higher_is_better else -run.best.value, run) for run in runs if run.best]
    return max(measured, key=lambda each: each[0])[1] if measured else None


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
    environment.filters["shown"] = _shown
    return environment.from_string(files("pixlate.training").joinpath("report.html").read_text(encoding="utf-8"))


def _views(run: Run) -> Iterator[dict[str, Any]]:
    """Yield each view with at most SHEETS sheets in all."""
    for view in run.sheets:
        yield {"name": view.replace("-", " "), "sheets": _sheets(run, view, len(run.sheets), run.path)}


def _sheets(run: Run, view: str, sharing: int, folder: Path) -> list[dict[str, Any]]:
    """Return sheets of a view, evenly spread over the run, newest first, where so many views share the page: step, path below the folder, and data URL of each."""
    sheets = run.sheets.get(view, {})
    return [
        {
            "step": step,
            "name": sheets[step].relative_to(folder).as_posix(),
            "url": data_url(sheets[step], LIGHT if index else HEAVIEST),
            "width": _width(sheets[step]),
        }
        for index, step in enumerate(spread(list(sheets), max(2, SHEETS // sharing)))
    ]


def _width(path: Path) -> int:
    """Return the width of a sheet in pixels, which it has on the page, too, where it is made lighter."""
    with Image.open(path) as image:
        return image.width


def _charts(logged: Logged) -> Iterator[dict[str, Any]]:
    """Yield the charts of a run that have numbers."""
    losses, validation = (logged.curves(kind) for kind in ("losses", "validation"))
    speed = {name: losses.pop(name) for name in list(losses) if name == RATE}
    rates = {name: losses.pop(name) for name in list(losses) if name.endswith("learning_rate")}
    measured = [(f"Validation: {name}", _unit(name), {name: points}) for name, points in validation.items()]
    for title, unit, group in (("Losses", "", losses), *measured, ("Learning rate", "", rates), ("Speed", "steps/s", speed)):
        if group:
            # a schedule that ends near zero is read on a linear scale
            yield _chart(title, unit, group, may_be_logarithmic=group is not rates and group is not speed)


def _compared(runs: Mapping[str, Run]) -> Iterator[dict[str, Any]]:
    """Yield a chart of each figure and loss, with a curve of each run."""
    for kind, title in (("validation", "Validation: "), ("losses", "")):
        curves = {name: run.logged.curves(kind) for name, run in runs.items()}
        for name in dict.fromkeys(chain.from_iterable(curves.values())):
            speed = name == RATE or name.endswith("learning_rate")
            found = {run: own[name] for run, own in curves.items() if name in own}
            yield _chart(title + name, _unit(name), found, may_be_logarithmic=not speed)


def _unit(name: str) -> str:
    return "dB" if name.startswith("psnr") else "steps/s" if name == RATE else ""


def _chart(title: str, unit: str, group: Mapping[str, Points], may_be_logarithmic: bool) -> dict[str, Any]:
    """Return a chart as the page draws it: steps and values of each curve, its last value, and both axes."""
    curves = {name: thinned(points, POINTS) for name, points in group.items()}
    last = {name: points[-1][1] for name, points in group.items()}
    ends = [step for curve in curves.values() for step, _ in (curve[0], curve[-1])]
    x = _Axis(min(ends), max(*ends, min(ends) + 1), LEFT, RIGHT)
    y = _axis([[value for _, value in curve] for curve in curves.values()], may_be_logarithmic)
    return {"title": title, "unit": unit, "curves": curves, "last": last, "x": x, "y": y}


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


def _shown(value: Any) -> str:
    """Return an option's value as a user would write it."""
    return ", ".join(map(_shown, value)) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)
