"""``pixlate serve``: images in, images out, over HTTP."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pixlate.cli.completion import models as completed
from pixlate.errors import PixlateError
from pixlate.inference.ready import named as named_model
from pixlate.system.extras import import_for
from pixlate.system.memory import return_freed_memory
from pixlate_serve.options import ServeOptions, token_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a segment of a URL holds without escapes, and no ``:``, which ends the name there."""


def serve(*models: Annotated[str, Parameter(name="MODEL...", completer=completed)], options: Annotated[ServeOptions | None, Parameter(name="*")] = None) -> int:
    """Serve one or more models over HTTP.

    POST an image to /v1/models/NAME:translate and the translated one comes back; /docs describes the rest. SIGTERM or Ctrl-C stops the server after
    what it has accepted is answered; a second one stops it at once. Exit codes: 0 shut down cleanly, 1 --grace-s was too short,
    2 refused before starting, 130 stopped at once.

    Parameters
    ----------
    models
        Ready models (see pixlate models) or model files, each with a name of your choice as NAME=FILE; without one a file's own name.
    """
    chosen = options or ServeOptions()
    names = named(models)
    token = token_of(chosen, os.environ.get("PIXLATE_TOKEN", ""))
    return_freed_memory()
    code: int = import_for("serving", "pixlate_serve.server", "serve").run(names, chosen, token)
    return code


def named(words: Sequence[str]) -> dict[str, str]:
    """Return name -> ready model or file for words such as ``upscale-x4``, ``models/my.onnx`` and ``my=models/first.onnx``.

    A ready model has its own name, a file that of its stem, unless another is given.

    Raises:
        PixlateError: No model, a name that is not valid in a URL, or one name for two models.
    """
    if not words:
        raise PixlateError("expected a model; write: pixlate serve upscale-x4, and see `pixlate models` for others")
    models: dict[str, str] = {}
    for word in words:
        name, equals, model = word.partition("=")
        if not equals or Path(word).is_file():
            name, model = (word if named_model(word) is not None else Path(word).stem), word
        if not _NAME.fullmatch(name):
            raise PixlateError(f"expected a name of letters, digits, `.`, `_` and `-`, at most 100, got {name!r}; write: NAME={model}")
        if name in models:
            raise PixlateError(f"expected a name for each model, got {name} for {models[name]} and {model}; write: other-name={model}")
        models[name] = model
    return models
