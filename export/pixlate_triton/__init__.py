"""Writes model repositories for Triton Inference Server."""

from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from cyclopts import App

PIXLATE_API = 2


@pixlate.hookimpl
def pixlate_commands(app: "App") -> None:
    """Add ``pixlate triton``."""
    app.command("pixlate_triton.command:triton", name="triton", help="Write a model repository for Triton Inference Server.")
