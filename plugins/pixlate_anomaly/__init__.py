"""Finds in pictures what a run of training has not learned: ``pixlate anomaly``."""

from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from cyclopts import App

PIXLATE_API = 2


@pixlate.hookimpl
def pixlate_commands(app: "App") -> None:
    """Add ``pixlate anomaly``."""
    app.command("pixlate_anomaly.command:anomaly", name="anomaly", help="Score pictures by what a run has not learned, and show where it is.")
