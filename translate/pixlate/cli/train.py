"""``pixlate train METHOD FOLDER... --out RUN`` and ``pixlate train --resume RUN``."""

from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pixlate.errors import PixlateError
from pixlate.method import Method
from pixlate.options import DataOptions, TrainingOptions
from pixlate.plugins import installed

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
    run_module = _import("pixlate.training.run")
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
        run_module = _import("pixlate.training.run")
        if not folders:
            raise PixlateError(f"expected folders of images, got none; write: pixlate train {method.name} photos/ --out runs/first")
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise PixlateError(f"expected a new or empty folder for --out, but {out} exists; go on with `pixlate train --resume {out}`, or name another")
        options = run_module.RunOptions(method, method_options, tuple(folder.resolve() for folder in folders), data, training)
        return _train(options, out, resumed=False)

    start.__doc__ = f"""{method.summary}.

    Parameters
    ----------
    folders
        Folders of training images ({method.pairing}), searched recursively.
    out
        The run folder to write: options, log and checkpoints.
    """
    flat = Parameter(name="*")
    start.__annotations__ |= {
        name: Annotated[kind, flat] for name, kind in (("method_options", method.options), ("data", method.data), ("training", method.training))
    }
    start.__kwdefaults__ = {"method_options": method.options(), "data": method.data(), "training": method.training()}
    return start


def _import(name: str) -> Any:
    """Import a module that needs PyTorch.

    Raises:
        PixlateError: A package of the extra ``train`` is missing.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise PixlateError(f"training needs PyTorch and more, and {error.name} is missing; run: pip install 'pixlate[train]'") from error


for offered in installed().methods().values():
    app.command(_command(offered), name=offered.name)


def _train(options: Any, run: Path, resumed: bool) -> int:
    """Train with a progress bar; print what validation gives."""
    engine = _import("pixlate.training.engine")
    console = Console(stderr=True)
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
        task = bar.add_task(options.method.name, total=options.training.steps, losses="")
        measured = ""

        def watch(progress: Any) -> None:
            nonlocal measured
            bar.update(task, completed=progress.step)
            if progress.losses:
                bar.update(task, losses="  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items()))
            if progress.figures:
                measured = ", ".join(f"{name} {value:.2f}" for name, value in progress.figures.items()) + " on held-out images"
                console.print(f"step {progress.step}: {measured}")

        finished = engine.train(options, run, watch, resume=resumed)
    if not finished:
        console.print(f"stopped; go on with: pixlate train --resume {run}")
        return 130
    console.print(f"done{measured and f': {measured}'}; next: pixlate export {run} model.onnx")
    return 0
