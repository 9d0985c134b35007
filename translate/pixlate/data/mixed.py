"""Several sets of training images in one run, each drawn as often as its weight says."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pixlate.plugin.data import Batch, Draw, TrainingData

_ORDER, _OWN = 31, 32
"""Parts of seeds: of the order of the sets, and of the samples of each."""


class MixedData:
    """Several sets as one. An epoch has about as many samples as all of them have images, and draws each in proportion to its weight, at least once.

    Args:
        sets: Of one kind and with the same options; indices of a draw begin with the number of its set.
        weights: Of each set, greater than 0.
    """

    def __init__(self, sets: Sequence[TrainingData], weights: Sequence[float]) -> None:
        self.sets = sets
        self.validated = all(each.validated for each in sets)
        images = sum(each.images for each in sets)
        exact = np.array(weights) / sum(weights) * images
        shares = np.maximum(1, np.floor(exact)).astype(int)
        shares[np.argsort(shares - exact, kind="stable")[: max(0, images - int(shares.sum()))]] += 1
        self.shares: tuple[int, ...] = tuple(shares.tolist())
        """Samples of each set in an epoch."""
        self.images = sum(self.shares)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose samples: an epoch mixes the sets in an order of its own, and each set goes on in its own epochs."""
        draws = []
        for number in range(start, start + count):
            epoch, place = divmod(number, self.images)
            order, places = _order(self.shares, epoch, seed)
            index = int(order[place])
            own = int(np.random.SeedSequence((seed, _OWN, index)).generate_state(1)[0])
            (drawn,) = self.sets[index].draw(epoch * self.shares[index] + int(places[place]), 1, own)
            draws.append(replace(drawn, indices=(index, *drawn.indices)))
        return draws

    def load(self, draw: Draw, side: int) -> Batch:
        """Read one sample of its set."""
        index, *indices = draw.indices
        return self.sets[index].load(replace(draw, indices=tuple(indices)), side)

    def finish(self, batch: Batch) -> Batch:
        """Process a batch as any of the sets does, which have the same options."""
        return self.sets[0].finish(batch)

    def validation(self) -> Iterator[Batch]:
        """Yield the held-out images of every set."""
        return chain.from_iterable(each.validation() for each in self.sets)


@lru_cache(maxsize=4)
def _order(shares: tuple[int, ...], epoch: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the set of each sample of an epoch, and how many samples of that set come before it."""
    order = np.random.default_rng((seed, _ORDER, epoch)).permutation(np.repeat(np.arange(len(shares)), shares))
    places = np.empty_like(order)
    for index, share in enumerate(shares):
        places[order == index] = np.arange(share)
    return order, places
