"""Which metrics there are, which of them apply to a set of images, and the meters that compute their figures; no PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.evaluation.folders import ImageSets
from pixlate.evaluation.metrics import DIRECTIONS, PATCHES, SIDE, draw, patch_distance, patches_of_each
from pixlate.images import Pixels
from pixlate.plugin.manager import installed

Compute = Callable[[Pixels, Pixels], float]
"""Takes an output and what it is compared with, RGB uint8 (height, width, 3) of one size."""
NEIGHBOURS = 3
"""Nearest neighbours that span the manifold of precision and recall (Kynkäänniemi et al. 2019)."""
SPLITS = 10
"""Parts the inception score is averaged over (Salimans et al. 2016)."""


@dataclass(frozen=True)
class Kind:
    """A metric before it is computed."""

    name: str
    """Name for ``--metrics``."""
    compares: Literal["pairs", "sources", "sets"]
    """Each output with its target, each output with its source, or all outputs with all targets."""
    higher_is_better: bool = True
    least_side: int = 1
    """Least height and width it can be computed on, in pixels of the output."""
    least_images: int = 1
    """Fewest images of each set."""
    weights: bool = False
    """Whether it needs the weights of a network that Pixlate does not ship."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("psnr", "pairs"),
        Kind("ssim", "pairs", least_side=11),
        Kind("ms-ssim", "pairs", least_side=176),
        Kind("psnr-luma", "pairs"),
        Kind("lpips", "pairs", higher_is_better=False, least_side=31, weights=True),
        Kind("fid", "sets", higher_is_better=False, least_images=2, weights=True),
        Kind("kid", "sets", higher_is_better=False, least_images=2, weights=True),
        Kind("is", "sets", least_images=SPLITS, weights=True),
        Kind("precision", "sets", least_images=NEIGHBOURS + 1, weights=True),
        Kind("recall", "sets", least_images=NEIGHBOURS + 1, weights=True),
        Kind("sliced-wasserstein", "sets", higher_is_better=False, least_side=7),
        Kind("luma-correlation", "sources"),
    )
}


def choose(names: Sequence[str], kinds: Mapping[str, Kind], sets: ImageSets) -> tuple[list[Kind], list[str]]:
    """Return the metrics to compute, and a note for each that was left out: those asked for, or else those that need no weights and fit the images.

    Raises:
        PixlateError: A metric asked for is not known or does not fit the images, or none does.
    """
    if names:
        for name in names:
            if name not in kinds:
                reason = installed().why("metric", name) or f"name them with commas between: --metrics {','.join([*kinds][:2])}"
                raise PixlateError(f"expected metrics among {', '.join(kinds)}, got {name!r}; {reason}")
            if reason := _misfit(kinds[name], sets):
                raise PixlateError(reason)
        return [kinds[name] for name in dict.fromkeys(names)], []
    wanted = [kind for kind in kinds.values() if not kind.weights and (kind.compares == "pairs") == sets.paired]
    reasons = {kind.name: _misfit(kind, sets) for kind in wanted}
    chosen = [kind for kind in wanted if not reasons[kind.name]]
    notes = [reason for reason in reasons.values() if reason]
    if not chosen:
        raise PixlateError(notes[0])
    return chosen, [f"left out: {note}" for note in notes]


def _misfit(kind: Kind, sets: ImageSets) -> str:
    """Return why a metric cannot be computed on a set of images, or nothing."""
    if kind.compares == "pairs" and not sets.paired:
        return f"{kind.name} compares each output with its target, but these sets are unpaired; choose another metric, such as sliced-wasserstein"
    if kind.compares == "sources" and sets.scale != 1:
        return f"{kind.name} compares output and source, but this model enlarges by {sets.scale}; choose another metric"
    least = 2 * sets.scale + 1 if kind.name == "psnr-luma" else kind.least_side
    if sets.smallest_side < least:
        return f"{kind.name} needs images of at least {least} pixels on each side, but {sets.smallest} has {sets.smallest_side}; take small images out"
    count = min(len(sets.sources), len(sets.targets))
    if count < kind.least_images:
        return f"{kind.name} needs at least {kind.least_images} images in each set, got {count}; add images or choose another metric"
    return ""


@dataclass(frozen=True)
class Figure:
    """What a metric gave."""

    metric: str
    value: float
    """May be infinite."""
    deviation: float | None
    """Standard deviation over the subsets or parts it is the mean of, where it is defined so."""
    higher_is_better: bool
    implementation: str
    """Library, version and constants: figures of different implementations do not compare."""


class Meter(Protocol):
    """Collects what a figure needs. All images are RGB uint8 (height, width, 3)."""

    def add_output(self, output: Pixels, source: Pixels, target: Pixels | None) -> None:
        """Take an output with its source and, where there are pairs, its target."""

    def add_target(self, target: Pixels) -> None:
        """Take a target, whether it has a source or not."""

    def figures(self) -> list[Figure]:
        """Return what was measured."""


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
    """The sliced Wasserstein distance of so many outputs and targets, of which only the patches are kept."""

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
        return [Figure(self.kind.name, patch_distance(outputs, targets), None, self.kind.higher_is_better, self.implementation)]

    @staticmethod
    def _draw(image: Pixels, counts: Sequence[int], drawn: list[NDArray[np.float32]]) -> None:
        drawn.append(draw(image, counts[len(drawn)], len(drawn)))
