"""``pixlate models`` lists the ready models, or shows one; ``add`` and ``remove`` change which the user has added."""

import json as json_format
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn

from pixlate.cli.completion import models as completed
from pixlate.errors import PixlateError
from pixlate.inference.added import added
from pixlate.inference.added import remove as remove_added
from pixlate.inference.files import files_of_model
from pixlate.inference.models import find, load
from pixlate.inference.ready import cards, hidden, named, unknown
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.spec import ModelSpec
from pixlate.system.text import file_size, printable
from pixlate.system.user import models_folder

WIDTH = 80
"""Columns of the list, paths and addresses aside."""
NAME_WIDTH = 24
"""Most columns of the list that names take."""
app = App(name="models", help="List the ready models, show one, and add your own.", help_format="plaintext")
DEMONSTRATIONS = "Demonstrations: they show what a method learns, and are not for pictures of your own."
UNMADE = "made on first use, and kept in the cache"


@dataclass(frozen=True)
class Entry:
    """What is known of a version of a ready model without making it."""

    card: ModelCard
    version: int
    path: Path
    spec: ModelSpec | None
    """None until the file is made."""
    size: int | None
    """Of its files, in bytes; None until they are made."""

    @property
    def licence(self) -> str:
        """Terms of use of the weights, empty where none are stated."""
        return self.card.licence or (self.spec.provenance.licence if self.spec is not None else "")


@app.default
def models(name: Annotated[str, Parameter(completer=completed)] = "", /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the ready models, or show one; exit code 1 where one of the list cannot be opened or used.

    Parameters
    ----------
    name
        Show all of this one: file, card, licence, training and what it takes and makes; NAME@VERSION for an earlier version.
    json
        Print one JSON list, for programs.
    """
    if name:
        if (found := named(name)) is None:
            raise PixlateError(unknown(name, file=False))
        entry = _entry(*found)
        print(json_format.dumps([_row(entry)]) if json else "\n".join(_whole(entry)))
        return 0
    entries = []
    problems = list(dict.fromkeys(part.sentence for part in installed().left_out() if part.kind == "model")) + hidden()
    for each, card in sorted(cards().items()):
        try:
            entries.append(_entry(card, card.version))
        except PixlateError as error:
            problems.append(f"{each}: {error}")
    if json:
        print(json_format.dumps([_row(entry) for entry in entries]))
    elif entries:
        print("\n".join(_list(entries)))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not json and not entries and not problems:
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
    print(f"removed {name}, {file_size(freed)}")
    return 0


def _entry(card: ModelCard, version: int) -> Entry:
    """Return what is known of a version of a model; one that the user has added is not opened, which may load PyTorch.

    Raises:
        PixlateError: Its file is missing or cannot be opened.
    """
    name, path = f"{card.name}@{version}", card.path if version == card.version else card.earlier[version]
    if version == card.version and card.make is not None and not path.is_file():
        return Entry(card, version, path, None, None)
    files = files_of_model(find(name))
    mine = added().get(card.name) if path.parent == models_folder() else None
    spec = ModelSpec.from_json(mine.spec) if mine else load(name, "cpu").spec
    return Entry(card, version, path, spec, sum(file.stat().st_size for file in files))


def _row(entry: Entry) -> dict[str, Any]:
    """Return a model as a program reads it; ``spec`` and ``bytes`` are null until the file is made."""
    card = entry.card
    values = {item.name: getattr(card, item.name) for item in fields(card) if item.name != "unavailable"}
    return values | {
        "path": str(entry.path),
        "card": str(card.card or ""),
        "version": entry.version,
        "licence": entry.licence,
        "earlier": {f"{card.name}@{number}": str(path) for number, path in sorted(card.earlier.items())},
        "make": card.make is not None,
        "bytes": entry.size,
        "spec": entry.spec and asdict(entry.spec),
    }


def _list(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the lines of the list: models under their licence, demonstrations last."""
    width = min(max(len(entry.card.name) for entry in entries), NAME_WIDTH)

    def place(entry: Entry) -> tuple[bool, bool, str]:
        return entry.card.demonstration, not entry.licence, entry.licence.lower()

    for (demonstration, *_), group in groupby(sorted(entries, key=place), key=place):
        together = list(group)
        if demonstration:
            yield _wrapped(DEMONSTRATIONS, rest="")
        yield _wrapped(f"licence: {together[0].licence or 'none stated'}")
        for entry in together:
            size = "-" if entry.size is None else file_size(entry.size)
            start = f"  {entry.card.name:<{width}}  {size:>7}  "
            yield _wrapped(entry.card.summary, start, " " * (width + 13))
        yield ""
    if any(entry.size is None for entry in entries):
        yield f"-: {UNMADE}"
    yield "`pixlate models NAME` shows all of one"


def _whole(entry: Entry) -> Iterator[str]:
    """Yield the lines that show all of one model."""
    card, spec = entry.card, entry.spec
    yield _wrapped(f"{card.name}: {card.summary}", "", "    ")
    if card.demonstration:
        yield _wrapped(DEMONSTRATIONS, "    ", "        ")
    yield _wrapped(f"licence: {entry.licence or 'none stated'}", "    ", "        ")
    others = ", ".join(f"{card.name}@{number}" for number in sorted({*card.earlier, card.version} - {entry.version}))
    yield f"    version: {entry.version}{f' (others: {others})' if others else ''}"
    yield f"    file: {printable(entry.path)}, {UNMADE if entry.size is None else file_size(entry.size)}"
    if card.source:
        yield f"    from: {printable(card.source)}"
    if card.card is not None:
        yield f"    card: {printable(card.card)}"
    if spec is None:
        return
    origin = spec.provenance
    if origin.version:
        yield f"    exported by: Pixlate {printable(origin.version)}"
    untrained = {} if origin.steps else {"steps": "", "seed": ""}  # by Pixlate, which made the file of others' weights
    for values in (asdict(origin) | untrained | {"licence": "", "version": ""}, asdict(spec) | {"provenance": ""}):
        for name, value in values.items():
            if value not in ("", ()):
                yield _wrapped(f"{name}: {_shown(value)}", "    ", "        ")


def _shown(value: object) -> str:
    """Return a value of a spec as the list shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json_format.dumps(value) if isinstance(value, list | tuple) else str(value)


def _wrapped(text: str, first: str = "", rest: str = "        ") -> str:
    return fill(printable(text), WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
