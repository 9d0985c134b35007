"""Answers images over HTTP (extra ``[serve]``)."""

from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from cyclopts import App

PIXLATE_API = 2
USAGE = "Usage: pixlate serve MODEL... [OPTIONS]"


@pixlate.hookimpl
def pixlate_commands(app: "App") -> None:
    """Add ``pixlate serve``."""
    app.command("pixlate_serve.command:serve", name="serve", help="Serve one or more models over HTTP.", usage=USAGE)
