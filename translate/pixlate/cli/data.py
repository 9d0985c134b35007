"""``pixlate data check FOLDER...``: whether images are fit to train on, before an hour of training tells."""

import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import track

from pixlate.data.check import FolderReport, Report
from pixlate.data.check import check as check_folders
from pixlate.errors import PixlateError

app = App(name="data", help="Check folders of training images.", help_format="plaintext")


@app.command
def check(
    folders: tuple[Path, ...] = (),
    *,
    pairing: Literal["paired", "unpaired", "degraded"] | None = None,
    patch: int = 0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Read every image and tell sizes, channels, pairs, damage and duplicates; exit code 1 where there are problems.

    Parameters
    ----------
    folders
        Folders as for training: SOURCE TARGET, one of images side by side, or targets alone.
    pairing
        How images belong together; found out by names and sizes where it is left out.
    patch
        Height and width of a training patch, in pixels: smaller images are named; 0 does not look.
    json
        Print one JSON object, for programs.
    """
    if not folders:
        raise PixlateError("expected folders of images, got none; write: pixlate data check photos/")
    if patch < 0:
        raise PixlateError(f"expected --patch of at least 0, got {patch}; raise it")
    console = Console(stderr=True)
    report = check_folders(
        folders, pairing, patch, lambda files, count: track(files, "reading images", count, console=console, disable=not console.is_terminal, transient=True)
    )
    otherwise = "" if pairing else "; where they are not, say what they are with --pairing"
    print(json_format.dumps(asdict(report)) if json else _text(report, otherwise))
    return 1 if report.problems else 0


def _text(report: Report, otherwise: str) -> str:
    pairs = f", {report.pairs} pairs" if report.pairing == "paired" else ""
    problems = [f"problem  {problem}" for problem in report.problems] or ["ok       no problems"]
    return "\n".join(
        [f"{report.pairing}: {report.layout}{pairs}{otherwise}", *map(_line, report.folders), *(f"note     {note}" for note in report.notes), *problems]
    )


def _line(folder: FolderReport) -> str:
    channels, bits = (", ".join(f"{count} of {kind}" for kind, count in kinds.items()) or "none" for kinds in (folder.channels, folder.bits))
    widths, heights = (f"{least} to {most} (median {middle:g})" for least, middle, most in (folder.widths, folder.heights))
    return f"{folder.path}: {folder.images} images, width {widths}, height {heights} pixels\n    by channels: {channels}; by bits of a sample: {bits}"
