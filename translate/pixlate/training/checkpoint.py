"""Checkpoints: weights as safetensors, state as safetensors and JSON, so that opening one runs no code."""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from pixlate.errors import PixlateError
from pixlate.places.paths import digest_file
from pixlate.runs.folder import BEST, CHECKPOINTS
from pixlate.system.folder import refuse_link, replacing
from pixlate.system.locking import sync

CHECKSUMS = "checksums.json"
STATE = "state.json"
PARTS = ("weights", "average", "optimizers", "pool")
HISTORY = "history"
_STEP = re.compile(r"step-\d{8,}")
_PART = re.compile(r"\.step-\d{8,}\.part")


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to resume after ``step`` updates."""

    step: int
    weights: dict[str, Tensor]
    """State of the GAN."""
    average: dict[str, Tensor]
    """State of its averaged copy, which is what is exported."""
    optimizers: dict[str, dict[str, Any]]
    """State of each player's optimiser, as ``Optimizer.state_dict``."""
    pool: dict[str, Tensor] = field(default_factory=dict)
    """Past images shown to the discriminators."""
    state: dict[str, Any] = field(default_factory=dict)
    """Other state, as JSON: schedule, gradient scaler, monitor, and the options of the run."""
    history: dict[str, Tensor] = field(default_factory=dict)
    """Means of weights over the run, where they are kept; only then there is a file of them."""

    def save(self, folder: Path) -> Path:
        """Write ``folder/step-N`` under a temporary name, then rename it; return the path.

        Raises:
            PixlateError: It cannot be written, as on a full disk; what was there before is intact.
        """
        final = folder / f"step-{self.step:08d}"
        part = folder / f".{final.name}.part"
        refuse_link(folder)
        try:
            for leftover in folder.glob(".step-*.part"):  # of a process that was killed
                if _PART.fullmatch(leftover.name):
                    refuse_link(leftover)
                    shutil.rmtree(leftover)
            part.mkdir(parents=True)
            self._write(part)
            aside = folder / f".{final.name}.old"
            if final.exists():
                final.rename(aside)
            part.rename(final)
            shutil.rmtree(aside, ignore_errors=True)
            if os.name == "posix":  # elsewhere a folder cannot be opened
                _sync(folder)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(part, ignore_errors=True)
            raise PixlateError(
                f"the checkpoint {final} cannot be written ({error}); those before are kept: make room, then `pixlate train --resume {folder.parent}`, or begin again where there is none yet"
            ) from error
        return final

    def _write(self, part: Path) -> None:
        tensors: dict[str, Tensor] = {}
        groups: dict[str, Any] = {}
        for player, state in self.optimizers.items():
            groups[player] = state["param_groups"]
            for index, values in state["state"].items():
                tensors |= {f"{player}/{index}/{name}": value for name, value in values.items()}
        for name, content in (("weights", self.weights), ("average", self.average), ("optimizers", tensors), ("pool", self.pool), (HISTORY, self.history)):
            if content or name != HISTORY:
                save_file(content, part / f"{name}.safetensors")
        (part / STATE).write_text(json.dumps({"step": self.step, "groups": groups, "state": self.state}))
        (part / CHECKSUMS).write_text(json.dumps({path.name: digest_file(path) for path in sorted(part.iterdir())}))
        for path in part.iterdir():
            _sync(path)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read what :meth:`save` wrote.

        Raises:
            PixlateError: A file is missing or damaged.
        """
        try:
            digests = json.loads((path / CHECKSUMS).read_text())
            parts = (*PARTS, *([HISTORY] if f"{HISTORY}.safetensors" in digests else []))
            for name in (STATE, *(f"{part}.safetensors" for part in parts)):
                if digest_file(path / name) != digests[name]:
                    raise ValueError(f"{name} does not have its checksum")
            state = json.loads((path / STATE).read_text())
            optimizers: dict[str, dict[str, Any]] = {player: {"param_groups": groups, "state": {}} for player, groups in state["groups"].items()}
            for key, value in load_file(path / "optimizers.safetensors").items():
                player, index, name = key.split("/")
                optimizers[player]["state"].setdefault(int(index), {})[name] = value
            weights, average, pool, *history = (load_file(path / f"{name}.safetensors") for name in parts if name != "optimizers")
            if type(state["step"]) is not int or state["step"] < 0 or not isinstance(state["state"], dict):
                raise ValueError(f"{STATE} is not that of a checkpoint")
            return cls(state["step"], weights, average, optimizers, pool, state["state"], *history)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
            raise PixlateError(f"expected a checkpoint in {path}, but it cannot be read ({error}); name another one") from error


def _sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk; Windows opens no folders, and waits for files that are open for writing alone."""
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)


def is_checkpoint(path: Path) -> bool:
    """Return whether a folder is one checkpoint, not a run."""
    return (path / STATE).is_file()


def newest(folder: Path) -> Path | None:
    """Return the finished checkpoint of most steps in a folder, or None where there is none."""
    return next(reversed(_finished(folder)), None)


def best(folder: Path) -> Path | None:
    """Return the checkpoint that validated best, or None where none did."""
    try:
        return folder / f"step-{json.loads((folder / BEST).read_text())['step']:08d}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mark_best(folder: Path, best: Mapping[str, Any]) -> None:
    """Note which checkpoint validated best: its ``step``, the ``metric`` and its ``value``."""
    with replacing(folder / BEST) as part:
        part.write_text(json.dumps(best))


def keep_newest(folder: Path, count: int) -> None:
    """Remove all but the ``count`` newest checkpoints and the best one."""
    kept = best(folder)
    for path in _finished(folder)[:-count]:
        if path != kept:
            shutil.rmtree(path)


def load_newest(folder: Path) -> tuple[Checkpoint, list[str]]:
    """Return the newest checkpoint that can be read, and a sentence for each newer one that cannot; those are renamed ``damaged-step-N``.

    Raises:
        PixlateError: There is none.
    """
    damaged: list[str] = []
    for aside in folder.glob(".step-*.old"):  # of a process that was killed while it wrote a checkpoint again
        if not (final := folder / aside.name[1:].removesuffix(".old")).exists():
            aside.rename(final)
        shutil.rmtree(aside, ignore_errors=True)
    for path in reversed(_finished(folder)):
        try:
            return Checkpoint.load(path), [f"{sentence}; the checkpoint before it is used" for sentence in damaged]
        except PixlateError as error:
            aside = path.with_name(f"damaged-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            damaged.append(f"{error.__cause__ or error}: {path} is damaged and was put aside as {aside.name}")
    more = f" but damaged ones ({'; '.join(damaged)})" if damaged else ""
    raise PixlateError(f"expected a checkpoint in {folder}, found none{more}; start the run again with another --out")


def load_checkpoint(path: Path, of_best: bool = False) -> Checkpoint:
    """Return the newest checkpoint of a run, or the one that validated best, or the one in a checkpoint folder; refuse a path without any."""
    if is_checkpoint(path):
        return Checkpoint.load(path)
    checkpoint = (best if of_best else newest)(path / CHECKPOINTS)
    if checkpoint is None and of_best and newest(path / CHECKPOINTS):
        raise PixlateError(f"expected a run that validated on held-out images, but {path} has no best checkpoint; leave out --best")
    if checkpoint is None:
        raise PixlateError(f"expected a run or a checkpoint with weights, got {path}; name the folder given to --out")
    return Checkpoint.load(checkpoint)


def _finished(folder: Path) -> list[Path]:
    """Return the finished checkpoints in a folder, the newest last."""
    found = [path for path in folder.glob("step-*") if _STEP.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    """Return the optimiser's state with its tensors on the CPU; refuse one that keeps something else, which a checkpoint cannot hold."""
    state = optimizer.state_dict()
    kept: dict[int, dict[str, Tensor]] = {}
    for index, values in state["state"].items():
        present = {name: value for name, value in values.items() if value is not None}
        if other := sorted(name for name, value in present.items() if not isinstance(value, Tensor)):
            raise PixlateError(f"expected an optimiser whose state is tensors, got {type(optimizer).__name__} with {', '.join(other)}; use another one")
        kept[index] = {name: value.detach().cpu().contiguous() for name, value in present.items()}
    return {"param_groups": state["param_groups"], "state": kept}
