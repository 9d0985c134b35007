"""What the commands that take a method, ``train`` and ``data preview``, share: its options, its presets, and a single file in its place."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from pixlate.cli.help import Help
from pixlate.errors import PixlateError
from pixlate.options.groups import headings
from pixlate.places.paths import require_folder
from pixlate.plugin import single_file
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.single_file import SingleFile

EVERYDAY = "Everyday"
"""Heading of the options that are mostly needed."""
Command = Callable[..., int]


class MethodCommands:
    """Makes a command of each method that is installed.

    Args:
        app: What the commands are added to.
        words: The commands before the method's name, such as ``train``.
        make: Returns the command of a method, which may come from a single file.
    """

    def __init__(self, app: App, words: str, make: Callable[[Method, SingleFile | None], Command]) -> None:
        self.app, self.words, self.make = app, words, make
        for method in installed().offered(Method).values():
            self.add(method, method.name)

    def add(self, method: Method, word: str, file: SingleFile | None = None) -> None:
        """Add the command of a method, which is called ``word`` on the command line."""
        self.app.command(
            self.make(method, file),
            name=method.name,
            usage=f"Usage: pixlate {self.words} {word} FOLDER... [OPTIONS]",
            help_formatter=Help(lambda: _headings(method), EVERYDAY),
        )

    def offer_file(self, word: str) -> str:
        """Make a command of the method in the file that is named in place of a method; return the method's name, and any other word as it is."""
        found = single_file.named(word)
        if found is None:
            return word
        file, method = found
        if method.name in self.app:
            del self.app[method.name]
        self.add(method, word, file)
        return method.name


def with_options(command: Command, method: Method, shown: bool = True, **defaults: Any) -> Command:
    """Return a command whose ``method_options``, ``data`` and ``training`` are the options of a method, one by one.

    ``shown`` says whether the help has those of training; ``defaults`` are those of the other parameters.
    """
    flat: dict[str, Any] = {"name": "*", "negative_iterable": (), "consume_multiple": True}
    owners = {"method_options": method.options, "data": method.data.options, "training": method.training}
    hidden = None if shown else False
    command.__annotations__ |= {name: Annotated[owner, Parameter(**flat, show=hidden if name == "training" else None)] for name, owner in owners.items()}
    command.__annotations__["preset"] = Annotated[str, Parameter(show=bool(method.presets))]
    command.__kwdefaults__ = {"preset": "", **defaults, **{name: owner() for name, owner in owners.items()}}
    return command


def presets_help(method: Method) -> str:
    """Return the help of ``--preset``: what the first line of each recipe says."""
    listed = "; ".join(f"{name}: {path.read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}" for name, path in method.presets.items())
    return f"Recipe that options start from. {listed}. What the command line or --config says takes precedence."


def require_folders(folders: Sequence[Path], words: str, method: Method, more: str = "") -> None:
    """Refuse no folders, and those that are not there."""
    if not folders:
        raise PixlateError(f"expected folders of images, got none; write: pixlate {words} {method.name} {method.data.example}{more}")
    for folder in folders:
        if not folder.exists():
            require_folder(folder)


def _headings(method: Method) -> dict[str, str]:
    """Return the heading of each option of a method's, in the order of the help."""
    found = [headings(*each) for each in ((method.training, "Optimisation"), (method.data.options, "Images"), (method.options, f"Options of {method.name}"))]
    order = [EVERYDAY, "Images", f"Options of {method.name}", "Networks", "Losses", "Optimisation", *chain.from_iterable(each.values() for each in found)]
    return dict(sorted(chain.from_iterable(each.items() for each in found), key=lambda item: order.index(item[1])))
