"""What of a run a tracker does not have yet, and how far it got."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pixlate
from pixlate.runs.samples import MAIN
from pixlate.runs.state import read_run
from pixlate.system.folder import refuse_link, replacing
from pixlate_tracking.mlflow import send_to_mlflow
from pixlate_tracking.news import News
from pixlate_tracking.wandb import send_to_wandb

SENT = "tracking.json"
"""In a run folder: under which id each tracker has it, and the last step that was sent."""
TRACKERS: dict[str, Callable[[News], str]] = {"wandb": send_to_wandb, "mlflow": send_to_mlflow}


def send(path: Path, name: str) -> tuple[int, int]:
    """Send what is new of a run folder to a tracker; return how many steps and sheets that were.

    Raises:
        PixlateError: There is no run, the tracker's package is missing, or it cannot be reached; nothing is noted as sent.
    """
    run = read_run(path)
    state = _state(path)
    known = state.get(name, {})
    after = int(known.get("step", -1))
    lines: dict[int, dict[str, float]] = {}
    for kind in ("losses", "validation"):
        for step, values in run.logged.lines[kind].items():
            if step > after:
                lines.setdefault(step, {}).update({f"{kind}/{key}": value for key, value in values.items()})
    sheets: dict[int, dict[str, Path]] = {}
    for view, found in run.sheets.items():
        for step, sheet in found.items():
            if after < step:
                sheets.setdefault(step, {})["samples" if view == MAIN else f"samples/{view}"] = sheet
    news = News(run, path.resolve().name, str(known.get("id", "")), dict(sorted(lines.items())), dict(sorted(sheets.items())), run.state == "finished")
    own = TRACKERS[name](news)
    state[name] = {"id": own, "step": max([after, *lines, *sheets])}
    with replacing(path / SENT) as part:
        part.write_text(json.dumps(state), encoding="utf-8")
    return len(lines), sum(map(len, sheets.values()))


def _state(path: Path) -> dict[str, Any]:
    refuse_link(path / SENT)
    try:
        state = json.loads((path / SENT).read_text(encoding="utf-8")) if (path / SENT).exists() else {}
        if not all(isinstance(each["id"], str) and isinstance(each["step"], int) for each in state.values()):
            raise ValueError("other values than ids and steps")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise pixlate.PixlateError(f"{path / SENT} is damaged ({error}); remove it to send the run again, as a new one") from error
    return dict(state)
