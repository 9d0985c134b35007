"""Checks of options dataclasses: values of the wrong type, out of range, or set without effect are refused; and options that are added or removed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import MISSING, field, fields, is_dataclass
from math import inf
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pixlate.errors import PixlateError

_BEFORE = "before"
"""Key of a field's metadata."""
_MANY: dict[Any, str] = {int: " of numbers", float: " of numbers", str: " of texts"}
_continued: ContextVar[bool] = ContextVar("continued", default=False)


def since(default: Any, before: Any) -> Any:
    """Return a field of an options dataclass that older runs, whose folders do not name it, do not have: they continue with the value ``before``."""
    return field(default=default, metadata={_BEFORE: before})


def before(owner: type[Any]) -> dict[str, Any]:
    """Return the fields made by :func:`since`, with the values of runs that do not know them."""
    return {item.name: item.metadata[_BEFORE] for item in fields(owner) if _BEFORE in item.metadata}


@contextmanager
def continued() -> Iterator[None]:
    """Context in which the options of older runs are made: fields made by :func:`since` may have the earlier value where nothing reads it."""
    token = _continued.set(True)
    try:
        yield
    finally:
        _continued.reset(token)


def gone(owner: type[Any]) -> Mapping[str, str]:
    """Return the options that an options class no longer has, and a note for runs that still name them: its class attribute ``GONE``."""
    notes: Mapping[str, str] = getattr(owner, "GONE", {})
    return notes


def check_types(options: Any) -> None:
    """Refuse values of an options dataclass that are not of their field's type, as a TOML file may hold them."""
    hints = get_type_hints(type(options))
    for item in fields(options):
        value = getattr(options, item.name)
        if wanted := misfit(value, hints[item.name]):
            raise PixlateError(f"expected {flag(item.name)} to be {wanted}, got {value!r}; see --help")


def check_offer(value: Any) -> None:
    """Refuse a value that a plugin offers where a field is not of its type."""
    for item in fields(value):
        given, hint = getattr(value, item.name), Callable if str(item.type).startswith("Callable") else item.type
        wanted = "" if given is None and str(item.type).endswith("None") else misfit(given, hint)
        if wanted:
            raise PixlateError(f"{type(value).__name__} {value.name!r}: expected {item.name} to be {wanted}, got {given!r}; change it in the plugin")


def check_class(offer: str, owner: Any, taken: dict[str, str]) -> None:
    """Refuse the options class of an offer, such as ``method 'srgan'``, that the command line could not show.

    ``taken`` has the names of the other options of the command, with what has them; the fields are added.
    """
    if not (isinstance(owner, type) and is_dataclass(owner)):
        raise PixlateError(f"{offer}: expected options that are a dataclass, got {owner!r}; write @dataclass(frozen=True) over it")
    for item in fields(owner):
        option = f"{offer}: the option {item.name!r} of {owner.__name__}"
        if item.name in taken:
            raise PixlateError(f"{option} is also one of {taken[item.name]}, and both are written the same on the command line; rename it in the plugin")
        if item.default is MISSING and item.default_factory is MISSING:
            raise PixlateError(f"{option} has no default; give it one in the plugin")
        taken[item.name] = owner.__name__
    try:
        get_type_hints(owner)
    except Exception as error:
        raise PixlateError(f"{offer}: the types of the options {owner.__name__} cannot be resolved ({error}); import or define them in its module") from error
    try:
        owner()
    except Exception as error:
        raise PixlateError(f"{offer}: the defaults of {owner.__name__} are refused ({error}); change them in the plugin") from error


def check_least(options: Any, **least: float) -> None:
    """Refuse options below what is given for each; words such as ``auto`` are no numbers."""
    for name, smallest in least.items():
        if not isinstance(value := getattr(options, name), str) and value < smallest:
            raise PixlateError(f"expected {flag(name)} of at least {smallest}, got {value}; raise it")


def check_most(options: Any, **most: float) -> None:
    """Refuse options above what is given for each; words such as ``auto`` are no numbers."""
    for name, greatest in most.items():
        if not isinstance(value := getattr(options, name), str) and value > greatest:
            raise PixlateError(f"expected {flag(name)} of at most {greatest}, got {value}; lower it")


def check_used(options: Any, used: bool, where: str, *names: str) -> None:
    """Refuse fields that were set although nothing would read them; one that has its class's default counts as not set.

    ``used`` says whether they are read, ``where`` what reads them, such as ``--generator unet``.
    """
    owner = type(options)
    earlier = before(owner) if _continued.get() else {}
    for name in () if used else names:
        value, default = getattr(options, name), getattr(owner, name)
        if value not in (default, earlier.get(name, default)):
            raise PixlateError(f"expected {flag(name)} with {where} only, got {value!r} without it; leave one of them out, or add {where}")


def flag(name: str) -> str:
    """Return an option as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def misfit(value: Any, hint: Any) -> str:
    """Return what a type allows, in words, where a value is not of it; nothing where it is."""
    if isinstance(value, float) and not abs(value) < inf and _fits(0.0, hint):
        return "a finite number"
    return "" if _fits(value, hint) else f"{_kind(hint)}{', in Python as a tuple' if isinstance(value, list) else ''}"


def _fits(value: Any, hint: Any) -> bool:
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Literal:
        return any(value == choice and type(value) is type(choice) for choice in inner)
    if kind in (Union, UnionType):
        return any(_fits(value, choice) for choice in inner)
    if kind is tuple:
        hints = inner[:1] * len(value) if isinstance(value, tuple) and inner[1:] == (...,) else inner
        return isinstance(value, tuple) and len(value) == len(hints) and all(map(_fits, value, hints))
    if kind in (Callable, Mapping):
        return isinstance(value, kind) and (kind is Callable or all(_fits(item, inner[1]) for item in value.values()))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < inf
    whole = hint is int and isinstance(value, bool)
    return not whole and (hint is Any or not isinstance(hint, type) or isinstance(value, hint))


def _kind(hint: Any) -> str:
    """Say a type in words."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if kind in (Union, UnionType):
        return " or ".join(map(_kind, inner))
    if kind is tuple:
        return f"a list{_MANY.get(inner[0], '')}" if inner[1:] == (...,) else f"{len(inner)} numbers"
    words = {
        int: "a whole number",
        float: "a number",
        str: "a text",
        bool: "true or false",
        NoneType: "nothing",
        Callable: "a function",
        Path: "a path (in Python a pathlib.Path)",
    }
    return words.get(kind or hint, getattr(hint, "__name__", str(hint)))


def check_hed_layers(layers: tuple[str, ...]) -> None:
    """Refuse names that are no layers of HED's trunk, without PyTorch, and none at all.

    Raises:
        PixlateError: There is no such layer, or one is named twice.
    """
    names = [f"conv{stage}_{number}" for stage, depth in enumerate((2, 2, 3, 3, 3), 1) for number in range(1, depth + 1)]
    if not layers or not set(layers) <= set(names) or len(set(layers)) < len(layers):
        raise PixlateError(f"expected --perceptual-layers among {', '.join(names)}, each once, got {' '.join(layers) or 'none'}; change them")
