"""``pixlate serve``: images in, images out, over HTTP."""

import os
from typing import Annotated

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate_serve.names import named
from pixlate_serve.options import ServeOptions, token_of


def serve(*models: Annotated[str, Parameter(name="MODEL...")], options: Annotated[ServeOptions | None, Parameter(name="*")] = None) -> int:
    """Answer images over HTTP with one model or several.

    POST an image to /v1/models/NAME:translate and the translated one comes back; /docs tells the rest. SIGTERM or Ctrl-C stops the server after
    what it has accepted is answered; a second one stops it at once. Exit codes: 0 stopped in order, 1 --grace-s was too short,
    2 refused before starting, 130 stopped at once.

    Parameters
    ----------
    models
        Ready models (see pixlate models) or model files, each with a name of your choice as NAME=FILE; without one a file's own name.
    """
    chosen = options or ServeOptions()
    names = named(models)
    token = token_of(chosen, os.environ.get("PIXLATE_TOKEN", ""))
    try:
        from pixlate_serve.server import run
    except ImportError as error:
        raise PixlateError(f"serving needs FastAPI, uvicorn and prometheus-client, and {error.name} is missing; run: pip install 'pixlate[serve]'") from error
    return run(names, chosen, token)
