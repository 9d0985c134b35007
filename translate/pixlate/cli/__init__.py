"""The command line: a file for each command, imported only when it is called."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from cyclopts import App, CycloptsError, Parameter

from pixlate.cli.checks import apply_preset, require_sound
from pixlate.cli.help import Help
from pixlate.convert.options import ConvertOptions
from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.options.groups import headings
from pixlate.plugin.entries import PluginWarning
from pixlate.plugin.manager import installed
from pixlate.system.signals import INTERRUPTED, StopOnSignal
from pixlate.system.text import printable

if TYPE_CHECKING:
    from pixlate.cli.methods import MethodCommands

COMPLETE = "__complete"
"""First word of the command line by which a shell asks for what completes the last one."""
CONVERT_USAGE = "Usage: pixlate convert SOURCE... OUT --model MODEL [OPTIONS]"
SAMPLE_USAGE = "Usage: pixlate sample MODEL OUT [OPTIONS]"
COMPARE_USAGE = "Usage: pixlate compare FIRST SECOND [OPTIONS], or pixlate compare --votes FILE..."
EVALUATE_USAGE = "Usage: pixlate evaluate MODEL FOLDER [FOLDER] [OPTIONS]"


def build_app(tokens: Sequence[str] = ()) -> App:
    """Return the application with Pixlate's commands and those of the plugins.

    Args:
        tokens: The command line, whose ``--engine`` decides which options ``convert`` has.
    """
    app = App(
        name="pixlate",
        help="Image-to-image translation.",
        help_format="plaintext",
        help_formatter=Help(),
        suppress_keyboard_interrupt=False,
        config=(apply_preset, require_sound),
    )
    formatter = Help(
        lambda: headings(ConvertOptions, "Files") | {"engine": "Memory and devices", "json": "Files", "quiet": "Everyday", "verbose": "Everyday"}, "Everyday"
    )
    app.command(_convert(tokens), name="convert", help="Convert a folder of images with a model.", usage=CONVERT_USAGE, help_formatter=formatter)
    app.command("pixlate.cli.sample:sample", name="sample", help="Draw pictures from noise.", usage=SAMPLE_USAGE)
    app.command("pixlate.cli.demo:demo", name="demo", help="Enlarge small pictures of Pixlate's own, and show before and after.")
    app.command("pixlate.cli.data:app", name="data", help="Check folders of training images, and look at what training sees of them.")
    app.command("pixlate.cli.train:app", name="train", help="Train a method on folders of images.")
    app.command("pixlate.cli.runs:runs", name="runs", help="List runs of training with their figures.")
    app.command("pixlate.cli.evaluate:evaluate", name="evaluate", help="Measure how good a model is.", usage=EVALUATE_USAGE)
    app.command("pixlate.cli.compare:compare", name="compare", help="Let people choose between two folders of outputs, blind.", usage=COMPARE_USAGE)
    app.command("pixlate.cli.models:app", name="models", help="List the ready models, show one, and add your own.")
    app.command("pixlate.cli.cache:app", name="cache", help="Remove what Pixlate has made for itself.")
    app.command("pixlate.cli.plugins:plugins", name="plugins", help="List the installed plugins.")
    app.command("pixlate.cli.doctor:doctor", name="doctor", help="Report what this machine has, what is missing and how to fix it.")
    app.command("pixlate.cli.completion:install", name="--install-completion", help="Let the Tab key complete commands, options and names of models.")
    installed().add_commands(app)

    app.meta.suppress_keyboard_interrupt = False  # main says it

    @app.meta.default
    def pixlate(*tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], config: Path | None = None) -> object:
        """Image-to-image translation.

        Parameters
        ----------
        config
            TOML file with options: a table per command, such as [convert] or [train.srgan]. The command line takes precedence.
        """
        if config is not None and not config.is_file():
            raise PixlateError(f"expected a TOML file for --config, but {config} is not there; check its path")
        if config is not None:
            from pixlate.cli.config import Config

            app.config = (Config(config, must_exist=True), apply_preset, require_sound)
        return app(tokens, result_action="return_value", exit_on_error=False, print_error=False)

    return app


def _convert(tokens: Sequence[str]) -> str | Callable[..., int]:
    """Return the command ``convert``: imported when it is called, unless it has options of an engine."""
    name, config = (_given(tokens, option) if "convert" in tokens else "" for option in ("--engine", "--config"))
    if config and not name:
        import tomllib

        with suppress(OSError, ValueError):  # which reading it for the command line will report
            table = tomllib.loads(Path(config).read_text(encoding="utf-8")).get("convert")
            name = str(table.get("engine", "")) if isinstance(table, dict) else ""
    if name in ("", "threads"):
        return "pixlate.cli.convert:convert"
    from pixlate.cli.convert import with_options
    from pixlate.convert import choose_engine

    return with_options(choose_engine(name)[0])


def _given(tokens: Sequence[str], option: str) -> str:
    """Return the last value of an option on the command line, empty where it has none."""
    following = zip(tokens, (*tokens[1:], ""), strict=True)
    return next(reversed([word.partition("=")[2] or after for word, after in following if word.partition("=")[0] == option]), "")


def main() -> int:
    """Run the command line; return the exit code. A user's mistake, and what the system refuses (a path, a full disk), prints one line and gives 2."""
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what Pillow says of damaged metadata, once a file, would fill the screen
    signals = StopOnSignal(_interrupt)
    try:
        with warnings.catch_warnings(), signals:
            warnings.showwarning = _print_warning
            warnings.filterwarnings("ignore", module="PIL")
            words = _with_single_file(sys.argv[1:])
            if "-" in words and "convert" in words and words[0] != COMPLETE:
                from pixlate.cli.pipes import mark_pipes

                words = mark_pipes(words)
            if words[:1] in (["plugins"], ["doctor"]):  # which print it themselves
                warnings.simplefilter("ignore", PluginWarning)
            if not words:
                from pixlate.cli.first import first_steps

                print(first_steps(), flush=True)
                return 0
            result = build_app(words).meta(words, result_action="return_value", exit_on_error=False, print_error=False)
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:  # noqa: BLE001 - _failed raises again what no user can know of
        return _interrupted() if signals.asked else _failed(error)  # what was being imported makes an error of its own of an interruption
    return result if isinstance(result, int) else 0


def _interrupted() -> int:
    print("pixlate: interrupted", file=sys.stderr)
    return INTERRUPTED


def _failed(error: Exception) -> int:
    """Print one line, and return the exit code; what no user can know of is raised again."""
    if isinstance(error, PixlateError | OutOfDeviceMemory):
        remedy = "" if isinstance(error, PixlateError) else "; close other programs, use another device, or a smaller model or picture"
        print(f"pixlate: {printable(str(error))}{remedy}", file=sys.stderr)
        return 2
    if isinstance(error, CycloptsError):
        from pixlate.cli.mistakes import sentence

        print(f"pixlate: {printable(sentence(error))}", file=sys.stderr)
        return 2
    if isinstance(error, OSError):
        return _refused(error)
    raise error


def _with_single_file(tokens: list[str]) -> list[str]:
    """Return the command line with a method's name in place of its file in ``train FILE.py`` and ``data preview FILE.py``, where it has one."""
    after = 2 if tokens[:1] == ["--config"] else 1 if tokens and tokens[0].startswith("--config=") else 0
    for words, module in ((["train"], "pixlate.cli.train"), (["data", "preview"], "pixlate.cli.preview")):
        place = after + len(words)
        if tokens[after:place] == words and len(tokens) > place:
            commands: MethodCommands = import_module(module).commands
            return [*tokens[:place], commands.offer_file(tokens[place]), *tokens[place + 1 :]]
    return tokens


def _refused(error: OSError) -> int:
    """Print what the system has refused, and return the exit code; what no user can know of is raised again."""
    if error.filename is not None:
        print(f"pixlate: {error.filename}: {error.strerror}; check the path, its permissions and the space on its disk", file=sys.stderr)
        return 2
    from pixlate.plugin.place import FULL

    printing = isinstance(error, BrokenPipeError) or error.errno in FULL  # every file that is written has a name, so it is standard output
    if not printing or sys.stdout is None:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed when the interpreter ends
    if isinstance(error, BrokenPipeError):  # the reader of the output, such as head, has closed the pipe
        return 1
    print(f"pixlate: standard output takes no more ({error.strerror}); free some space", file=sys.stderr)
    return 2


def _interrupt() -> None:
    """End a command that has no graceful shutdown of its own."""
    raise KeyboardInterrupt


def _print_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None) -> None:
    print(f"pixlate: {message}", file=sys.stderr)
