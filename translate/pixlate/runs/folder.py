"""What is in a run folder, by name, and its options as they are written."""

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixlate.errors import PixlateError

RUNS = Path("runs")
"""Folder of the runs that are started without ``--out``."""
OPTIONS = "options.toml"
LOG = "log.jsonl"
CHECKPOINTS = "checkpoints"
BEST = "best.json"
"""In the folder of checkpoints: which of them validated best."""
SAMPLES = "samples"
LOCK = ".lock"
STATUS = "status.json"
REPORT = "report.html"


@contextmanager
def stored_options(run: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Context with the method's name, its options, and the whole of ``options.toml`` of a run folder.

    Raises:
        PixlateError: There is none, or it is damaged, as reading it further within the context may show.
    """
    try:
        content = tomllib.loads((run / OPTIONS).read_text(encoding="utf-8"))
        ((method, table),) = content["train"].items()
        yield method, dict(table), content
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PixlateError(f"expected a run folder with {OPTIONS}, but {run} has none that can be read ({reason}); name the folder given to --out") from error


def is_run(folder: str | Path) -> bool:
    """Return whether a folder is one of a run, by its options."""
    if not os.path.isfile(os.path.join(folder, OPTIONS)):  # noqa: PTH113, PTH118 - of a million folders
        return False
    try:
        with stored_options(Path(folder)):
            return True
    except PixlateError:
        return False


def has_checkpoint(run: Path) -> bool:
    """Return whether a run has a finished checkpoint, from which it can be resumed and exported."""
    return any((run / CHECKPOINTS).glob("step-*/state.json"))
