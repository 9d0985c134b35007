"""Weights & Biases."""

import os
import secrets

import pixlate
from pixlate.system.extras import import_for
from pixlate_tracking.news import News


def send_to_wandb(news: News) -> str:
    """Add what is new to a run of Weights & Biases, or begin one; return its id. WANDB_MODE=offline writes it beside the run folder, for `wandb sync`.

    Raises:
        PixlateError: The package is missing, nobody is logged in, or it cannot be reached.
    """
    wandb = import_for("sending runs to Weights & Biases", "wandb", "wandb")
    own = news.id or secrets.token_hex(4)
    quiet = wandb.Settings(silent=True, console="off", init_timeout=60)
    try:
        with wandb.init(
            project=os.environ.get("WANDB_PROJECT", "pixlate"),
            name=news.name,
            id=own,
            resume="allow",
            dir=news.run.path,
            settings=quiet,
            config={"method": news.run.method, **news.run.options},
        ) as run:
            for step in sorted({*news.lines, *news.sheets}):
                sheets = {view: wandb.Image(str(path)) for view, path in news.sheets.get(step, {}).items()}
                run.log({**news.lines.get(step, {}), **sheets}, step=step)
    except wandb.Error as error:
        raise pixlate.PixlateError(
            f"Weights & Biases did not take the run ({error}); run `wandb login`, or set WANDB_MODE=offline and send it with `wandb sync`"
        ) from error
    return own
