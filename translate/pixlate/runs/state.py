"""How a run goes: written by training as it begins and ends, and read by whoever looks, while it runs too."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from os import scandir
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from pixlate.errors import PixlateError
from pixlate.options.checks import check_types
from pixlate.runs.folder import BEST, CHECKPOINTS, LOCK, LOG, STATUS, has_checkpoint, is_run, stored_options
from pixlate.runs.log import Logged, read_log
from pixlate.runs.samples import find_sheets
from pixlate.system.folder import refuse_link, replacing
from pixlate.system.locking import is_locked

State = Literal["running", "finished", "stopped", "failed"]
SILENT = 1800.0
"""Seconds without a line of the log after which a run is taken for dead, where the file system has no locks that would say so."""


@dataclass(frozen=True)
class Status:
    """What training says of a run in ``status.json``, when it begins and when it ends."""

    state: State
    """Whether it runs, has all its steps, was stopped by a signal, or ended with an error."""
    steps: int
    """Length of the run."""
    message: str = ""
    """The error."""
    device: str = ""
    """Where it was trained last, and in which precision."""
    meanings: Mapping[str, str] = field(default_factory=dict)
    """A sentence for each loss and figure of the log."""
    sampler: bool = False
    """Whether the model takes no image and is for ``pixlate sample``."""

    def save(self, run: Path) -> None:
        """Write it, atomically."""
        refuse_link(run / STATUS)
        with replacing(run / STATUS) as part:
            part.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, run: Path) -> "Status | None":
        """Read it; None where there is none, as in runs of older versions, or where it is damaged."""
        try:
            content = json.loads((run / STATUS).read_text(encoding="utf-8"))
            status = cls(**{item.name: content[item.name] for item in fields(cls) if item.name in content})
            check_types(status)
        except (OSError, ValueError, KeyError, TypeError, PixlateError, RecursionError):
            return None
        return status


@dataclass(frozen=True)
class Best:
    """The validation that was better than all others of a run, whose checkpoint is kept."""

    step: int
    metric: str
    value: float
    higher_is_better: bool = True


@dataclass(frozen=True)
class Run:
    """A run folder, as it was when it was read."""

    path: Path
    method: str
    options: Mapping[str, Any]
    """Every option by name."""
    plugin: str
    """The single file that the method is from, which commands must name; empty where it is installed."""
    state: Literal["running", "finished", "stopped", "failed", "died"]
    """Where it died, the process ended without a word: killed, or the machine was."""
    steps: int | None
    """Its length; None where an older version did not write it down."""
    message: str
    """Why it failed."""
    device: str
    meanings: Mapping[str, str]
    """A sentence for each loss and figure."""
    sampler: bool
    """Whether the model takes no image."""
    logged: Logged
    sheets: Mapping[str, Mapping[int, Path]]
    """Sheets of samples by view and step."""
    resumable: bool
    """Whether it has a checkpoint."""
    best: Best | None
    """None before the first validation, or where nothing is held out."""

    @property
    def step(self) -> int:
        """Steps made, as far as the log says."""
        return self.logged.step

    @property
    def seconds_left(self) -> float | None:
        """Seconds until a run that goes on has all its steps, at its mean speed so far; None where that is not known."""
        rate = self.logged.rate
        if self.state != "running" or self.steps is None or not rate or rate < 0:
            return None
        return max(0, self.steps - self.step) / rate

    def commands(self) -> dict[str, str]:
        """Return the commands that go on from here, by what they do; none where there is no checkpoint yet."""
        if not self.resumable:
            return {}
        run, named = quote(str(self.path.resolve())), f" --plugin {quote(self.plugin)}" if self.plugin else ""
        resume = f"pixlate train --resume {run}"
        longer = f"{resume} --steps {2 * self.steps if self.steps else 'N'}{named}"
        first = {"make it longer": longer} if self.state == "finished" else {} if self.state == "running" else {"resume": resume + named}
        use = (
            {"convert": "pixlate convert photos/ translated/ --model model.onnx"} if not self.sampler else {"sample": "pixlate sample model.onnx drawn/ --grid"}
        )
        return {**first, "export": f"pixlate export {run} model.onnx{named}", **use}


def read_run(path: Path) -> Run:
    """Read a run folder.

    Raises:
        PixlateError: It has no options that can be read.
        OSError: A file of it cannot be read.
    """
    with stored_options(path) as (method, options, content):
        plugin = str(content["plugin"]["path"]) if "plugin" in content else ""
    status, logged = Status.load(path), read_log(path / LOG)
    listed = options.get("steps")
    steps = status.steps if status else listed if type(listed) is int and listed > 0 else None
    state = _state(path, status, logged.step, steps)
    said = status or Status("stopped", 0)
    return Run(
        path,
        method,
        options,
        plugin,
        state,
        steps,
        said.message,
        said.device,
        said.meanings,
        said.sampler,
        logged,
        find_sheets(path),
        has_checkpoint(path),
        _best(path),
    )


def find_runs(folder: Path) -> Iterator[Path]:
    """Yield the run folders under a folder, which may be one itself, in the order of their names.

    Hidden folders and links are passed over, and so is what cannot be listed; a run is not looked into.
    """
    if is_run(folder):
        yield folder
        return
    with suppress(OSError):
        with scandir(folder) as entries:
            inner = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."))
        for path in inner:
            yield from find_runs(Path(path))


def _best(path: Path) -> Best | None:
    """Return what the checkpoints say of the best validation; None where they say nothing, or it is damaged."""
    try:
        best = Best(**json.loads((path / CHECKPOINTS / BEST).read_text(encoding="utf-8")))
        check_types(best)
    except (OSError, ValueError, TypeError, PixlateError, RecursionError):
        return None
    return best


def _state(path: Path, status: Status | None, step: int, steps: int | None) -> Literal["running", "finished", "stopped", "failed", "died"]:
    """Return what a run says of itself, unless it says that it runs, which its lock must confirm."""
    if status is not None and status.state != "running":
        return status.state
    locked = is_locked(path / LOCK)
    if locked is None:  # no locks there: the log has to do
        with suppress(OSError):
            locked = time.time() - (path / LOG).stat().st_mtime < SILENT
    if locked:
        return "running"
    if status is not None:
        return "died"
    return "finished" if steps is not None and step >= steps else "stopped"
