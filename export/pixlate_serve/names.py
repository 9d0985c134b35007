"""Names under which models are served."""

import re
from collections.abc import Sequence
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.inference.models import cards

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a segment of a URL holds without escapes, and no ``:``, which ends the name there."""


def named(words: Sequence[str]) -> dict[str, str]:
    """Return name -> ready model or file for words such as ``upscale-x4``, ``models/my.onnx`` and ``my=models/first.onnx``.

    A ready model has its own name, a file that of its stem, unless another is given.

    Raises:
        PixlateError: No word, a name that cannot stand in a URL, or one name for two models.
    """
    if not words:
        raise PixlateError("expected a model; write: pixlate serve upscale-x4, and see `pixlate models` for others")
    ready = cards()
    models: dict[str, str] = {}
    for word in words:
        name, equals, model = word.partition("=")
        if not equals or Path(word).is_file():
            name, model = (word if word in ready else Path(word).stem), word
        if not _NAME.fullmatch(name):
            raise PixlateError(f"expected a name of letters, digits, `.`, `_` and `-`, at most 100, got {name!r}; write: NAME={model}")
        if name in models:
            raise PixlateError(f"expected a name for each model, got {name} for {models[name]} and {model}; write: other-name={model}")
        models[name] = model
    return models
