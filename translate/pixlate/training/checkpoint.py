"""Checkpoints: weights as safetensors, state as safetensors and JSON, so that opening one runs no code."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from pixlate.errors import PixlateError


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to go on after ``step`` updates."""

    step: int
    """Updates made."""
    weights: dict[str, Tensor]
    """State of the GAN."""
    average: dict[str, Tensor]
    """State of its averaged copy, which is what is exported."""
    optimizers: dict[str, dict[str, Any]]
    """State of each player's optimiser, as ``Optimizer.state_dict``."""

    def save(self, folder: Path) -> Path:
        """Write ``folder/step-N`` under a temporary name, then rename it; return the path."""
        final = folder / f"step-{self.step:08d}"
        part = folder / f".{final.name}.part"
        for leftover in folder.glob(".step-*.part"):  # of a process that was killed
            shutil.rmtree(leftover)
        part.mkdir(parents=True)
        save_file(self.weights, part / "weights.safetensors")
        save_file(self.average, part / "average.safetensors")
        tensors: dict[str, Tensor] = {}
        groups: dict[str, Any] = {}
        for player, state in self.optimizers.items():
            groups[player] = state["param_groups"]
            for index, values in state["state"].items():
                tensors |= {f"{player}/{index}/{name}": value for name, value in values.items()}
        save_file(tensors, part / "optimizers.safetensors")
        (part / "state.json").write_text(json.dumps({"step": self.step, "groups": groups}))
        for path in part.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
        return final

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read what :meth:`save` wrote.

        Raises:
            PixlateError: A file is missing or damaged.
        """
        try:
            state = json.loads((path / "state.json").read_text())
            optimizers: dict[str, dict[str, Any]] = {player: {"param_groups": groups, "state": {}} for player, groups in state["groups"].items()}
            for key, value in load_file(path / "optimizers.safetensors").items():
                player, index, name = key.split("/")
                optimizers[player]["state"].setdefault(int(index), {})[name] = value
            return cls(state["step"], load_file(path / "weights.safetensors"), load_file(path / "average.safetensors"), optimizers)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise PixlateError(f"expected a checkpoint in {path}, but it cannot be read ({error}); remove that folder to use the one before") from error


def newest(folder: Path) -> Path | None:
    """Return the finished checkpoint of most steps in a folder, or None where there is none."""
    return max(folder.glob("step-*"), default=None)


def keep_newest(folder: Path, count: int) -> None:
    """Remove all but the ``count`` newest checkpoints."""
    for path in sorted(folder.glob("step-*"))[:-count]:
        shutil.rmtree(path)


def optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    """Return the optimiser's state with its tensors on the CPU."""
    state = optimizer.state_dict()
    return {
        "param_groups": state["param_groups"],
        "state": {index: {name: value.detach().cpu().contiguous() for name, value in values.items()} for index, values in state["state"].items()},
    }
