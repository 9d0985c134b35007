"""Modules that need packages of the extra ``train``."""

from importlib import import_module
from typing import Any

from pixlate.errors import PixlateError


def import_for(doing: str, name: str) -> Any:
    """Import a module that needs PyTorch and more.

    Args:
        doing: What it is needed for, as a sentence begins: ``training``.
        name: The module.

    Raises:
        PixlateError: A package is missing.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise PixlateError(f"{doing} needs PyTorch and more, and {error.name} is missing; run: pip install 'pixlate[train]'") from error
