"""The tab Runs: how training goes in every run folder under the folders of the page, side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import gcd
from typing import Any
from urllib.parse import urlencode

import gradio as gr
import pandas as pd

from pixlate.cli.periodic import duration
from pixlate.runs.log import thinned
from pixlate.runs.samples import MAIN
from pixlate.runs.state import Run
from pixlate_web.training_runs import TrainingRuns

EVERY_S = 3.0
"""Seconds between two looks at the runs."""
POINTS = 300
"""Most points of a curve."""
COLOURS = ("#1f6fd0", "#d1461f", "#16855a", "#8b45c4", "#a66a00", "#b3246f", "#0b7c8a", "#5d646f")
"""Of the curves of runs, readable on white and on black."""
FIRST = 4
"""Most runs that are shown before any is chosen."""
STATES = {"running": "running", "finished": "finished", "stopped": "stopped", "failed": "ended with an error", "died": "ended without a word"}


@dataclass(frozen=True)
class Seen:
    """What a page shows, so that it is sent again only where it has changed."""

    runs: tuple[str, ...] = ()
    """Names that can be chosen."""
    chosen: tuple[str, ...] = ()
    curve: str = ""
    view: str = ""
    shown: tuple[Any, ...] = ()
    """Steps and states of the runs that are chosen."""
    newest: int = 0
    """Newest step that the slider has."""


def runs_tab(blocks: gr.Blocks, runs: TrainingRuns) -> None:
    """Add the tab to the page that is being built."""

    def refresh(seen: Seen, chosen: list[str] | None, curve: str | None, view: str | None, step: float | None) -> list[Any]:
        return refreshed(runs, seen, chosen, curve, view, step)

    def legend(seen: Seen) -> Any:  # after the curves: Gradio draws the chart again for it, and of curves that come with it keeps the old ones
        return gr.update(y_title=seen.curve or " ", color_map=_colours(seen.runs, seen.chosen))

    def slide(chosen: list[str] | None, view: str | None, step: float | None) -> str:
        return sheets_of(_of(runs.read(), chosen), view or MAIN, int(step or 0))

    seen = gr.State(Seen())
    choice = gr.CheckboxGroup([], label="Runs", info="under the folders that `pixlate web` was started with", elem_id="runs")
    summary = gr.HTML(elem_id="runs-summary", apply_default_css=False)
    with gr.Row():
        view = gr.Radio([], label="Samples", visible=False, min_width=280, elem_id="runs-view")
        step = gr.Slider(0, 1, 0, step=1, label="Step", visible=False, min_width=280, elem_id="runs-step")
    sheets = gr.HTML(elem_id="runs-sheets", apply_default_css=False)
    curve = gr.Dropdown([], label="Curve", visible=False, elem_id="runs-curve")
    plot = gr.LinePlot(x="step", y="value", color="run", x_title="step", y_title=" ", height=320, visible=False, elem_id="runs-plot", buttons=[])
    sentence = gr.HTML(elem_id="runs-sentence", apply_default_css=False)
    shown = [seen, choice, summary, view, step, sheets, curve, plot, sentence]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
    inputs = [seen, choice, curve, view, step]
    for event in (blocks.load, gr.Timer(EVERY_S).tick, choice.input, curve.input, view.input):
        event(refresh, inputs, shown, **quiet).then(legend, seen, plot, show_progress="hidden", api_visibility="private")
    step.input(slide, [choice, view, step], sheets, **quiet)


def refreshed(runs: TrainingRuns, seen: Seen, chosen: Sequence[str] | None, curve: str | None, view: str | None, step: float | None) -> list[Any]:
    """Return what the tab shows now, in the order of its parts; what has not changed is skipped."""
    found = runs.read()
    names = tuple(found)
    first = seen.runs == () and not chosen
    picked = _first(found) if first else tuple(name for name in names if name in (chosen or ()))
    of = _of(found, picked)
    curves, views = _curves(of.values()), _views(of.values())
    curve = curve if curve in curves else next(iter(curves), "")
    view = view if view in views else next(iter(views), "")
    steps = sorted({number for run in of.values() for number in run.sheets.get(view, {})})
    newest = steps[-1] if steps else 0
    at = int(step or 0) if seen.newest and int(step or 0) < seen.newest else newest  # the newest goes on being shown
    now = Seen(names, picked, curve, view, tuple(_state(run) for run in of.values()), newest)
    if now == seen:
        return [gr.skip()] * 9
    same = (now.chosen, now.shown) == (seen.chosen, seen.shown)
    return [
        now,
        gr.update(choices=[(f"{name} ({STATES[run.state]})", name) for name, run in found.items()], value=list(picked), visible=bool(names)),
        gr.skip() if same and names == seen.runs else summary_of(of) if names else _none(runs),
        gr.update(choices=[(each.replace("-", " "), each) for each in views], value=view or None, visible=len(views) > 1),
        _slider(steps, at),
        sheets_of(of, view, at),
        gr.update(choices=curves, value=curve or None, visible=bool(curves)),
        gr.skip() if same and curve == seen.curve else gr.update(value=_frame(of, curve), visible=bool(curve)),
        _sentence(of.values(), curve),
    ]


def summary_of(runs: Mapping[str, Run]) -> str:
    """Return a card for each run: state, steps, speed, time left, warnings, and the commands that go on from here."""
    return f'<div class="px-runs">{"".join(_card(name, run) for name, run in runs.items())}</div>'


def sheets_of(runs: Mapping[str, Run], view: str, step: int) -> str:
    """Return the sheets of one view side by side, of each run the newest one up to a step, or else its first."""
    figures = []
    for name, run in runs.items():
        if not (sheets := run.sheets.get(view, {})):
            continue
        at = max((number for number in sheets if number <= step), default=min(sheets))
        address = urlencode({"run": name, "view": view, "step": at, "size": _size(sheets[at])})
        figures.append(
            f'<figure><figcaption>{escape(name)}, step {at:,}</figcaption><img src="/pixlate/runs/sheet?{escape(address)}" alt="samples of {escape(name)} at step {at:,}"></figure>'
        )
    return f'<div class="px-runs">{"".join(figures)}</div>' if figures else ""


def _card(name: str, run: Run) -> str:
    length = f" of {run.steps:,}" if run.steps else ""
    left, rate = run.seconds_left, run.logged.rate
    parts = [
        run.method,
        STATES[run.state],
        f"step {run.step:,}{length}",
        *([f"{rate:.3g} steps a second"] if rate else []),
        *([f"about {duration(max(1, left))} left"] if left is not None else []),
        *([f"on {run.device}"] if run.device else []),
    ]
    share = min(100.0, 100 * run.step / run.steps) if run.steps else 0.0
    bar = f'<div class="px-bar" role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100"><div style="width: {share:.1f}%"></div></div>'
    warnings = [*([run.message] if run.message else []), *(f"{message} (step {step:,})" for message, step in run.logged.warnings.items())]
    told = "".join(f'<p class="px-refused">{escape(each)}</p>' for each in warnings)
    commands = "".join(f"<p>{escape(what.capitalize())}</p><code>{escape(command)}</code>" for what, command in run.commands().items())
    more = f"<details><summary>Commands</summary>{commands}</details>" if commands else ""
    return f'<section><h3>{escape(name)}</h3>{bar}<p class="px-said">{escape(", ".join(parts))}</p>{told}{more}</section>'


def _of(found: Mapping[str, Run], chosen: Iterable[str] | None) -> dict[str, Run]:
    return {name: found[name] for name in chosen or () if name in found}


def _first(found: Mapping[str, Run]) -> tuple[str, ...]:
    """Return the runs to show at first: those that go on, or else the one whose log was written last."""
    running = [name for name, run in found.items() if run.state == "running"]
    newest = sorted(found, key=lambda name: _changed(found[name]))[-1:]
    return tuple((running or newest)[:FIRST])


def _changed(run: Run) -> float:
    try:
        return (run.path / "log.jsonl").stat().st_mtime
    except OSError:
        return 0.0


def _state(run: Run) -> tuple[Any, ...]:
    newest = max((step for sheets in run.sheets.values() for step in sheets), default=0)
    return run.state, run.step, run.steps, newest, len(run.logged.warnings), run.resumable


def _curves(runs: Iterable[Run]) -> list[str]:
    """Return the names of all curves, those of validation first."""
    return list(dict.fromkeys(name for kind in ("validation", "losses") for run in runs for name in run.logged.curves(kind)))


def _views(runs: Iterable[Run]) -> list[str]:
    return sorted({view for run in runs for view in run.sheets}, key=lambda view: (view != MAIN, view))


def _slider(steps: Sequence[int], at: int) -> Any:
    """Return the slider over steps, which moves by what divides the distances between them."""
    if len(steps) < 2:
        return gr.update(visible=False, value=at)
    distance = gcd(*(step - steps[0] for step in steps[1:]))
    return gr.update(minimum=steps[0], maximum=steps[-1], step=distance, value=at, visible=True)


def _colours(names: Sequence[str], chosen: Iterable[str]) -> dict[str, str]:
    """Return a colour for each run that is chosen, which it keeps whatever else is."""
    return {name: COLOURS[names.index(name) % len(COLOURS)] for name in chosen}


def _frame(runs: Mapping[str, Run], curve: str) -> pd.DataFrame:
    """Return one curve of all runs as a table of step, value and run."""
    rows = []
    for name, run in runs.items():
        points = run.logged.curves("validation").get(curve) or run.logged.curves("losses").get(curve, [])
        rows += [(step, value, name) for step, value in thinned(points, POINTS)]
    return pd.DataFrame(rows, columns=["step", "value", "run"])


def _sentence(runs: Iterable[Run], curve: str) -> str:
    said = next((run.meanings[curve] for run in runs if curve in run.meanings), "")
    return f'<p class="px-said">{escape(said)}</p>' if said else ""


def _size(path: Any) -> int:
    """Return the bytes of a sheet, so that a browser asks again for one that was written again."""
    try:
        return int(path.stat().st_size)
    except OSError:
        return 0


def _none(runs: TrainingRuns) -> str:
    where = runs.folders[0]
    command = f"pixlate train METHOD PHOTOS --out {where / 'runs/first'}"
    return f'<p class="px-said">There is no run of training here yet: <code>{escape(command)}</code> begins one. It appears by itself.</p>'
