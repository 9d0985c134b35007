"""Names of outputs by a template such as ``{stem}@2x{suffix}``."""

import re
import string

from pixlate.errors import PixlateError

FIELDS = ("stem", "suffix", "model", "number")
_WORDS = "{stem}, {suffix} (with its dot), {model} and {number}"
_SPEC = re.compile(r"[^{}]{0,8}")


def check_name(template: str) -> None:
    """Refuse a template that names no file, or has a field that there is not.

    Raises:
        PixlateError: With what there is.
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise PixlateError(f"expected --name with fields in braces ({_WORDS}), got {template!r} ({error}); write braces of the name itself twice") from error
    for _, field, spec, conversion in parts:
        if field is not None and (field not in FIELDS or conversion):
            raise PixlateError(f"expected --name with the fields {_WORDS}, got {{{field}{f'!{conversion}' if conversion else ''}}}; use one of these")
        if field == "number" and spec and spec.endswith("c"):  # of the 47th it is a slash
            raise PixlateError(f"expected a format of --name that writes a number in digits, such as {{number:04}}, got {{number:{spec}}}; leave out the c")
        if spec and not (_SPEC.fullmatch(spec) and not re.search(r"\d{4}", spec)):
            raise PixlateError(f"expected a short format after the colon of a field of --name, such as {{number:04}}, got {spec!r}; shorten it")
    try:
        sample = formatted(template, "a", ".png", "m", 1)
    except ValueError as error:
        raise PixlateError(f"expected formats that fit the fields of --name, such as {{number:04}}, got {template!r} ({error}); change them") from error
    if not re.search(r"[^.\s]", sample) or re.search(r"[/\\\0]", sample):
        raise PixlateError(f"expected --name to name a file, without slashes, got {template!r}; write: --name '{{stem}}@2x{{suffix}}'")


def takes_number(template: str) -> bool:
    """Return whether names by a template depend on which files there are."""
    return any(field == "number" for _, field, _, _ in string.Formatter().parse(template))


def formatted(template: str, stem: str, suffix: str, model: str, number: int) -> str:
    """Return the name of an output: of ``stem``, a ``suffix`` with its dot, the ``model``, and its ``number`` in the order of names, from 1."""
    return template.format(stem=stem, suffix=suffix, model=model, number=number)
