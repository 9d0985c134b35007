"""A page in the browser for people who do not type (extra ``[web]``)."""

from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from cyclopts import App

PIXLATE_API = 2
USAGE = "Usage: pixlate web [FOLDER...] [OPTIONS]"


@pixlate.hookimpl
def pixlate_commands(app: "App") -> None:
    """Add ``pixlate web``."""
    app.command(
        "pixlate_web.command:web",
        name="web",
        help="Open a page to translate pictures and folders, to draw, and to follow training, in the browser.",
        usage=USAGE,
    )
