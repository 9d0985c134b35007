"""What Cyclopts refuses, as one sentence in Pixlate's words."""

from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from typing import get_args, get_origin

from cyclopts import Argument, CoercionError, CycloptsError, MissingArgumentError, UnknownCommandError, UnknownOptionError, UnusedCliTokensError
from cyclopts.token import Token

from pixlate.cli.habits import COMMANDS, answer
from pixlate.options.checks import flag, misfit
from pixlate.plugin.engine import Engine
from pixlate.plugin.manager import installed

_UNFIT = object()
"""A value of no type that an option has."""


def sentence(error: CycloptsError) -> str:
    """Return what was expected, what came, and what to do."""
    error.verbose = False
    command = " ".join(error.command_chain or ())
    help_page = f"see `pixlate {command} --help`" if command else "see `pixlate --help`"
    match error:
        case UnknownCommandError():
            text = _unknown_command(error, command)
        case UnknownOptionError():
            text = _unknown_option(error, command, help_page)
        case MissingArgumentError() if error.argument is not None:
            text = _too_few(error, error.argument, command, help_page)
        case UnusedCliTokensError():
            text = f"expected no {' '.join(map(repr, error.unused_tokens or ()))} after `pixlate {command}`; leave it out, or {help_page}"
        case CoercionError() if error.token is not None and error.msg is None and error.target_type is not None:
            text = _unfit(error, error.token, help_page)
        case _:
            text = f"{' '.join(str(error).split()).rstrip('.')}; {help_page}"
    return text


def _too_few(error: MissingArgumentError, argument: Argument, command: str, help_page: str) -> str:
    if error.keyword is None and not argument.tokens:
        name = argument.name if argument.index is None else argument.name.lstrip("-").upper()  # as the usage line of the help has it
        return f"expected {name}, which `pixlate {command}` needs, got none; {help_page}"
    count, given = argument.token_count()[0], " ".join(error.tokens_so_far)
    values = f"{count} values, one after the other," if count > 1 else "a value"
    return f"expected {values} after {error.keyword or argument.name}, got {given or 'none'}; {help_page}"


def _unknown_command(error: UnknownCommandError, command: str) -> str:
    word = (error.unused_tokens or [""])[0]
    known = [name for name in error.app or () if not name.startswith("-")]
    advice = f"write: {COMMANDS[word]}" if word in COMMANDS and not command else _near(word, known) or f"see `pixlate{f' {command}' if command else ''} --help`"
    return f"expected a command ({', '.join(known)}), got {word!r}; {advice}"


def _unknown_option(error: UnknownOptionError, command: str, help_page: str) -> str:
    option = (error.token.keyword or error.token.value).partition("=")[0]
    names = [name for each in error.argument_collection if each.parse for name in each.names]
    words = {word.partition("=")[0] for word in error.root_input_tokens or () if word.startswith("-")}
    others = {word: text for word in sorted(words - {option, *names}) if (text := answer(command.partition(" ")[0], word))}
    engine = next((each.name for each in installed().offered(Engine).values() if option in map(flag, (item.name for item in fields(each.options)))), "")
    if known := answer(command.partition(" ")[0], option):
        advice = known
    elif engine and command == "convert":
        advice = f"it belongs to another engine: add --engine {engine}"
    else:
        advice = _near(option, names) or help_page
    place = f" in {error.token.source}" if error.token.source not in ("", "cli") else ""
    return f"expected an option of `pixlate {command}`, got {option}{place}; {advice}{''.join(f'; for {word} {text}' for word, text in others.items())}"


def _unfit(error: CoercionError, token: Token, help_page: str) -> str:
    name = token.keyword or (error.argument.name if error.argument is not None else "the value")
    place = f" in {token.source}" if token.source not in ("", "cli") else ""
    hint = error.argument.hint if error.argument is not None else error.target_type
    if get_origin(hint) is tuple:
        hint = get_args(hint)[0]
    near = _near(token.value, (choice for choice in get_args(error.target_type) if isinstance(choice, str)))
    return f"expected {name}{place} to be {misfit(_UNFIT, hint)}, got {token.value!r}; {near or help_page}"


def _near(word: str, known: Iterable[str]) -> str:
    bare = {name.lstrip("-"): name for name in known}  # two hyphens in common are no likeness
    return f"did you mean {bare[near[0]]}?" if (near := get_close_matches(word.lstrip("-"), list(bare), 1, 0.65)) else ""
