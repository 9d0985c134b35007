"""``pixlate train METHOD FOLDER... --out RUN`` and ``pixlate train --resume RUN``."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pixlate.errors import PixlateError
from pixlate.extras import import_for
from pixlate.method import Method
from pixlate.options import DataOptions, TrainingOptions
from pixlate.plugins import installed

FOLDERS = {"paired": "sketches/ photos/", "unpaired": "day/ night/", "degraded": "photos/"}
"""Examples of the folders a pairing asks for."""
EXPLAINED = {
    "paired": "Sources and targets: two folders whose files have the same names, or one folder of images that hold both side by side",
    "unpaired": "A folder of sources and a folder of targets, which need not show the same",
    "degraded": "Folders of photographs; the sources are made by reducing them",
}
"""What the folders of a pairing hold."""
app = App(name="train", help="Train a method on folders of images.", help_format="plaintext")


@app.default
def resume(*, resume: Path | None = None) -> int:
    """Go on with a run that was stopped, with the options it was started with.

    Parameters
    ----------
    resume
        The run folder.
    """
    if resume is None:
        methods = ", ".join(sorted(installed().methods()))
        raise PixlateError(f"expected a method ({methods}) or --resume RUN; write: pixlate train srgan photos/ --out runs/first")
    run_module = import_for("training", "pixlate.training.run")
    options = run_module.RunOptions.load(resume, installed().methods())
    return _train(options, resume, resumed=True)


def _command(method: Method) -> Callable[..., int]:
    """Return the command that trains one method: its options are the fields of three dataclasses."""

    def start(
        folders: tuple[Path, ...] = (),
        *,
        out: Path,
        method_options: Any,
        data: DataOptions,
        training: TrainingOptions,
    ) -> int:
        run_module = import_for("training", "pixlate.training.run")
        devices = import_for("training", "pixlate.training.devices")
        if not folders:
            raise PixlateError(f"expected folders of images, got none; write: pixlate train {method.name} {FOLDERS[method.pairing]} --out runs/first")
        if devices.is_main_process() and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise PixlateError(f"expected a new or empty folder for --out, but {out} exists; go on with `pixlate train --resume {out}`, or name another")
        options = run_module.RunOptions(method, method_options, tuple(folder.resolve() for folder in folders), data, training)
        return _train(options, out, resumed=False)

    start.__doc__ = f"""{method.summary}.

    Parameters
    ----------
    folders
        {EXPLAINED[method.pairing]}. Searched recursively.
    out
        The run folder to write: options, log, TensorBoard, samples, report and checkpoints.
    """
    flat = Parameter(name="*")
    start.__annotations__ |= {
        name: Annotated[kind, flat] for name, kind in (("method_options", method.options), ("data", method.data), ("training", method.training))
    }
    start.__kwdefaults__ = {"method_options": method.options(), "data": method.data(), "training": method.training()}
    return start


for offered in installed().methods().values():
    app.command(_command(offered), name=offered.name)


def _train(options: Any, run: Path, resumed: bool) -> int:
    """Train with a progress bar; print what validation gives."""
    engine, devices = import_for("training", "pixlate.training.engine"), import_for("training", "pixlate.training.devices")
    console = Console(stderr=True, quiet=not devices.is_main_process())
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=console,
    )
    with bar if console.is_terminal else nullcontext():
        task = bar.add_task(options.method.name, total=None, losses="")
        measured = ""

        def watch(progress: Any) -> None:
            nonlocal measured
            bar.update(task, completed=progress.step, total=progress.steps)
            if progress.losses:
                bar.update(task, losses="  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items()))
            if progress.figures:
                measured = ", ".join(f"{name} {value:.2f}" for name, value in progress.figures.items()) + " on held-out images"
                console.print(f"step {progress.step}: {measured}")

        finished = engine.train(options, run, watch, lambda message: console.print(f"pixlate: {message}", markup=False), resume=resumed)
    if not finished:
        console.print(f"stopped; go on with: pixlate train --resume {run}")
        return 130 if devices.is_main_process() else 0  # Fabric kills the first process, at work on its report, where another one fails
    console.print(f"done{measured and f': {measured}'}; look at {run / 'report.html'}; next: pixlate export {run} model.onnx")
    return 0
