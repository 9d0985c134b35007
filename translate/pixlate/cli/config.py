"""Options in TOML files, ``--config`` and recipes, with whose types Cyclopts is not strict enough."""

from pathlib import Path
from types import EllipsisType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict, Toml

from pixlate.cli.checks import PREVIEW, kinds
from pixlate.errors import PixlateError
from pixlate.options.checks import misfit

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


def _misfit(value: Any, hint: Any) -> str:
    """Return what an option's type allows, in words, where a value of a TOML file is not of it; nothing where it is."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if any(kind not in _PLAIN and get_origin(kind) is not Literal for kind in kinds(hint)):  # such as an enumeration, which Cyclopts reads out of a text
        return ""
    several = any(get_origin(each) is tuple for each in (hint, *_choices(hint)))
    if isinstance(value, list) or several:
        value = tuple(value) if isinstance(value, list) else (value,)
    if Path in kinds(hint):
        value = tuple(map(_path, value)) if isinstance(value, tuple) else _path(value)
    return "" if isinstance(value, dict) else misfit(value, hint)


def _path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) else value


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else ()
