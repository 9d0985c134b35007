"""The order of images: every epoch in an order of its own, fixed by the seed. Reads no file and has no state."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_ORDER, _SAMPLE = 0, 1
"""Keep the two kinds of random numbers of one seed apart."""


def epoch_indices(images: int, start: int, count: int, seed: int) -> list[int]:
    """Return which image each of the samples ``start`` to ``start + count - 1`` of a run is: each epoch is a permutation."""
    return [int(_order(images, number // images, seed)[number % images]) for number in range(start, start + count)]


def sample_seed(number: int, seed: int) -> int:
    """Return the seed, below 2**32, of one sample of a run."""
    return int(np.random.SeedSequence((seed, _SAMPLE, number)).generate_state(1)[0])


@lru_cache(maxsize=4)
def _order(images: int, epoch: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(images)
