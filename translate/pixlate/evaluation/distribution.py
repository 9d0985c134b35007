"""The distance of two unpaired sets of images, from their pixels alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixlate.images import Pixels

SIDE = 7
"""Height and width of a patch, in pixels."""
PATCHES = 16_384
"""Patches drawn from each set."""
DIRECTIONS = 128
"""Lines the patches are projected on."""
SEED = 2018


def sliced_wasserstein(
    outputs: Sequence[Pixels], targets: Sequence[Pixels], *, patches: int = PATCHES, directions: int = DIRECTIONS, seed: int = SEED
) -> float:
    """Return the sliced Wasserstein-1 distance of two sets of images on random 7x7 patches of values in [0, 1]; 0 for equal sets.

    After Karras et al., "Progressive growing of GANs" (2018), section 5, at a single scale and without normalising the patches, so that
    colours count. The same seed gives the same patches and directions.

    Args:
        outputs: Images (height, width, channels) of any size from 7x7 on.
        targets: The other set; the number of images may differ.
        patches: Patches drawn from each set, evenly over its images and at random within each.
        directions: Random lines to project on.
        seed: Of patches and directions.

    Raises:
        ValueError: A set is empty, an image is smaller than a patch, or the channels differ.
    """
    return patch_distance(draw(outputs, patches, seed), draw(targets, patches, seed), directions, seed)


def draw(images: Sequence[Pixels], patches: int = PATCHES, seed: int = SEED) -> NDArray[np.float32]:
    """Return ``patches`` flattened patches of a set of images, (patches, 49 * channels) in [0, 1]."""
    if not images:
        raise ValueError("expected at least one image in each set, got none; fill the set first")
    counts = patches_of_each(len(images), patches)
    return np.concatenate([draw_from(image, count, [seed, index]) for index, (image, count) in enumerate(zip(images, counts, strict=True))])


def patches_of_each(images: int, patches: int = PATCHES) -> list[int]:
    """Return how many patches each of a number of images gives, so that they add up to ``patches``."""
    return np.diff(np.arange(images + 1) * patches // images).tolist()  # type: ignore[no-any-return]


def draw_from(image: Pixels, count: int, seed: int | Sequence[int]) -> NDArray[np.float32]:
    """Return ``count`` flattened patches of one image (height, width, channels) at random places, (count, 49 * channels) in [0, 1]."""
    if image.ndim != 3 or min(image.shape[:2]) < SIDE:
        raise ValueError(f"expected images (height, width, channels) of at least {SIDE}x{SIDE} pixels, got {image.shape}; leave out small ones")
    height, width, _ = image.shape
    random = np.random.default_rng(seed)
    tops, lefts = (random.integers(length - SIDE + 1, size=count) for length in (height, width))
    windows = np.lib.stride_tricks.sliding_window_view(image, (SIDE, SIDE), axis=(0, 1))
    patches: NDArray[np.float32] = np.divide(windows[tops, lefts].reshape(count, -1), 255, dtype=np.float32)
    return patches


def patch_distance(first: NDArray[np.float32], second: NDArray[np.float32], directions: int = DIRECTIONS, seed: int = SEED) -> float:
    """Return the Wasserstein-1 distance of two sets of vectors (count, length), averaged over random directions of length 1.

    Raises:
        ValueError: The shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(
            f"expected as many patches of as many channels in both sets, got {first.shape} and {second.shape}; convert one set to the other's kind"
        )
    lines = np.random.default_rng(seed).standard_normal((first.shape[1], directions))
    lines = (lines / np.linalg.norm(lines, axis=0)).astype(np.float32)
    return float(np.abs(np.sort(first @ lines, axis=0) - np.sort(second @ lines, axis=0)).mean(dtype=np.float64))
