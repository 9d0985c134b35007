"""``pixlate evaluate``: how good a model is, in numbers."""

import json as json_format
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from pixlate.cli.completion import models
from pixlate.cli.periodic import Periodic
from pixlate.errors import PixlateError
from pixlate.evaluation.folders import Layout
from pixlate.evaluation.measure import Evaluation
from pixlate.evaluation.measure import evaluate as measure


def evaluate(
    model: Annotated[str, Parameter(completer=models)] = "",
    /,
    *folders: Annotated[Path, Parameter(name="FOLDER")],
    layout: Layout = "auto",
    metrics: str = "",
    device: str = "auto",
    inception: Path | None = None,
    set: tuple[str, ...] = (),
    mask: Path | None = None,
    seed: int = 0,
    strength: float | None = None,
    blend_with: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Translate images whose targets are known and measure how close the outputs are.

    Exit codes: 0 measured, 2 refused. An image that cannot be read is refused too, since figures over fewer images would mislead.

    Parameters
    ----------
    model
        Required: a ready model's name (see pixlate models) or a model file.
    folders
        A folder of sources and one of targets, or one folder that holds both; searched recursively. For a model that takes no image one folder of
        images like those it draws: as many are drawn, and the sets compared.
    layout
        folders (sources and targets of the same names in two), side-by-side (one folder, the source in the left half of each image),
        degraded (one folder of targets, reduced by the model's scale with Pillow's BICUBIC), grey and lines (one folder of targets, whose
        sources are made as by the options of that name of pixlate train), unpaired (two folders, names do not matter),
        or auto: folders for two, degraded for one and a model that enlarges.
    metrics
        Names with commas between: psnr, ssim, ms-ssim, psnr-luma, lpips (pairs), fid, kid, is, precision, recall, sliced-wasserstein (sets),
        luma-correlation (output and source), and those of plugins. Without it, those that need no weights and fit the images.
    device
        Where the model runs: auto, cpu, cuda, cuda:N or another of `pixlate convert`. A device named explicitly is used or refused.
    inception
        File with the Inception weights for fid, kid, is, precision and recall; without it, the one in the folder of torch.hub.
    set
        Value of a condition (an input of the model besides the image), as NAME=VALUE: hair=blond. Once for each condition.
    mask
        Folder of masks for a model that fills them in, each with the name of its source and of its size; white is what to fill.
    seed
        With the name of each source, the seed of the noise that a model takes.
    strength
        How strongly the model changes a picture, from 0 to 1, as for pixlate convert.
    blend_with
        Another ready model or ONNX file of the same network, as for pixlate convert.
    json
        Print one JSON object, for programs.
    """
    if not model or not 1 <= len(folders) <= 2:
        raise PixlateError(
            f"expected a model and one or two folders, got {' '.join(map(str, (model, *folders))).strip() or 'none'}; write: pixlate evaluate upscale-x4 photos/"
        )
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task, lines = bar.add_task("images", total=None), Periodic()

        def watch(done: int, planned: int) -> None:
            bar.update(task, completed=done, total=planned)
            if not console.is_terminal and lines.due():
                print(f"{done} of {planned} images", file=sys.stderr, flush=True)

        found = measure(
            model,
            folders,
            metrics=names,
            layout=layout,
            device=device,
            inception=inception,
            set=set,
            mask=mask,
            seed=seed,
            strength=strength,
            blend_with=blend_with,
            watch=watch,
        )
    if json:
        print(json_format.dumps(_for_programs(found), allow_nan=False))
    else:
        _print(found)
    return 0


def _for_programs(found: Evaluation) -> dict[str, object]:
    """Return what ``--json`` prints: metrics by name; a figure that is infinite is null."""
    described = asdict(found)
    metrics = {figure.pop("metric"): figure for figure in described.pop("figures")}
    for figure in metrics.values():
        figure["value"] = figure["value"] if math.isfinite(figure["value"]) else None
    return described | {"metrics": metrics}


def _print(found: Evaluation) -> None:
    table = Table("metric", "value", "better", "implementation", box=box.SIMPLE_HEAD)
    for figure in found.figures:
        spread = "" if figure.deviation is None else f" ± {figure.deviation:.4f}"
        table.add_row(figure.metric, f"{figure.value:.4f}{spread}", "higher" if figure.higher_is_better else "lower", figure.implementation)
    console = Console(markup=False, highlight=False)
    against = "" if found.layout != "unpaired" else f" against {found.targets} targets"
    console.print(f"{found.model} on {found.device}: {found.images} image{'' if found.images == 1 else 's'}{against} ({found.layout})", soft_wrap=True)
    console.print(table)
    for note in found.notes:
        console.print(note, soft_wrap=True)
