"""Tiles of an image for norms that measure whole images: they share statistics, which reduced copies of the whole image give.

A norm with the statistics of each tile makes each tile its own picture, brighter where it is dark. A reduced copy shows all of the image, but not at
its own scale: edges are closer together in it. Mean and logarithm of variance follow the logarithm of the scale nearly in a straight line, so that two
copies of different sizes tell those of the image itself.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixlate.errors import OutOfDeviceMemory
from pixlate.images.picture import Pixels, full_scale
from pixlate.inference.conditions import Arrays
from pixlate.inference.sizes import Samples
from pixlate.plugin.translator import Measuring, Statistics, Translator

MOST_MEASURED = 1_500_000
"""Pixels of the larger copy, where tiles are smaller: half as many again as an automatic tile of the CPU has. The nearer it is to the image, the less is guessed."""
RATIO = 0.5
"""Sides of the smaller copy over those of the larger one."""
FARTHEST = 2.0
"""Most that is extrapolated, as a multiple of the step from one copy to the other: beyond it the line is no longer straight."""
LEAST_VARIANCE = 1e-5
"""Added to variances before their logarithm is taken, as norms add it before they divide."""
_STRIP = 256


def measures(translator: Translator) -> bool:
    """Return whether a model's tiles can share statistics: its norms measure each image, and its runtime lets them be given."""
    return not translator.spec.tiling_exact and isinstance(translator, Measuring) and translator.measures


def measured_pixels(pixels: int, most: int) -> int:
    """Return how many pixels are measured of an image of so many."""
    return pixels if pixels <= most else int(most * (1 + RATIO**2))


def shared(translator: Translator, image: Pixels, most: int, conditions: Arrays, before_each: Callable[[], None]) -> Translator:
    """Return a translator for the tiles of one image (height, width, channels), whose norms have the statistics of all of it.

    Args:
        translator: One that :func:`measures`.
        image: All of it.
        most: Pixels that run at once; fewer are measured where they do not fit into memory.
        conditions: Inputs besides the image, without a batch axis; masks are reduced with it.
        before_each: Called before each run of the model.

    Raises:
        OutOfDeviceMemory: Not even a small copy fits.
    """
    assert isinstance(translator, Measuring)
    height, width = image.shape[:2]

    def measured(share: float) -> Statistics:
        before_each()
        rows, columns = (max(1, round(side * share)) for side in (height, width))
        given = {name: value if value.shape[:2] != (height, width) else _nearest(value, rows, columns) for name, value in conditions.items()}
        return translator.statistics(reduced(image, rows, columns)[None], **{name: value[None] for name, value in given.items()})

    if not translator.measures:
        return translator
    share = min(1.0, math.sqrt(most / (height * width)))
    try:
        larger = measured(share)
        if not larger:
            return translator
        if share == 1:
            return translator.with_statistics(larger)
        smaller = measured(share * RATIO)
    except OutOfDeviceMemory:
        if most < _STRIP * _STRIP:
            raise
        return shared(translator, image, most // 2, conditions, before_each)
    steps = min(math.log(share) / math.log(RATIO), FARTHEST)
    return translator.with_statistics([_extrapolated(one, other, steps) for one, other in zip(larger, smaller, strict=True)])


def _extrapolated(larger: tuple[NDArray[np.float32], ...], smaller: tuple[NDArray[np.float32], ...], steps: float) -> tuple[NDArray[np.float32], ...]:
    """Return mean and variance so many steps beyond those of the larger copy, away from those of the smaller one; what else is measured hardly depends on the size."""
    if len(larger) == 1:
        return larger
    (mean, variance), (mean_smaller, variance_smaller) = larger, smaller
    logarithm, logarithm_smaller = np.log(variance + LEAST_VARIANCE), np.log(variance_smaller + LEAST_VARIANCE)
    found = np.exp(logarithm + steps * (logarithm - logarithm_smaller)) - LEAST_VARIANCE
    return mean + np.float32(steps) * (mean - mean_smaller), np.maximum(found, 0).astype(np.float32)


def reduced(image: Pixels, height: int, width: int) -> Pixels:
    """Return whole pixels (height, width, channels) at a smaller size, sharp: by means of blocks to at most twice the size, then by Lanczos' filter."""
    block = min(image.shape[0] // height, image.shape[1] // width) // 2
    if block > 1:
        rows, columns = (side // block for side in image.shape[:2])
        means = np.empty((rows, columns, image.shape[2]), np.float32)
        for top in range(0, rows, _STRIP):
            strip = image[top * block : min(top + _STRIP, rows) * block, : columns * block]
            means[top : top + _STRIP] = strip.reshape(-1, block, columns, block, image.shape[2]).mean(axis=(1, 3), dtype=np.float32)
    elif image.shape[:2] == (height, width):
        return image
    else:
        means = image.astype(np.float32)
    planes = [Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), Image.Resampling.LANCZOS) for plane in np.moveaxis(means, 2, 0)]
    found: Pixels = np.clip(np.rint(np.stack([np.asarray(plane) for plane in planes], axis=2)), 0, full_scale(image)).astype(image.dtype)
    return found


def _nearest(mask: NDArray[Samples], height: int, width: int) -> NDArray[Samples]:
    rows, columns = (np.arange(side) * real // side for side, real in ((height, mask.shape[0]), (width, mask.shape[1])))
    chosen: NDArray[Samples] = mask[rows][:, columns]
    return chosen
