"""Numbers of the scores: one for each picture, what is usual, the threshold, and how well labels are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

HIGHEST = 0.01
"""Share of the pixels of a map, its highest, whose mean is the score of a picture: an anomaly may be small, and a single pixel may be noise."""
LEAST = 1e-6
"""Least standard deviation of a score."""


def score_of(values: NDArray[np.float32]) -> float:
    """Return the score of a map: the mean of its highest hundredth, at least one pixel."""
    count = max(1, round(HIGHEST * values.size))
    return float(np.partition(values, -count, axis=None)[-count:].mean(dtype=np.float64))


@dataclass(frozen=True)
class Level:
    """What is usual of one score: mean, standard deviation and highest, and ``low``, the mean of all pixels of the maps."""

    mean: float
    deviation: float
    high: float
    low: float

    @classmethod
    def of(cls, scores: Sequence[float], means: Sequence[float]) -> Self:
        """Return what is usual of scores of pictures and of the means of their maps."""
        deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
        return cls(float(np.mean(scores)), max(deviation, LEAST), max(scores), float(np.mean(means)))


def threshold_of(good: Sequence[float], quantile: float, deviations: float) -> float:
    """Return the mean of the scores of good pictures plus so many standard deviations, or where those are 0 a quantile."""
    return float(np.mean(good) + deviations * np.std(good, ddof=1)) if deviations else float(np.quantile(good, quantile))


def area_under_curve(good: Sequence[float], bad: Sequence[float]) -> float:
    """Return the area under the receiver operating characteristic: how often a bad one is above a good one, where equal ones count half (Mann and Whitney 1947)."""
    below, up_to = (np.searchsorted(np.sort(good), bad, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(good)))
