"""What TensorBoard shows of a run."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

TENSORBOARD = "tensorboard"
FLUSH_EVERY = 10
"""Seconds after which events are on disk at the latest, once the next is written: those who watch do not wait, and a killed run loses little."""


class Board:
    """Writes events into ``RUN/tensorboard``; ``tensorboard --logdir RUN`` shows them.

    Args:
        run: The run folder.
        done: Steps made before, where a run is resumed; what an interrupted run wrote of later steps is hidden.
    """

    def __init__(self, run: Path, done: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self._writer: Any = SummaryWriter(run / TENSORBOARD, purge_step=done + 1 if done else None, flush_secs=FLUSH_EVERY)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers by name, such as ``losses/pixel``; those that are not finite are left out, since TensorBoard cannot draw them."""
        for name, value in values.items():
            if isfinite(value):
                self._writer.add_scalar(name, value, step)

    def sheet(self, step: int, path: Path) -> None:
        """Write the sheet of samples at ``path``."""
        with Image.open(path) as image:
            self._writer.add_image("samples", np.asarray(image.convert("RGB")), step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is waiting and close the file."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
