"""Values of options as Cyclopts is not strict enough with them: in the TOML file of ``--config``, and whole numbers and paths everywhere."""

from collections.abc import Iterator
from pathlib import Path
from types import EllipsisType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict, Toml

from pixlate.errors import PixlateError
from pixlate.options.checks import misfit
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method

PREVIEW = ("data", "preview")
"""Commands before the method that is previewed."""

_PLAIN: tuple[Any, ...] = (int, float, bool, str, Path, NoneType, EllipsisType, ...)
"""Types that a TOML file has itself, or as a text."""


class Config(Toml):
    """A TOML file with a table of options per command, whose values must be of the options' types: no number is rounded, and nothing is read out of a text."""

    def table(self, commands: tuple[str, ...]) -> Any:
        """Return the table of a command, None where there is none; ``data preview`` has that of ``train``, but for the run folder."""
        previewing = commands[:-1] == PREVIEW
        table: Any = self.config
        for command in ("train", commands[-1]) if previewing else commands:
            table = table.get(command) if isinstance(table, dict) else None
        return {name: value for name, value in table.items() if name != "out"} if previewing and isinstance(table, dict) else table

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Give the options of a command their values, where they have none yet.

        Raises:
            PixlateError: A value is of another type than its option.
        """
        table = self.table(commands)
        if not isinstance(table, dict):
            super().__call__(app, commands, arguments)  # which says what it is instead
            return
        hints = {name: argument.hint for argument in arguments for name in argument.names}
        for name, value in table.items():
            option = f"--{name.replace('_', '-')}"
            if option in hints and (wanted := _misfit(value, hints[option])):
                raise PixlateError(f"{self.path}: expected {name} to be {wanted}, got {value!r}; see --help")
        for command in reversed(commands):
            table = {command: table}
        Dict(data=table, source=self.source)(app, commands, arguments)


class Preset(Config):
    """A recipe that a method offers: a TOML file with one table of options, below ``train``, whatever the method is called that offers it now."""

    def table(self, commands: tuple[str, ...]) -> Any:
        """Return the table, whatever the command.

        Raises:
            PixlateError: There is not one.
        """
        tables = self.config.get("train")
        if not isinstance(tables, dict) or len(tables) != 1:
            raise PixlateError(f"{self.path}: expected one table, [train.{commands[-1]}], in the recipe; change it in the plugin")
        return next(iter(tables.values()))


def apply_preset(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give the options of a method that neither command line nor ``--config`` names the values of the recipe that ``--preset`` names.

    Raises:
        PixlateError: The method has no preset of that name, or the recipe is damaged.
    """
    if commands[:-1] not in (("train",), PREVIEW):
        return
    for name in [argument.tokens[-1].value for argument in arguments if "--preset" in argument.names and argument.tokens]:
        method = installed().offered(Method).get(commands[-1])
        presets = method.presets if method else {}
        if not presets:
            raise PixlateError(f"expected no --preset, since {commands[-1]} has none, got {name!r}; leave it out")
        if name not in presets:
            raise PixlateError(f"expected --preset of {commands[-1]} to be one of {', '.join(presets)}, got {name!r}; choose one")
        Preset(presets[name], must_exist=True)(app, commands, arguments)


def require_sound(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse fractions for whole numbers, which Cyclopts rounds, and empty paths, which are the current folder: mostly a variable of a shell is not set."""
    for argument in arguments:
        kinds = set(_kinds(argument.hint))
        for token in argument.tokens:
            if not token.value and commands and (Path in kinds or argument.index is not None):
                raise PixlateError(f"expected {argument.name} to be a path or a name, got nothing in quotes; write . for the current folder, or leave it out")
            if not token.value and token.source == "cli" and str in kinds and (commands[:1] == ("train",) or commands[: len(PREVIEW)] == PREVIEW):
                raise PixlateError(f"expected a value for {argument.name}, got nothing in quotes, which would change nothing; leave it out")
        for token in argument.tokens if int in kinds and float not in kinds else ():
            if "." in token.value and not _whole(token.value):
                raise PixlateError(f"expected {argument.name} to be a whole number, got {token.value}; see --help")


def _misfit(value: Any, hint: Any) -> str:
    """Return what an option's type allows, in words, where a value of a TOML file is not of it; nothing where it is."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if any(kind not in _PLAIN and get_origin(kind) is not Literal for kind in _kinds(hint)):  # such as an enumeration, which Cyclopts reads out of a text
        return ""
    several = any(get_origin(each) is tuple for each in (hint, *_choices(hint)))
    if isinstance(value, list) or several:
        value = tuple(value) if isinstance(value, list) else (value,)
    if Path in _kinds(hint):
        value = tuple(map(_path, value)) if isinstance(value, tuple) else _path(value)
    return "" if isinstance(value, dict) else misfit(value, hint)


def _path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) else value


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else ()


def _kinds(hint: Any) -> Iterator[Any]:
    """Yield the types that a value, or an item of a list, may have."""
    if get_origin(hint) in (Annotated, Union, UnionType, tuple):
        for each in get_args(hint):
            yield from _kinds(each)
    else:
        yield hint


def _whole(text: str) -> bool:
    try:
        return float(text).is_integer()
    except ValueError:  # which Cyclopts says
        return True
