"""What is done with the options of every command: presets, and what Cyclopts is not strict enough with, whole numbers and paths."""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import App, ArgumentCollection

from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed

PREVIEW = ("data", "preview")
"""Commands before the method that is previewed."""


def apply_preset(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give the options of a method that neither command line nor ``--config`` names the values of the recipe that ``--preset`` names.

    Raises:
        PixlateError: The method has no preset of that name, or the recipe is damaged.
    """
    if commands[:-1] not in (("train",), PREVIEW):
        return
    from pixlate.plugin.method import Method

    for name in [argument.tokens[-1].value for argument in arguments if "--preset" in argument.names and argument.tokens]:
        method = installed().offered(Method).get(commands[-1])
        presets = method.presets if method else {}
        if not presets:
            raise PixlateError(f"expected no --preset, since {commands[-1]} has none, got {name!r}; leave it out")
        if name not in presets:
            raise PixlateError(f"expected --preset of {commands[-1]} to be one of {', '.join(presets)}, got {name!r}; choose one")
        from pixlate.cli.config import Preset

        Preset(presets[name], must_exist=True)(app, commands, arguments)


def require_sound(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse fractions for whole numbers, which Cyclopts rounds, and empty paths, which are the current folder: mostly a variable of a shell is not set."""
    for argument in arguments:
        types = set(kinds(argument.hint))
        for token in argument.tokens:
            if not token.value and commands and (Path in types or argument.index is not None):
                raise PixlateError(f"expected {argument.name} to be a path or a name, got nothing in quotes; write . for the current folder, or leave it out")
            if not token.value and token.source == "cli" and str in types and (commands[:1] == ("train",) or commands[: len(PREVIEW)] == PREVIEW):
                raise PixlateError(f"expected a value for {argument.name}, got nothing in quotes, which would change nothing; leave it out")
        for token in argument.tokens if int in types and float not in types else ():
            if "." in token.value and not _whole(token.value):
                raise PixlateError(f"expected {argument.name} to be a whole number, got {token.value}; see --help")


def kinds(hint: Any) -> Iterator[Any]:
    """Yield the types that a value, or an item of a list, may have."""
    if get_origin(hint) in (Annotated, Union, UnionType, tuple):
        for each in get_args(hint):
            yield from kinds(each)
    else:
        yield hint


def _whole(text: str) -> bool:
    try:
        return float(text).is_integer()
    except ValueError:  # which Cyclopts says
        return True
