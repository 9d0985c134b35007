"""Weights of losses, and rates, that change over a run."""

import math


def half_cosine(progress: float, first: float, last: float) -> float:
    """Return what goes from ``first`` to ``last`` by half a cosine while ``progress`` goes from 0 to 1."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
