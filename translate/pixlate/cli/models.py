"""``pixlate models``: the ready models."""

import json as json_format
import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.inference.models import cards, load
from pixlate.plugin.manager import installed


def models(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the ready models; exit code 1 where one cannot be opened or used.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    rows = []
    problems = list(dict.fromkeys(part.sentence for part in installed().left_out() if part.kind == "model"))
    for name, card in sorted(cards().items()):
        try:
            spec = load(name, "cpu").spec
        except PixlateError as error:
            problems.append(f"{name}: {error}")
            continue
        size = card.path.stat().st_size
        rows.append(asdict(card) | {"path": str(card.path), "card": str(card.card or ""), "bytes": size, "spec": asdict(spec)})
        if not json:
            print(f"{name}: {card.summary}")
            print(f"    scale {spec.scale}, {spec.method}, {spec.precision}, {size / 1e6:.1f} MB, {spec.provenance.licence or 'no licence stated'}")
            print(f"    card: {card.card or 'none'}")
    for problem in problems:
        print(problem, file=sys.stderr)
    if json:
        print(json_format.dumps(rows))
    elif not rows and not problems:
        print("no plugin offers a ready model; convert takes any ONNX file with --model FILE.onnx")
    return 1 if problems else 0
