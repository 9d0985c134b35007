"""``pixlate convert``: a folder of images through a model."""

import json as json_format
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pixlate.cli.completion import models
from pixlate.cli.first import next_step
from pixlate.cli.periodic import duration
from pixlate.cli.pipes import PIPE, opened
from pixlate.cli.progress import Display, out_path
from pixlate.convert import ConvertOptions, choose_engine
from pixlate.convert import convert as convert_images
from pixlate.convert.choosing import Way
from pixlate.convert.preview import DryRun
from pixlate.convert.report import Result, Summary
from pixlate.errors import PixlateError
from pixlate.inference.models import find
from pixlate.places.local import locate
from pixlate.plugin.engine import Engine
from pixlate.plugin.place import Place
from pixlate.system.memory import return_freed_memory
from pixlate.system.text import printable, shown

SHOWN = 10
"""Failures printed; the report has all."""


def convert(
    *paths: Annotated[str | Path, Parameter(name="SOURCE... OUT")],
    model: Annotated[str, Parameter(completer=models)] = "",
    engine: str = "threads",
    options: Annotated[ConvertOptions | None, Parameter(name="*", negative_iterable=())] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    verbose: Annotated[bool, Parameter(negative="")] = False,
    engine_options: Annotated[Any, Parameter(parse=False)] = None,
) -> int:
    """Convert a folder of images with a model.

    Exit codes: 0 all converted, 1 some failed, 2 refused before starting, 130 interrupted (with --watch, which Ctrl-C ends, 0 or 1). The same command again
    continues where it stopped.

    Parameters
    ----------
    paths
        Files, folders or globs to convert, then the output folder (for a single file also an image file); paths, or URLs such as s3://bucket/photos; - is
        standard input and output.
    model
        Required: a ready model's name (see pixlate models) or a model file.
    engine
        What runs the conversion: the threads of this process, or an engine of a plugin. An engine's options are listed by --engine NAME --help.
    json
        Print the summary (with --dry-run, the files) as one JSON document on standard output, for programs; with --watch a line of JSON for each file, too.
    quiet
        Print nothing but failures; no progress and no summary.
    verbose
        Print a line for each file on standard error, with its sizes and notes.
    """
    if not model:
        raise PixlateError("expected a model; write: pixlate convert photos/ out/ --model upscale-x4, and see `pixlate models` for others")
    if len(paths) < 2:
        raise PixlateError(
            f"expected a source and an output folder, got {' '.join('-' if path == PIPE else shown(path) for path in paths) or 'neither'}; write: pixlate convert photos/ out/ --model {model}"
        )
    *sources, out = paths
    if isinstance(out, str) and locate(out).reach == "process":
        raise PixlateError(f"expected an output that outlasts this command, got {out}, which is this process's memory; name a folder or another URL")
    if quiet and verbose:
        raise PixlateError("expected one of --quiet and --verbose, got both; leave out one")
    chosen = options or ConvertOptions()
    return_freed_memory()
    if chosen.dry_run:
        choose_engine(engine)
        with opened(sources, out, chosen, engine) as (places, place):
            return _preview(places, place, model, chosen, json, quiet, verbose)
    name = " then ".join([model, *map(str, chosen.then)])
    lines = _print_line if json and chosen.watch else None
    with opened(sources, out, chosen, engine) as (places, place), Display(name, quiet, verbose, chosen.watch, lines) as display:
        summary = convert_images(places, place, model, chosen, display.watch, engine if engine_options is None else engine_options)
    with redirect_stdout(sys.stderr) if out == PIPE else nullcontext():
        if json:
            print(json_format.dumps(asdict(summary) | {"exit_code": summary.exit_code}))
        elif not quiet:
            _print_summary(summary, place, chosen)
        if not json:
            _print_failures(summary, listed=chosen.watch)
    return summary.exit_code


def _print_line(result: Result) -> None:
    """Print one result as a line of JSON."""
    print(json_format.dumps(asdict(result)), flush=True)


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


def _print_summary(summary: Summary, out: object, options: ConvertOptions) -> None:
    unit = "images" if summary.frames == summary.converted else "frames"
    speed = f" at {summary.frames / max(summary.seconds, 1e-9):.2f} {unit}/s on {summary.device}" if summary.converted else ""
    speed += f" with {Way(summary.runtime, summary.arithmetic)}" if summary.converted and summary.choice else ""
    speed += f" by {printable(summary.model)}" if summary.converted and options.then else ""
    speed += f" {printable(summary.strength)}" if summary.converted and summary.strength else ""
    others = {"finished before": summary.finished_before, "skipped": summary.skipped, "failed": summary.failed, "not reached": summary.not_reached}
    counts = [f"{summary.converted} converted{speed}", *(f"{count} {what}" for what, count in others.items() if count)]
    _say(f"{', '.join(counts)}, into {printable(shown(str(out)))}")
    _print_left_out(summary.ignored)
    _say_choice(summary.choice, Way(summary.runtime, summary.arithmetic))
    for caution in summary.cautions:
        _say(f"note: {caution}")
    for note, count in summary.notes.items():
        source = printable(summary.first_noted[note])
        _say(f"note on {source}{f' and {count - 1} more' if count > 1 else ''}: {note}")
    if options.sheet is not None:
        _say(f"before/after sheet: {printable(summary.sheet)}" if summary.sheet else "no before/after sheet, since nothing was converted")
    if options.report is not None and options.report.exists():
        _say(f"report: {printable(options.report)}")
    if sys.stdout is not None and sys.stdout.isatty() and (line := next_step(summary, out, options)):
        _say(line)


def _say_choice(choice: str, way: Way) -> None:
    """Print what runs the model and why, where there was a choice: as ``runtime`` where the others that were tried are not used."""
    if choice:
        _say(f"{'runtime' if choice.startswith(f'{way}; ') else 'chosen'}: {choice}")


def _print_failures(summary: Summary, listed: bool) -> None:
    """Print the first failures, unless they are ``listed`` already, and why it stopped."""
    for source, reason in [] if listed else sorted(summary.failures)[:SHOWN]:
        print(f"failed: {printable(source)}: {reason}", file=sys.stderr)
    if summary.failed > SHOWN and not listed:
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


def _preview(
    sources: Sequence[str | Path | Place], out: str | Path | Place, model: str, options: ConvertOptions, json: bool, quiet: bool, verbose: bool
) -> int:
    failed = count = pixels = 0
    notes = Counter[str]()
    found = DryRun(sources, out, model, options)
    plan, spec, device = found.task.plan, found.executors[0].spec, found.executors[0].translator.device
    if verbose:
        paths = " then ".join(map(str, [found.task.path, *map(find, options.then)]))
        print(
            f"{' then '.join([model, *map(str, options.then)])}: {printable(paths)}, scale {spec.scale}, {spec.channels_in} channels, on {device}",
            file=sys.stderr,
        )
    if json:
        print('{"files": [', end="")
    for item in found.files():
        if json:
            print(f"{',' if count else ''}\n{json_format.dumps(asdict(item))}", end="")
        elif not quiet or item.fails:
            sizes = " {}x{} -> {}x{}".format(*item.source_size, *item.output_size) if item.source_size and item.output_size else ""
            _say(f"{item.action}: {printable(item.source)} -> {printable(out_path(str(plan.store), item.output))}{sizes}")
        notes.update(item.notes if item.is_work else ())
        count += 1
        failed += item.fails
        pixels += item.frames * math.prod(item.output_size or (0,))
    seconds = None if quiet and not json else found.seconds()
    if json:
        said = json_format.dumps({"model": found.task.title, "strength": found.task.strength.strip(), "choice": found.task.choice})[1:-1]
        print(f'\n],\n{said},\n"left_out": {json_format.dumps(plan.ignored)},\n"seconds": {json_format.dumps(seconds)},\n"exit_code": {1 if failed else 0}}}')
    elif not quiet:
        _print_left_out(plan.ignored)
        _say_choice(found.task.choice, Way(found.task.options.runtime, found.task.options.arithmetic))
        for caution in [*found.task.strength_cautions(), *plan.cautions]:
            _say(f"note: {caution}")
        _say_notes(notes)
        if found.unknown:
            _say(f"the size of {found.unknown} is not known before they are read; they are not in the estimate")
        if seconds is None:
            _say(f"how long it takes is not known before the first picture: {model} runs no sample")
        elif seconds:
            _say(f"about {duration(max(1, seconds))} of work on {device}, as fast as a sample has run, without reading and writing")
        models = f" by {found.task.title}" if options.then else ""
        files = f"{count} file{'' if count == 1 else 's'}{printable(models + found.task.strength)}"
        _say(f"{files}, {failed} would fail by their headers, {pixels / 1e6:.3g} million pixels of output; nothing was written")
    return 1 if failed else 0


def _say_notes(notes: Mapping[str, int]) -> None:
    """Print what would be noted of so many files."""
    for note, times in notes.items():
        _say(f"note on {times} file{'' if times == 1 else 's'}: {note}")


def _say(line: str) -> None:
    """Print a line; what the encoding of standard output cannot hold is escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding))
