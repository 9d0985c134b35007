"""What is under the transparent parts of a picture: colours of the visible ones around, so that no network lets what was hidden bleed into edges."""

import numpy as np
from numpy.typing import NDArray

from pixlate.images.picture import Pixels, full_scale

STRIP = 256
"""Rows computed at once, so that no more than a small part of a large picture is in floating point."""
Values = NDArray[np.float32]


def with_hidden_filled(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Return pixels (height, width, channels) with colours of the visible surroundings where alpha (height, width) is 0; all others keep theirs.

    The same array where nothing is hidden or nothing is visible. What is filled continues the visible edge, smoothly, and is of one colour
    exactly where the surroundings are: the pull and push of Gortler et al. 1996, "The Lumigraph", section 3.4.
    """
    hidden = alpha <= 0
    if not hidden.any() or hidden.all():
        return pixels
    filled = pixels.copy()
    coarse = _filled(*_halved(np.where(hidden[:, :, None], 0, pixels) if pixels.dtype == np.float32 else pixels, alpha))
    for top in range(0, len(filled), STRIP):
        rows = slice(top, top + STRIP)
        if hidden[rows].any():
            under = _doubled(coarse, top, min(top + STRIP, len(filled)), filled.shape[1])
            found = under[hidden[rows]]
            filled[rows][hidden[rows]] = found if filled.dtype == np.float32 else np.rint(found)
    return filled


def _filled(values: Values, weight: Values) -> Values:
    """Fill values (height, width, channels) where weight (height, width) is 0, from means over ever larger blocks."""
    hidden = weight == 0
    if not hidden.any():
        return values
    under = _doubled(_filled(*_halved(values, weight)), 0, *values.shape[:2])
    return np.where(hidden[:, :, None], under, values)


def _halved(values: Pixels, weight: Pixels) -> tuple[Values, Values]:
    """Return the weighted means of blocks of 2 x 2 and their weights, at most 1."""
    height, width = (-(-side // 2) for side in weight.shape)
    total = np.zeros((height, width), np.float32)
    means = np.zeros((height, width, values.shape[2]), np.float32)
    for place in ((0, 0), (0, 1), (1, 0), (1, 1)):
        part = weight[place[0] :: 2, place[1] :: 2].astype(np.float32) / np.float32(full_scale(weight))
        corner = slice(part.shape[0]), slice(part.shape[1])
        total[corner] += part
        means[corner] += part[:, :, None] * values[place[0] :: 2, place[1] :: 2]
    np.divide(means, total[:, :, None], out=means, where=total[:, :, None] > 0)
    return means, np.minimum(total, 1)


def _doubled(coarse: Values, top: int, bottom: int, width: int) -> Values:
    """Return rows from ``top`` up to ``bottom`` of values (height, width, channels) at twice the size, interpolated bilinearly and cut to a width."""
    tall = _between(coarse, np.arange(top, bottom))
    return np.swapaxes(_between(np.swapaxes(tall, 0, 1), np.arange(width)), 0, 1)


def _between(values: Values, places: NDArray[np.int64]) -> Values:
    """Return rows of twice the size: three quarters of the row each is in, and a quarter of the row it is next to."""
    near = places // 2
    beside = np.clip(near + 2 * (places % 2) - 1, 0, len(values) - 1)
    mixed: Values = values[near] * np.float32(0.75)
    mixed += values[beside] * np.float32(0.25)
    return mixed
