"""Meters that receive images one after the other and compute a figure at the end; no PyTorch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pixlate.evaluation.catalogue import Kind
from pixlate.evaluation.distribution import DIRECTIONS, PATCHES, SEED, SIDE, draw_from, patch_distance, patches_of_each
from pixlate.images import Pixels

Compute = Callable[[Pixels, Pixels], float]
"""Takes an output and what it is compared with, RGB uint8 (height, width, 3) of one size."""


@dataclass(frozen=True)
class Figure:
    """What a metric gave."""

    metric: str
    """Its name."""
    value: float
    """The figure; may be infinite."""
    deviation: float | None
    """Standard deviation over the subsets or parts it is the mean of, where it is defined so."""
    higher_is_better: bool
    """Whether a larger number is better."""
    implementation: str
    """Library, version and constants: figures of different implementations do not compare."""


class Meter(Protocol):
    """Collects what a figure needs. All images are RGB uint8 (height, width, 3)."""

    def add_output(self, output: Pixels, source: Pixels, target: Pixels | None) -> None:
        """Take an output with its source and, where there are pairs, its target."""
        ...

    def add_target(self, target: Pixels) -> None:
        """Take a target, whether it has a source or not."""
        ...

    def figures(self) -> list[Figure]:
        """Return what was measured."""
        ...


class MeanMeter:
    """The mean over the images of a number for each output and its target, or its source."""

    def __init__(self, kind: Kind, compute: Compute, implementation: str) -> None:
        self.kind, self.compute, self.implementation = kind, compute, implementation
        self.values: list[float] = []

    def add_output(self, output: Pixels, source: Pixels, target: Pixels | None) -> None:
        """Measure an output."""
        other = source if self.kind.compares == "sources" else target
        assert other is not None
        self.values.append(float(self.compute(output, other)))

    def add_target(self, target: Pixels) -> None:
        """Do nothing: the target came with its output."""

    def figures(self) -> list[Figure]:
        """Return the mean."""
        return [Figure(self.kind.name, float(np.mean(self.values)), None, self.kind.higher_is_better, self.implementation)]


class SlicedWassersteinMeter:
    """The sliced Wasserstein distance of outputs and targets, of which only the patches are kept.

    Args:
        kind: The metric.
        outputs: How many outputs will come.
        targets: How many targets will come.
        version: Of Pixlate.
    """

    def __init__(self, kind: Kind, outputs: int, targets: int, version: str) -> None:
        self.kind = kind
        self.implementation = f"pixlate {version}, {PATCHES} patches of {SIDE}x{SIDE} RGB, {DIRECTIONS} directions"
        self.counts = patches_of_each(outputs), patches_of_each(targets)
        self.patches: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = [], []

    def add_output(self, output: Pixels, source: Pixels, target: Pixels | None) -> None:
        """Keep patches of an output."""
        self._draw(output, self.counts[0], self.patches[0])

    def add_target(self, target: Pixels) -> None:
        """Keep patches of a target."""
        self._draw(target, self.counts[1], self.patches[1])

    def figures(self) -> list[Figure]:
        """Return the distance."""
        outputs, targets = (np.concatenate(drawn) for drawn in self.patches)
        value = patch_distance(outputs, targets)
        return [Figure(self.kind.name, value, None, self.kind.higher_is_better, self.implementation)]

    @staticmethod
    def _draw(image: Pixels, counts: Sequence[int], drawn: list[NDArray[np.float32]]) -> None:
        drawn.append(draw_from(image, counts[len(drawn)], [SEED, len(drawn)]))
