"""``pixlate train METHOD FOLDER...`` and ``pixlate train --resume RUN``."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from pixlate.cli.habits import answer
from pixlate.cli.methods import Command, MethodCommands, presets_help, require_folders, with_options
from pixlate.cli.periodic import Periodic, duration
from pixlate.errors import PixlateError
from pixlate.options import DataOptions, TrainingOptions
from pixlate.places.paths import unwritable
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.single_file import SingleFile
from pixlate.runs.folder import CHECKPOINTS, OPTIONS, REPORT, RUNS, has_checkpoint
from pixlate.runs.state import read_run
from pixlate.system.extras import import_for
from pixlate.system.text import printable

USAGE = "Usage: pixlate train METHOD FOLDER... [OPTIONS], or pixlate train --resume RUN [OPTIONS]"
app = App(name="train", help="Train a method on folders of images.", help_format="plaintext", usage=USAGE)


@app.default
def resume(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    resume: Path | None = None,
    plugin: Path | None = None,
    steps: int | None = None,
    epochs: int | None = None,
) -> int:
    """Resume a run that was stopped, with the options it was started with, or make it longer.

    Parameters
    ----------
    words
        Words that are not a method; accepted so that they can be reported.
    resume
        The run folder.
    plugin
        The single file whose method the run trains, where it was started with one.
    steps
        With --resume: the new length of the run, in steps from its beginning; the schedule of the learning rate is computed over it.
    epochs
        The same in passes over the training images.
    """
    methods = sorted(installed().offered(Method))
    if words and resume is None:
        known = next(filter(None, (answer("train", word.partition("=")[0]) for word in words)), "")
        near = get_close_matches(words[0], [*methods, "--resume"], 1)
        left_out = installed().why("method", words[0])
        advice = known or (f"did you mean {near[0]}?" if near else left_out or "`pixlate plugins` lists what is installed")
        raise PixlateError(f"expected a method ({', '.join(methods)}), got {words[0]!r}; {advice}")
    if words:
        raise PixlateError(f"expected --resume RUN alone, got also {' '.join(words)!r}; write: pixlate train --resume {quote(str(resume))}")
    if resume is None:
        raise PixlateError(f"expected a method ({', '.join(methods)}) or --resume RUN; write: pixlate train srgan photos/ --out runs/first")
    run_module = import_for("training", "pixlate.training.run")
    options = run_module.RunOptions.load(resume, installed().offered(Method), plugin)
    if steps and epochs:
        raise PixlateError(f"expected --steps or --epochs with --resume, got {steps} steps and {epochs} epochs; leave one of them out")
    if steps is not None or epochs is not None:
        options = options.of_length(steps or 0, epochs or 0)
    return _train(options, resume, resumed=True, new_length=steps is not None or epochs is not None)


def _refuse_resume(_: type, run: Path | None) -> None:
    """Refuse ``--resume`` beside a method, before anything is said about options that are missing."""
    if run is not None:
        raise PixlateError(f"expected --resume without a method, which the run knows; write: pixlate train --resume {quote(str(run))}")


def _command(method: Method, file: SingleFile | None) -> Command:
    """Return the command that trains one method: its options are the fields of three dataclasses."""

    def start(
        folders: Annotated[tuple[Path, ...], Parameter(negative_iterable=())] = (),
        *,
        resume: Annotated[Path | None, Parameter(show=False, validator=_refuse_resume)] = None,
        out: Path | None = None,
        preset: str = "",
        sweep: Annotated[tuple[str, ...], Parameter(negative_iterable=())] = (),
        method_options: Any,
        data: DataOptions,
        training: TrainingOptions,
    ) -> int:
        run_module = import_for("training", "pixlate.training.run")
        require_folders(folders, "train", method, " --out runs/first")
        out = _next_run(method.name) if out is None else out
        started = bool(sweep) and (out / "sweep.json").exists()
        if run_module.is_main_process() and not started and out.exists() and (not out.is_dir() or any(out.iterdir())):
            resumable = import_for("training", "pixlate.training.checkpoint").newest(out / CHECKPOINTS) is not None
            advice = (
                f"resume it with `pixlate train --resume {quote(str(out))}`, or name another" if resumable else "it has no checkpoint to resume; name another"
            )
            raise PixlateError(f"expected a new or empty folder for --out, but {out} exists; {advice}")
        if reason := unwritable(out):
            raise PixlateError(f"the run folder {out} cannot be written ({reason}); name another with --out")
        options = run_module.RunOptions(method, method_options, tuple(folder.resolve() for folder in folders), data, training, plugin=file, preset=preset)
        if run_module.is_main_process() and getattr(data, "grey", False) and getattr(method_options, "channels_in", 1) == 3:
            print("pixlate: --grey gives three equal channels to a network of 3 channels in; --channels-in 1 is smaller", file=sys.stderr)
        return _sweep(options, out, sweep) if sweep else _train(options, out, resumed=False)

    start.__doc__ = f"""{method.summary}.

    Parameters
    ----------
    folders
        {method.data.summary}. Searched recursively.
    out
        The run folder to write: options, log, TensorBoard, samples, report and checkpoints. By default {RUNS / method.name}-1, or the next number.
    preset
        {presets_help(method)}
    sweep
        Values to try of an option, such as learning_rate=1e-4,2e-4: a run for each, one after another, in folders below --out, and a report that compares them. Given for several options, all
        combinations. The same command again goes on with a sweep that was stopped.
    """
    return with_options(start, method, resume=None, out=None, sweep=())


def _sweep(options: Any, out: Path, texts: Sequence[str]) -> int:
    """Make the runs of a sweep that are not finished, one after another, and write the report that compares them; exit code 1 where one failed."""
    sweeping, report = import_for("training", "pixlate.training.sweep"), import_for("training", "pixlate.training.report")
    if options.training.devices > 1 or os.environ.get("WORLD_SIZE", "1") != "1":
        raise PixlateError("expected one device for --sweep, got several; leave out --devices, or start the runs one by one")
    runs = sweeping.sweep(options, texts)
    sweeping.begin(out, options, texts)
    varied = list(dict.fromkeys(text.partition("=")[0].strip().removeprefix("--").replace("-", "_") for text in texts))
    failed = []
    for number, (name, each) in enumerate(runs.items(), 1):
        run = out / name
        state = read_run(run).state if (run / OPTIONS).exists() else ""
        print(f"pixlate: run {number} of {len(runs)}: {name}{' is finished' if state == 'finished' else ''}", file=sys.stderr)
        if state != "finished":
            try:
                code = _train(each, run, resumed=bool(state) and has_checkpoint(run))
            except PixlateError as error:  # such as a loss that is not finite: the others may do better
                print(f"pixlate: {name}: {printable(str(error))}", file=sys.stderr)
                failed.append(name)
                continue
            if code:
                print(f"pixlate: the sweep was stopped; the same command goes on with {name}", file=sys.stderr)
                return code
        report.write_comparison(out, {other: read_run(out / other) for other in runs if (out / other / OPTIONS).exists()}, varied)
    print(f"{len(runs) - len(failed)} of {len(runs)} runs finished; compare them in {out / REPORT}")
    return 1 if failed else 0


def _next_run(method: str) -> Path:
    """Return the run folder that follows those of a method in :data:`RUNS`: after srgan-3 comes srgan-4, whether or not there is a srgan-1."""
    return RUNS / f"{method}-{max(_numbers(method), default=0) + 1}"


def _numbers(method: str) -> Iterator[int]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in RUNS.iterdir():
            number = path.name.removeprefix(f"{method}-")
            if number != path.name and number.isascii() and number.isdigit():
                yield int(number)


commands = MethodCommands(app, "train", _command)


class _Rate(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        """Return nothing before there are two steps to measure between."""
        return Text(f"{task.speed:.3g}/s" if task.speed else "")


def _progress_bar(console: Console) -> Progress:
    """Return a bar that always shows step, steps, time left and rate; losses get what is left of the line."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        _Rate(),
        TextColumn("{task.fields[losses]}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        console=console,
        disable=not console.is_terminal,
        expand=True,
        speed_estimate_period=120,
    )


def _losses(losses: dict[str, float]) -> str:
    """Return losses for a line that may be cut: short names first, so that more of them are seen."""
    return "  ".join(f"{name} {losses[name]:.4f}" for name in sorted(losses, key=len))


def _train(options: Any, run: Path, resumed: bool, new_length: bool = False) -> int:
    """Train with a progress bar; print what validation gives."""
    main = import_for("training", "pixlate.training.run").is_main_process()
    engine = import_for("training", "pixlate.training.engine", say=main)
    # Names are printed as they are, and lines uncut: they hold commands to copy.
    console = Console(stderr=True, quiet=not main, markup=False, emoji=False, highlight=False, soft_wrap=True)
    named = f" --plugin {quote(str(options.plugin.path))}" if options.plugin else ""
    with _progress_bar(console) as bar:
        task = bar.add_task(options.method.name, total=None, losses="")
        measured, lines = "", Periodic()

        def watch(progress: Any) -> None:
            nonlocal measured
            bar.update(task, completed=progress.step, total=progress.steps)
            if progress.losses:
                bar.update(task, losses=_losses(progress.losses))
                if not console.is_terminal and lines.due():
                    left = bar.tasks[task].time_remaining
                    console.print(f"step {progress.step} of {progress.steps}{f', {duration(left)} left' if left else ''}: {_losses(progress.losses)}")
            if progress.figures:
                measured = ", ".join(f"{name} {value:.2f}" for name, value in progress.figures.items()) + " on held-out images"
                console.print(f"step {progress.step}: {measured}")

        finished = engine.train(
            options, run, watch, lambda message: console.print(f"pixlate: {message}"), resume=resumed, tell=console.print, new_length=new_length
        )
    if not finished:
        console.print(f"stopped; resume with:\npixlate train --resume {quote(str(run))}{named}")
        return 130 if main else 0  # Fabric kills the first process, at work on its report, where another one fails
    console.print(f"done{measured and f': {measured}'}; look at {run / REPORT}; next:\npixlate export {quote(str(run))} model.onnx{named}")
    return 0
