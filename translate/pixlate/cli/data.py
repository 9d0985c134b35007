"""``pixlate data``: ``check FOLDER...`` says whether images are fit to train on, before an hour of training shows it; ``edges`` draws photographs."""

import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import track

from pixlate.data.check import check as check_folders
from pixlate.data.kinds import BUILT_IN
from pixlate.errors import PixlateError
from pixlate.plugin.data import DataKind, DataReport, FolderReport
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.system.extras import import_for

app = App(name="data", help="Check folders of training images, draw photographs, and look at what training sees of them.", help_format="plaintext")


@app.command(usage="Usage: pixlate data check FOLDER... [OPTIONS]")
def check(
    folders: Annotated[tuple[Path, ...], Parameter(negative_iterable=())] = (),
    *,
    kind: str | None = None,
    pairing: Annotated[str | None, Parameter(show=False)] = None,
    patch: int = 0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Read every image and report sizes, channels, pairs, damage and duplicates; exit code 1 if there are problems.

    Parameters
    ----------
    folders
        Folders as for training: SOURCE TARGET, one of images side by side, or targets alone.
    kind
        What the folders hold: paired, unpaired, degraded, or a kind of an installed method; detected from names and sizes by default.
    pairing
        What --kind was called in 0.1.
    patch
        Height and width of a training patch, in pixels: smaller images are named; 0 does not look.
    json
        Print one JSON object, for programs.
    """
    if not folders:
        raise PixlateError("expected folders of images, got none; write: pixlate data check photos/")
    if pairing is not None:
        raise PixlateError(f"--pairing is now --kind; write: pixlate data check --kind {pairing}")
    if patch < 0:
        raise PixlateError(f"expected --patch of at least 0, got {patch}; raise it")
    chosen = None if kind is None else _named(kind)
    console = Console(stderr=True)
    report = check_folders(
        folders, chosen, patch, lambda files, count: track(files, "reading images", count, console=console, disable=not console.is_terminal, transient=True)
    )
    otherwise = "; where they are not, say what they are with --kind" if kind is None else ""
    print(json_format.dumps(asdict(report)) if json else _text(report, otherwise))
    return 1 if report.problems else 0


app.command("pixlate.cli.preview:app", name="preview", help="Draw a sheet of what a method sees of images in training.")


@app.command
def edges(
    photographs: Path,
    out: Path,
    *,
    drawer: Literal["hed", "contours"] = "hed",
    strengths: Annotated[tuple[float, ...], Parameter(negative_iterable=(), consume_multiple=True)] = (0.2, 0.35, 0.5),
    thickness: float = 1.0,
) -> int:
    """Draw the outlines of photographs, as sources for paired training; exit code 1 if some could not be read.

    Drawings that exist are kept, so an interrupted command goes on where it stopped; those that were made with other options are refused. Train with: pixlate train pix2pix OUT/0.35 PHOTOGRAPHS

    Parameters
    ----------
    photographs
        Folder of photographs, searched recursively.
    out
        Folder for the drawings, PNG files of the photographs' names; with several strengths in a folder for each.
    drawer
        hed draws outlines as a person does (extra [edges], about 2 s a photograph of 0.15 megapixels on one core, and 2 megapixels at most, to which larger ones are reduced for it); contours is where tones differ.
    strengths
        Least strength of a line, above 0 and below 1, or several; a larger one leaves out more.
    thickness
        About half the width of a line, in pixels.
    """
    if not strengths or not all(0 < strength < 1 for strength in strengths) or len({f"{strength:g}" for strength in strengths}) < len(strengths):
        raise PixlateError(f"expected --strengths above 0 and below 1, each once, got {' '.join(map(str, strengths)) or 'none'}; 0.2 0.35 0.5 are usual")
    if not 0.3 <= thickness <= 16:
        raise PixlateError(f"expected --thickness from 0.3 to 16, got {thickness:g}; 1 is a thin pen")
    console = Console(stderr=True)
    draw = import_for("drawing", "pixlate.data.draw_folder").draw_folder
    drawn = draw(
        photographs,
        out,
        drawer,
        strengths,
        thickness,
        lambda done, count: track(done, "drawing", count, console=console, disable=not console.is_terminal, transient=True),
    )
    for sentence in drawn.failed:
        print(sentence, file=sys.stderr)
    blank = f" ({drawn.blank} blank, without a line of that strength: lower --strengths)" if drawn.blank else ""
    kept = f", {drawn.kept} kept that were there" if drawn.kept else ""
    failed = f", {len(drawn.failed)} photographs failed" if drawn.failed else ""
    print(f"{drawn.written} drawings written{blank}{kept}{failed}, into {out}")
    return 1 if drawn.failed else 0


def _named(name: str) -> DataKind:
    """Return the data kind of that name: a built-in one, or that of an installed method."""
    owners = {(method.data.name, method.data.open): method for method in installed().offered(Method).values() if method.data.name not in BUILT_IN}
    offered = BUILT_IN | {method.data.name: method.data for method in owners.values()}
    if name not in offered:
        reason = installed().why("method", name) or "choose one, or install the plugin that defines it"
        raise PixlateError(f"expected --kind to be one of {', '.join(sorted(offered))}, got {name!r}; {reason}")
    if len(methods := [method.name for (kind, _), method in owners.items() if kind == name]) > 1:
        raise PixlateError(f"the methods {' and '.join(methods)} define data kinds of one name, {name!r}; uninstall the plugin of one of them")
    return offered[name]


def _text(report: DataReport, otherwise: str) -> str:
    pairs = f", {report.pairs} pairs" if report.pairs else ""
    problems = [f"problem  {problem}" for problem in report.problems] or ["ok       no problems"]
    return "\n".join(
        [f"{report.kind}: {report.layout}{pairs}{otherwise}", *map(_line, report.folders), *(f"note     {note}" for note in report.notes), *problems]
    )


def _line(folder: FolderReport) -> str:
    channels, bits = (", ".join(f"{count} of {kind}" for kind, count in kinds.items()) or "none" for kinds in (folder.channels, folder.bits))
    widths, heights = (f"{least} to {most} (median {middle:g})" for least, middle, most in (folder.widths, folder.heights))
    return f"{folder.path}: {folder.images} images, width {widths}, height {heights} pixels\n    by channels: {channels}; by bits of a sample: {bits}"
