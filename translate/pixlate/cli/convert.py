"""``pixlate convert``: a folder of images through a model."""

import json as json_format
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pixlate.convert import ConvertOptions, choose_engine
from pixlate.convert import convert as convert_images
from pixlate.convert.preview import preview
from pixlate.convert.report import Report, Summary
from pixlate.errors import PixlateError
from pixlate.places.local import locate
from pixlate.plugin.engine import Engine
from pixlate.system.text import printable, shown

SHOWN = 10
"""Failures printed; the report has all."""


def convert(
    *paths: Annotated[str | Path, Parameter(name="SOURCE... OUT")],
    model: str = "",
    engine: str = "threads",
    options: Annotated[ConvertOptions | None, Parameter(name="*", negative_iterable=())] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    engine_options: Annotated[Any, Parameter(parse=False)] = None,
) -> int:
    """Convert a folder of images with a model.

    Exit codes: 0 all converted, 1 some failed, 2 refused before starting, 130 interrupted. The same command again continues where it stopped.

    Parameters
    ----------
    paths
        Files, folders or globs to convert, then the output folder (for a single file also an image file); paths, or URLs such as s3://bucket/photos.
    model
        Required: a ready model's name (see pixlate models) or a model file.
    engine
        What runs the conversion: the threads of this process, or an engine of a plugin. An engine's options are listed by --engine NAME --help.
    json
        Print the summary (with --dry-run, the files) as one JSON document on standard output, for programs.
    """
    if not model:
        raise PixlateError("expected a model; write: pixlate convert photos/ out/ --model upscale-x4, and see `pixlate models` for others")
    if len(paths) < 2:
        raise PixlateError(
            f"expected a source and an output folder, got {' '.join(map(shown, paths)) or 'neither'}; write: pixlate convert photos/ out/ --model {model}"
        )
    *sources, out = paths
    if isinstance(out, str) and locate(out).reach == "process":
        raise PixlateError(f"expected an output that outlasts this command, got {out}, which is this process's memory; name a folder or another URL")
    chosen = options or ConvertOptions()
    if chosen.dry_run:
        choose_engine(engine)
        return _preview(sources, out, model, chosen, json)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),  # a path may hold brackets
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]}", style="progress.data.speed"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(model, total=None, rate="", start=False)
        started = time.monotonic()

        def watch(report: Report) -> None:
            summary = report.summary
            if summary.not_reached == summary.planned:
                progress.start_task(task)
            done = summary.planned - summary.not_reached
            progress.update(task, total=summary.planned, completed=done, rate=_rate(summary, time.monotonic() - started))

        summary = convert_images(sources, out, model, chosen, watch, engine if engine_options is None else engine_options)
    if json:
        print(json_format.dumps(asdict(summary) | {"exit_code": summary.exit_code}))
    else:
        _print_summary(summary, out, chosen)
    return summary.exit_code


def with_options(engine: Engine) -> Callable[..., int]:
    """Return the command with the options of an engine, which are fields of a dataclass."""

    def start(*paths: str | Path, engine_options: Any = None, **named: Any) -> int:
        return convert(*paths, engine_options=engine_options, **named)

    kind: Any = engine.options
    own = Annotated[kind, Parameter(name="*", group=f"Options of --engine {engine.name}")]
    parameters = [
        item.replace(annotation=own, default=engine.options()) if item.name == "engine_options" else item for item in signature(convert).parameters.values()
    ]
    start.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    start.__annotations__ = convert.__annotations__ | {"engine_options": own}
    start.__doc__ = convert.__doc__
    return start


def _rate(summary: Summary, seconds: float) -> str:
    """Return converted images a second, the time left at that rate, and how many failed; what was finished before is no work and does not count."""
    parts = []
    if summary.converted:
        speed = summary.converted / max(seconds, 1e-9)
        left = timedelta(seconds=round(summary.not_reached / speed))
        parts = [f"{speed:.2g} images/s" if speed < 10 else f"{speed:.0f} images/s", f"{left} left"]
    return "  ".join([*parts, *([f"{summary.failed} failed"] if summary.failed else [])])


def _print_summary(summary: Summary, out: str | Path, options: ConvertOptions) -> None:
    speed = f" at {summary.converted / max(summary.seconds, 1e-9):.2f} images/s on {summary.device}" if summary.converted else ""
    others = {"finished before": summary.finished_before, "skipped": summary.skipped, "failed": summary.failed, "not reached": summary.not_reached}
    counts = [f"{summary.converted} converted{speed}", *(f"{count} {what}" for what, count in others.items() if count)]
    _say(f"{', '.join(counts)}, into {printable(shown(out))}")
    _print_left_out(summary.ignored)
    for caution in summary.cautions:
        _say(f"note: {caution}")
    for note, count in summary.notes.items():
        source = printable(summary.first_noted[note])
        _say(f"note on {source}{f' and {count - 1} more' if count > 1 else ''}: {note}")
    if options.sheet is not None:
        _say(f"before/after sheet: {printable(summary.sheet)}" if summary.sheet else "no before/after sheet, since nothing was converted")
    if options.report is not None and options.report.exists():
        _say(f"report: {printable(options.report)}")
    for source, reason in summary.failures[:SHOWN]:
        print(f"failed: {printable(source)}: {reason}", file=sys.stderr)
    if summary.failed > SHOWN:
        print(f"... and {summary.failed - SHOWN} more; --report FILE.json lists all", file=sys.stderr)
    if summary.unwritten:
        print(f"failed: {summary.unwritten}", file=sys.stderr)
    if summary.interrupted or summary.stopped:
        print(f"stopped: {summary.stopped or 'interrupted; the same command continues'}", file=sys.stderr)


def _print_left_out(ignored: Mapping[str, int]) -> None:
    names = {kind for kind in ignored if kind.startswith(".") or kind in ("hidden", "without an ending")}
    for start, kinds in (("left out, since their names are not those of images Pixlate reads, or hidden", names), ("left out", ignored.keys() - names)):
        if kinds:
            _say(f"{start}: {', '.join(f'{ignored[kind]} {printable(kind)}' for kind in sorted(kinds))}")


def _preview(sources: list[str | Path], out: str | Path, model: str, options: ConvertOptions, json: bool) -> int:
    failed = count = pixels = 0
    items = preview(sources, out, model, options)
    if json:
        print('{"files": [', end="")
    for item in items:
        if json:
            print(f"{',' if count else ''}\n{json_format.dumps(asdict(item))}", end="")
        else:
            sizes = " {}x{} -> {}x{}".format(*item.source_size, *item.output_size) if item.source_size and item.output_size else ""
            _say(f"{item.action}: {printable(item.source)} -> {printable(item.output)}{sizes}")
        count += 1
        failed += item.fails
        pixels += math.prod(item.output_size or (0,))
    if json:
        print(f'\n],\n"exit_code": {1 if failed else 0}}}')
    else:
        print(
            f"{count} file{'' if count == 1 else 's'}, {failed} would fail by their headers, {pixels / 1e6:.3g} million pixels of output; nothing was written"
        )
    return 1 if failed else 0


def _say(line: str) -> None:
    """Print a line; what the encoding of standard output cannot hold is escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding))
