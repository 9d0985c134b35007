"""Runs of training in Weights & Biases and MLflow; extras ``[wandb]`` and ``[mlflow]``."""

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from cyclopts import App

PIXLATE_API = 2
TRACK = "PIXLATE_TRACK"
"""Environment variable with the names of the trackers that runs are sent to while they go on, with commas between."""
PATIENCE = 120
"""Seconds that training waits at most for a validation to be sent."""


@pixlate.hookimpl
def pixlate_commands(app: "App") -> None:
    """Add ``pixlate track``."""
    app.command("pixlate_tracking.command:track", name="track", help="Send runs of training to Weights & Biases or MLflow.")


@pixlate.hookimpl
def pixlate_epoch_finished(run: Path, step: int, samples: "Sequence[pixlate.Sample]") -> None:
    """Send what is new where PIXLATE_TRACK asks for it, in a process of its own, which can neither end nor question training; what fails is sent with the next."""
    if not (names := os.environ.get(TRACK, "")):
        return
    command = [sys.executable, "-m", "pixlate", "track", str(run), "--to", *names.split(",")]
    try:
        sent = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603 - words of our own
        reason = sent.stderr.strip().rpartition("\n")[2].removeprefix("pixlate: ") if sent.returncode else ""
    except subprocess.TimeoutExpired:
        reason = f"no answer within {PATIENCE} seconds"
    if reason:
        warnings.warn(f"step {step} was not sent to {names}, and is with the next validation: {reason}", stacklevel=1)
