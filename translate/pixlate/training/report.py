"""The report of a run: one page that shows how it goes, with its curves, samples, options and warnings."""

import base64
import json
import re
import tomllib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from io import BytesIO
from math import ceil, floor, isfinite, log10
from pathlib import Path
from statistics import median
from string import Template
from typing import Any

from PIL import Image

from pixlate.errors import PixlateError
from pixlate.training.run import LOG, OPTIONS, SAMPLES

REPORT = "report.html"
POINTS = 400
"""Most points of a curve: about one a pixel of its chart."""
SHEETS = 8
HEAVIEST = 900_000
"""Largest sheet on the page, in bytes; eight of these in base64 stay below 10 MB."""
DECADES = 3
"""A chart whose numbers span more powers of ten than this is drawn on a logarithmic scale."""
APART = 20
"""So is one where the median of one curve is more times that of another: the smaller would lie flat on the floor."""
FLOOR = 6
"""Powers of ten below its largest number where such a chart ends; smaller numbers lie on its floor."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 230, 52, 408, 22, 196
"""Size of a chart and the edges of its plot, in the units of its drawing."""
COLOURS = 8


@dataclass
class _Series:
    """Numbers over steps, in the order of steps."""

    steps: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def drop_from(self, step: float) -> None:
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()

    def thinned(self) -> list[tuple[float, float]]:
        """Return at most POINTS points, each the mean of a window."""
        window = ceil(len(self.steps) / POINTS)
        parts = ((self.steps[start : start + window], self.values[start : start + window]) for start in range(0, len(self.steps), window or 1))
        return [(sum(steps) / len(steps), sum(values) / len(values)) for steps, values in parts]


@dataclass
class _Logged:
    """What the log of a run holds."""

    step: int = 0
    series: dict[str, dict[str, _Series]] = field(default_factory=lambda: {"losses": {}, "validation": {}})
    """By kind of line and by name."""
    warnings: dict[str, int] = field(default_factory=dict)
    """The step of each message."""
    damaged: int = 0


def write_report(run: Path) -> Path:
    """Write ``report.html`` of a run folder from its options, log and samples, whole or not at all; return its path.

    The page needs neither network nor scripts. A run that was resumed logs some steps twice: the later lines hold. Damaged lines of the log,
    as a killed run leaves them, are passed over, and the page says how many.

    Raises:
        PixlateError: The run folder has no options that can be read.
        OSError: The page cannot be written.
    """
    method, options = _options(run)
    logged = _read(run / LOG)
    title = f"{method}: {run.resolve().name}"
    template = Template(files("pixlate.training").joinpath("report.html").read_text(encoding="utf-8"))
    page = template.substitute(title=escape(title), body="\n".join(_body(title, options, logged, run)))
    part = run / f".{REPORT}.part"
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(run / REPORT)
    finally:
        part.unlink(missing_ok=True)
    return run / REPORT


def _options(run: Path) -> tuple[str, dict[str, Any]]:
    """Return the method's name and its options."""
    try:
        ((method, table),) = tomllib.loads((run / OPTIONS).read_text(encoding="utf-8"))["train"].items()
        return method, dict(table)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PixlateError(f"expected a run folder with {OPTIONS}, but {run} has none that can be read ({error}); name the folder given to --out") from error


def _read(path: Path) -> _Logged:
    logged = _Logged()
    if not path.exists():  # before the first line
        return logged
    last = dict.fromkeys(logged.series, -1)
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
                kind, step = line.pop("kind"), line.pop("step")
            except (ValueError, KeyError, TypeError, AttributeError):
                logged.damaged += 1
                continue
            if kind == "warning":
                logged.warnings[line["message"]] = step
            if kind not in last:
                continue
            group = logged.series[kind]
            if step <= last[kind]:  # resumed from a checkpoint before the last line
                for series in group.values():
                    series.drop_from(step)
            last[kind] = logged.step = step
            for name, value in line.items():
                if type(value) in (int, float) and isfinite(value):
                    series = group.get(name) or group.setdefault(name, _Series())
                    series.steps.append(step)
                    series.values.append(value)
    return logged


def _body(title: str, options: dict[str, Any], logged: _Logged, run: Path) -> Iterator[str]:
    steps = options.get("steps")
    yield f"<h1>{escape(title)}</h1>"
    if isinstance(steps, int):
        yield f'<p>Step {logged.step:,} of {steps:,}</p><progress max="{steps}" value="{logged.step}"></progress>'
    if logged.damaged:
        yield f'<p class="faint">{logged.damaged} damaged line{"s" * (logged.damaged > 1)} of {LOG} passed over.</p>'
    if logged.warnings:
        yield '<ul class="warnings">'
        yield from (f"<li>{escape(message)} <span class=faint>(step {step:,})</span></li>" for message, step in logged.warnings.items())
        yield "</ul>"
    sheets = list(_sheets(run / SAMPLES))
    if sheets:
        yield f"<h2>Newest samples</h2>{sheets[0]}"
    charts = "".join(_charts(logged))
    yield f'<h2>Curves</h2><div class="charts">{charts}</div>' if charts else "<p>Nothing has been logged yet.</p>"
    if sheets[1:]:
        yield f'<h2>Earlier samples</h2><div class="older">{"".join(sheets[1:])}</div>'
    yield "<h2>Options</h2><table>"
    yield from (f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(_shown(value))}</td></tr>" for name, value in options.items())
    yield "</table>"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sheets(folder: Path) -> Iterator[str]:
    """Yield figures of at most SHEETS sheets, evenly spread over the run, newest first."""
    found = {int(match[1]): path for path in folder.glob("step-*.png") if (match := re.fullmatch(r"step-(\d+)\.png", path.name))}
    newest_first = sorted(found, reverse=True)
    chosen = {round(index * (len(found) - 1) / (SHEETS - 1)) for index in range(SHEETS)} if len(found) > SHEETS else range(len(found))
    for step in (newest_first[index] for index in sorted(chosen)):
        kind, data = _light(found[step])
        image = f'<img alt="Samples of step {step:,}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
        yield f"<figure><figcaption>Step {step:,} <small>{SAMPLES}/{escape(found[step].name)}</small></figcaption>{image}</figure>"


def _light(path: Path) -> tuple[str, bytes]:
    """Return a sheet as it is, or as JPEG and then ever smaller where it is too heavy for the page."""
    kind, data = "png", path.read_bytes()
    if len(data) > HEAVIEST:
        image = Image.open(BytesIO(data)).convert("RGB")
        while len(data) > HEAVIEST:
            if kind == "jpeg":
                image = image.reduce(2)
            kind, buffer = "jpeg", BytesIO()
            image.save(buffer, "JPEG", quality=90, subsampling=0)
            data = buffer.getvalue()
    return kind, data


def _charts(logged: _Logged) -> Iterator[str]:
    losses = dict(logged.series["losses"])
    speed = {name: losses.pop(name) for name in list(losses) if name == "steps_per_second"}
    rates = {name: losses.pop(name) for name in list(losses) if name.endswith("learning_rate")}
    yield _chart("Losses", "", losses)
    for name, series in logged.series["validation"].items():
        yield _chart(f"Validation: {name}", "dB" if name.startswith("psnr") else "", {name: series})
    yield _chart("Learning rate", "", rates, may_be_logarithmic=False)  # a schedule that ends near zero is read on a linear scale
    yield _chart("Speed", "steps/s", speed, may_be_logarithmic=False)


def _chart(title: str, unit: str, series: dict[str, _Series], may_be_logarithmic: bool = True) -> str:
    """Return a figure with a drawing and its legend; nothing where there are no numbers."""
    points = {name: each.thinned() for name, each in series.items() if each.steps}
    if not points:
        return ""
    values = [value for line in points.values() for _, value in line]
    medians = [middle for line in points.values() if (middle := median(value for _, value in line)) > 0]
    apart = bool(medians) and max(medians) > APART * min(medians)
    axis = _Axis.over(values, may_be_logarithmic, apart)
    ends = [step for line in points.values() for step, _ in (line[0], line[-1])]
    steps = _Axis(min(ends), max(ends) if max(ends) > min(ends) else min(ends) + 1)
    drawing = [f'<text x="{LEFT}" y="12">{escape(unit)}{" (logarithmic)" if axis.logarithmic else ""}</text>']
    for tick in axis.ticks():
        y = BOTTOM - axis.place(tick) * (BOTTOM - TOP)
        drawing.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawing.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_brief(tick)}</text>')
    drawing.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}"/>')
    for tick in steps.ticks():
        x = LEFT + steps.place(tick) * (RIGHT - LEFT)
        drawing.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{BOTTOM}" y2="{BOTTOM + 4}"/>')
        drawing.append(f'<text x="{x:.1f}" y="{BOTTOM + 17}" text-anchor="middle">{f"{tick / 1000:.6g}k" if tick >= 10_000 else f"{tick:.6g}"}</text>')
    drawing.append(f'<text x="{RIGHT}" y="{HEIGHT - 4}" text-anchor="end">step</text>')
    legend = []
    for index, (name, line) in enumerate(points.items()):
        colour = f"var(--c{index % COLOURS})"
        dashes = f' stroke-dasharray="{2 + 3 * (index // COLOURS)} 2"' if index >= COLOURS else ""
        places = [(LEFT + steps.place(step) * (RIGHT - LEFT), BOTTOM - axis.place(value) * (BOTTOM - TOP)) for step, value in line]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawing.append(f'<polyline style="stroke: {colour}"{dashes} points="{corners}"/>')
        drawing.append(f'<circle style="fill: {colour}" cx="{places[-1][0]:.1f}" cy="{places[-1][1]:.1f}" r="3"/>')
        legend.append(f'<li><i style="background: {colour}"></i>{escape(name)} <b>{_brief(series[name].values[-1])}</b>{f" {unit}" if unit else ""}</li>')
    label = escape(f"{title} over steps", quote=True)
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(drawing)}</svg>'
        f'<ul class="legend">{"".join(legend)}</ul></figure>'
    )


def _brief(value: float) -> str:
    """Return a number in four digits, short enough to stand beside an axis: 1.5e-4 instead of 0.00015."""
    if 0 < abs(value) < 1e-3:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.4g}"


@dataclass(frozen=True)
class _Axis:
    """A range of numbers and where each lies in it; in powers of ten where it is logarithmic."""

    low: float
    high: float
    logarithmic: bool = False

    @classmethod
    def over(cls, values: Iterable[float], may_be_logarithmic: bool, apart: bool) -> "_Axis":
        """Return an axis that holds the values, with some room; ``apart`` tells whether they are of very different size."""
        ordered = sorted(values)
        low, high = ordered[0], ordered[-1]
        least = next((value for value in ordered if value > 0), high)
        if may_be_logarithmic and low >= 0 and (apart or high > least * 10**DECADES):
            return cls(max(floor(log10(least)), ceil(log10(high)) - FLOOR), ceil(log10(high)), logarithmic=True)
        if 0 <= low <= high / 2:
            low = 0.0
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        return cls(low if low == 0 else low - room, high + room)

    def place(self, value: float) -> float:
        """Return 0 for the low end, 1 for the high one; what lies below the low end is put there."""
        if self.logarithmic:
            value = log10(value) if value > 0 else self.low
        return max(0.0, (value - self.low) / (self.high - self.low))

    def ticks(self) -> list[float]:
        """Return round numbers in the range."""
        if self.logarithmic:
            return [10.0**exponent for exponent in range(int(self.low), int(self.high) + 1)]
        rough = (self.high - self.low) / 6
        power = 10 ** floor(log10(rough))
        distance = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
        return [number * distance for number in range(ceil(self.low / distance - 1e-9), floor(self.high / distance + 1e-9) + 1)]
