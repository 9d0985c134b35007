"""A sweep: runs of one method on the same folders that differ in some options, one after another, compared in one report."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any

from pixlate.errors import PixlateError
from pixlate.options.checks import flag
from pixlate.system.folder import replacing
from pixlate.training.run import RunOptions

SWEEP = "sweep.json"
"""In the folder of a sweep: what it was started with, so that the same command goes on with it."""
MOST_RUNS = 256


def sweep(options: RunOptions, texts: Sequence[str]) -> dict[str, RunOptions]:
    """Return the runs of a sweep by the name of their folder, such as ``learning_rate=0.0001,channels=32``: every combination of the values.

    Args:
        options: What the runs share.
        texts: Options and their values, such as ``learning_rate=1e-4,2e-4``; lists in brackets.

    Raises:
        PixlateError: An option is unknown or comes twice, a value is refused, or there are too many runs.
    """
    values = dict(_parsed(text, options) for text in texts)
    if len(values) < len(texts):
        raise PixlateError(f"expected each option once in --sweep, got {' '.join(texts)}; give all its values at once")
    count = 1
    for each in values.values():
        count *= len(each)
    if not 2 <= count <= MOST_RUNS:
        raise PixlateError(f"expected --sweep of 2 to {MOST_RUNS} runs, got {count}; write: --sweep learning_rate=1e-4,2e-4")
    runs: dict[str, RunOptions] = {}
    for chosen in product(*values.values()):
        changes = dict(zip(values, chosen, strict=True))
        name = ",".join(f"{option}={_named(value)}" for option, value in changes.items())
        if name in runs:
            raise PixlateError(f"expected other values each time in --sweep, got {name} twice; take one out")
        runs[name] = varied(options, changes)
    return runs


def varied(options: RunOptions, changes: Mapping[str, Any]) -> RunOptions:
    """Return the same options with some changed, by name, whichever dataclass they belong to.

    Raises:
        PixlateError: A value is refused, or does not fit the others.
    """

    def changed(part: Any) -> Any:
        own = {item.name: changes[item.name] for item in fields(part) if item.name in changes}
        return replace(part, **own) if own else part

    return replace(options, method_options=changed(options.method_options), data=changed(options.data), training=changed(options.training))


def begin(folder: Path, options: RunOptions, texts: Sequence[str]) -> None:
    """Note what a sweep is made of, or refuse a folder in which another one was begun.

    Raises:
        PixlateError: The folder holds something else.
    """
    content = json.loads(json.dumps({"method": options.method.name, "sweep": list(texts), **options.table()}))
    if (folder / SWEEP).exists():
        with suppress(OSError, ValueError, RecursionError):
            if json.loads((folder / SWEEP).read_text(encoding="utf-8")) == content:
                return
        raise PixlateError(
            f"expected the options that {folder} was begun with, got others; repeat that command to go on with it, or name another folder with --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / SWEEP) as part:
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _parsed(text: str, options: RunOptions) -> tuple[str, list[Any]]:
    """Return an option's name and its values."""
    name, equals, values = text.partition("=")
    name = name.strip().removeprefix("--").replace("-", "_")
    known = {item.name for part in (options.method_options, options.data, options.training) for item in fields(part)}
    if not equals and name in known:
        raise PixlateError(f"expected --sweep OPTION=VALUE,VALUE, got {text!r} without values; write: --sweep {name}=VALUE,VALUE")
    if name not in known:
        near = get_close_matches(name, known, 1)
        advice = f"did you mean {near[0]}?" if near else f"`pixlate train {options.method.name} --help` lists them"
        raise PixlateError(f"expected --sweep OPTION=VALUE,VALUE with an option of {options.method.name}, got {text!r}; {advice}")
    return name, [tuple(value) if isinstance(value, list) else value for value in _values(name, values)]


def _values(name: str, text: str) -> Iterator[Any]:
    """Yield values as TOML has them, and any other text as it is."""
    try:
        yield from tomllib.loads(f"values = [{text}]")["values"]
    except ValueError:
        for value in text.split(","):
            if not value.strip():
                raise PixlateError(
                    f"expected a value between the commas of --sweep {flag(name).removeprefix('--')}={text}, got none; take out the comma"
                ) from None
            try:
                (read,) = tomllib.loads(f"values = [{value}]")["values"]
            except ValueError:
                read = value.strip()
            yield read


def _named(value: Any) -> str:
    """Return a value as a part of a folder's name."""
    text = "-".join(map(str, value)) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^\w.+-]", "_", text)
