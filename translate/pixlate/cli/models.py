"""``pixlate models`` lists the ready models; ``add`` and ``remove`` change which the user has added."""

import json as json_format
import sys
from dataclasses import asdict, fields
from textwrap import fill
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn

from pixlate.errors import PixlateError
from pixlate.inference.added import added
from pixlate.inference.added import remove as remove_added
from pixlate.inference.models import find, load
from pixlate.inference.ready import cards, hidden
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.spec import ModelSpec
from pixlate.system.text import printable
from pixlate.system.user import models_folder

WIDTH = 80
"""Columns of the list, paths and addresses aside."""
app = App(name="models", help="List the ready models, and add your own.", help_format="plaintext")
DEMONSTRATIONS = "Demonstrations: they show what a method learns, and are not for pictures of your own."


@app.default
def models(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the ready models; exit code 1 where one cannot be opened or used.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    rows = []
    problems = list(dict.fromkeys(part.sentence for part in installed().left_out() if part.kind == "model")) + hidden()
    own = added()
    headed = False
    for name, card in sorted(cards().items(), key=lambda item: (item[1].demonstration, item[0])):
        made = card.make is None or card.path.is_file()
        try:
            spec = None
            if mine := own.get(name) if card.path.parent == models_folder() else None:  # opening weights may load PyTorch
                find(name)
                spec = ModelSpec.from_json(mine.spec)
            elif made:
                spec = load(name, "cpu").spec
        except PixlateError as error:
            problems.append(f"{name}: {error}")
            continue
        size = sum(path.stat().st_size for path in (mine.files if mine else (card.path,))) if made else None
        rows.append(_row(card, spec, size))
        if json:
            continue
        if card.demonstration and not headed:
            print(("\n" if len(rows) > 1 else "") + fill(DEMONSTRATIONS, WIDTH))
            headed = True
        print("\n".join(_lines(card, spec, size)))
    for problem in problems:
        print(problem, file=sys.stderr)
    if json:
        print(json_format.dumps(rows))
    elif not rows and not problems:
        print("no plugin offers a ready model; convert takes any ONNX file with --model FILE.onnx")
    return 1 if problems else 0


@app.command
def add(source: str, *, name: str = "", sha256: str = "", licence: str = "") -> int:
    """Put a model into your own folder, so that --model finds it by its name.

    Parameters
    ----------
    source
        File, or address of one that starts with https: ONNX, weights of PyTorch or safetensors, or one of the two files of a model of ncnn, the other beside it.
        What is in it is never run.
    name
        What to call it; by default the file's own name.
    sha256
        Checksum that the file must have; of ncnn's two, that of the .bin.
    licence
        Terms of use, for the list; by default those that the file states.
    """
    from pixlate.inference.adding import add as add_model

    progress = Progress(TextColumn("downloading"), DownloadColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
    with progress:
        task = progress.add_task("", total=None)
        record = add_model(source, name, sha256, licence, lambda done, total: progress.update(task, completed=done, total=total))
    checked = "as expected" if sha256 else "not checked, as none was given"
    print(f"added {record.name}; its SHA-256 is {record.sha256} ({checked})")
    print(f"its licence: {printable(record.licence) or 'none stated; look where you have it from'}")
    return 0


@app.command
def remove(name: str) -> int:
    """Remove a model that you have added.

    Parameters
    ----------
    name
        What pixlate models calls it.
    """
    freed = remove_added(name)
    print(f"removed {name}, {freed / 1e6:.1f} MB")
    return 0


def _row(card: ModelCard, spec: ModelSpec | None, size: int | None) -> dict[str, Any]:
    """Return a card as a program reads it; ``spec`` and ``bytes`` are null until the file is made."""
    values = {item.name: getattr(card, item.name) for item in fields(card) if item.name != "unavailable"}
    return values | {
        "path": str(card.path),
        "card": str(card.card or ""),
        "licence": _licence(card, spec),
        "earlier": {f"{card.name}@{number}": str(path) for number, path in sorted(card.earlier.items())},
        "make": card.make is not None,
        "bytes": size,
        "spec": spec and asdict(spec),
    }


def _lines(card: ModelCard, spec: ModelSpec | None, size: int | None) -> list[str]:
    """Return a card as the list shows it."""
    lines = [_wrapped(f"{card.name}: {card.summary}", first="")]
    lines.append(_wrapped(f"licence: {_licence(card, spec) or 'none stated'}"))
    if spec is None or size is None:
        lines.append(_wrapped("made on first use, and kept in the cache"))
    else:
        lines.append(_wrapped(f"scale {spec.scale}, {spec.method}, {spec.precision}, {size / 1e6:.1f} MB"))
    if card.version > 1:
        earlier = ", ".join(f"{card.name}@{number}" for number in sorted(card.earlier))
        lines.append(_wrapped(f"version {card.version}{f'; earlier: {earlier}' if earlier else ''}"))
    if card.source:
        lines.append(f"    from: {printable(card.source)}")
    if card.card is not None:
        lines.append(f"    card: {card.card}")
    return lines


def _licence(card: ModelCard, spec: ModelSpec | None) -> str:
    return card.licence or (spec.provenance.licence if spec is not None else "")


def _wrapped(text: str, first: str = "    ") -> str:
    return fill(printable(text), WIDTH, initial_indent=first, subsequent_indent="        ", break_long_words=False, break_on_hyphens=False)
