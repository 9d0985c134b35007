"""``pixlate models``: the ready models."""

import json as json_format
import sys
from dataclasses import asdict, fields
from textwrap import fill
from typing import Annotated, Any

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.inference.models import load
from pixlate.inference.ready import cards
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.spec import ModelSpec
from pixlate.system.text import printable

WIDTH = 80
"""Columns of the list, paths aside."""
DEMONSTRATIONS = "Demonstrations: they show what a method learns, and are not for pictures of your own."


def models(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the ready models; exit code 1 where one cannot be opened or used.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    rows = []
    problems = list(dict.fromkeys(part.sentence for part in installed().left_out() if part.kind == "model"))
    headed = False
    for name, card in sorted(cards().items(), key=lambda item: (item[1].demonstration, item[0])):
        made = card.make is None or card.path.is_file()
        try:
            spec = load(name, "cpu").spec if made else None
        except PixlateError as error:
            problems.append(f"{name}: {error}")
            continue
        size = card.path.stat().st_size if made else None
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


def _row(card: ModelCard, spec: ModelSpec | None, size: int | None) -> dict[str, Any]:
    """Return a card as a program reads it; ``spec`` and ``bytes`` are null until the file is made."""
    values = {item.name: getattr(card, item.name) for item in fields(card)}
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
        lines.append(_wrapped(f"from: {card.source}"))
    if card.card is not None:
        lines.append(f"    card: {card.card}")
    return lines


def _licence(card: ModelCard, spec: ModelSpec | None) -> str:
    return card.licence or (spec.provenance.licence if spec is not None else "")


def _wrapped(text: str, first: str = "    ") -> str:
    return fill(printable(text), WIDTH, initial_indent=first, subsequent_indent="        ", break_long_words=False, break_on_hyphens=False)
