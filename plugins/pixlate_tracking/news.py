"""What a tracker gets of a run."""

from dataclasses import dataclass
from pathlib import Path

from pixlate.runs.state import Run


@dataclass(frozen=True)
class News:
    """What a tracker does not have of a run."""

    run: Run
    name: str
    id: str
    """By which the tracker knows the run; empty for a new one."""
    lines: dict[int, dict[str, float]]
    """Losses and figures by step, in order."""
    sheets: dict[int, dict[str, Path]]
    """Sheets of samples by step and by view."""
    finished: bool
