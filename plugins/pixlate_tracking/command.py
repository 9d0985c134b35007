"""``pixlate track RUN --to NAME``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import pixlate
from pixlate_tracking.sending import send


def track(run: Path, /, *, to: Annotated[tuple[Literal["wandb", "mlflow"], ...], Parameter(negative_iterable=(), consume_multiple=True)]) -> int:
    """Send a run's options, losses, figures and sheets of samples, those that were not sent before; of a run that goes on, finished or was stopped.

    Parameters
    ----------
    run
        The run folder. It keeps what was sent in tracking.json.
    to
        wandb (extra [wandb]; log in with `wandb login`) or mlflow (extra [mlflow]; MLFLOW_TRACKING_URI names the server). The project, or experiment, is that of WANDB_PROJECT or
        MLFLOW_EXPERIMENT_NAME, else pixlate.
    """
    if not to:
        raise pixlate.PixlateError("expected a tracker for --to, got none; write: pixlate track RUN --to wandb")
    for name in dict.fromkeys(to):
        steps, sheets = send(run, name)
        print(f"{name}: sent {steps} step{'' if steps == 1 else 's'} and {sheets} sheet{'' if sheets == 1 else 's'} of samples")
    return 0
