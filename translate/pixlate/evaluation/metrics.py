"""Metrics without PyTorch: of an image against another, as in the tables of super-resolution, and of two unpaired sets, from their pixels alone."""

from collections.abc import Callable, Sequence

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
"""Of patches and directions."""


def luma(pixels: Pixels) -> NDArray[np.float64]:
    """Return the Y of ITU-R BT.601 in [16, 235] for 8-bit RGB (height, width, 3), not rounded (MATLAB's ``rgb2ycbcr``)."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return pixels.astype(np.float64) @ weights + 16


def psnr_luma(output: Pixels, target: Pixels, border: int) -> float:
    """Return the peak signal-to-noise ratio of two 8-bit RGB images on luma, in dB; see :func:`psnr`."""
    return _ratio(output, target, border, luma)


def psnr(output: Pixels, target: Pixels, border: int = 0) -> float:
    """Return the peak signal-to-noise ratio of two 8-bit images (height, width, channels), in dB, ``border`` pixels cropped from each side.

    Equal images give infinity.

    Raises:
        ValueError: The shapes differ, or nothing is left inside the border.
    """
    return _ratio(output, target, border, lambda pixels: pixels.astype(np.float64))


def _ratio(output: Pixels, target: Pixels, border: int, measured: Callable[[Pixels], NDArray[np.float64]]) -> float:
    if output.shape != target.shape:
        raise ValueError(f"expected two images of one shape, got {output.shape} and {target.shape}; crop one of them")
    if min(output.shape[:2]) <= 2 * border:
        raise ValueError(f"expected images of more than {2 * border} pixels on each side for a border of {border}, got {output.shape}; lower the border")
    inner = slice(border, -border or None)
    difference = measured(output)[inner, inner] - measured(target)[inner, inner]
    error = float(np.mean(difference**2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def luma_correlation(output: Pixels, source: Pixels) -> float:
    """Return Pearson's correlation of the luma of two images, -1 to 1: whether a translation without pairs keeps light and dark where they were.

    0 if one of them is constant, since the correlation is then undefined. Both are 8-bit (height, width, channels) of one height and width;
    where there are not 3 channels their mean is taken as luma.

    Raises:
        ValueError: Height or width differ.
    """
    if output.shape[:2] != source.shape[:2]:
        raise ValueError(f"expected two images of one height and width, got {output.shape} and {source.shape}; resize one of them")
    first, second = (luma(image) if image.shape[2] == 3 else image.mean(axis=2) for image in (output, source))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.clip(np.corrcoef(first.ravel(), second.ravel())[0, 1], -1, 1))


def sliced_wasserstein(
    outputs: Sequence[Pixels], targets: Sequence[Pixels], *, patches: int = PATCHES, directions: int = DIRECTIONS, seed: int = SEED
) -> float:
    """Return the sliced Wasserstein-1 distance of two sets of images on random 7x7 patches of values in [0, 1]; 0 for equal sets.

    After Karras et al., "Progressive growing of GANs" (2018), section 5, at a single scale and without normalising the patches, so that
    colours count. Images are (height, width, channels) of any size from 7x7 on; the sets may differ in number. ``patches`` are drawn from each,
    evenly over its images and at random within each, and projected on random ``directions``; the same seed gives the same ones.

    Raises:
        ValueError: A set is empty, an image is smaller than a patch, or the channels differ.
    """
    drawn = []
    for images in (outputs, targets):
        if not images:
            raise ValueError("expected at least one image in each set, got none; fill the set first")
        counts = patches_of_each(len(images), patches)
        drawn.append(np.concatenate([draw(image, count, index, seed) for index, (image, count) in enumerate(zip(images, counts, strict=True))]))
    return patch_distance(drawn[0], drawn[1], directions, seed)


def patches_of_each(images: int, patches: int = PATCHES) -> list[int]:
    """Return how many patches each of a number of images gives, so that they add up to ``patches``."""
    return np.diff(np.arange(images + 1) * patches // images).tolist()  # type: ignore[no-any-return]


def draw(image: Pixels, count: int, index: int, seed: int = SEED) -> NDArray[np.float32]:
    """Return ``count`` flattened patches of the image of that index (height, width, channels) at random places, (count, 49 * channels) in [0, 1]."""
    if image.ndim != 3 or min(image.shape[:2]) < SIDE:
        raise ValueError(f"expected images (height, width, channels) of at least {SIDE}x{SIDE} pixels, got {image.shape}; leave out small ones")
    height, width, _ = image.shape
    random = np.random.default_rng([seed, index])
    tops, lefts = (random.integers(length - SIDE + 1, size=count) for length in (height, width))
    windows = np.lib.stride_tricks.sliding_window_view(image, (SIDE, SIDE), axis=(0, 1))
    patches: NDArray[np.float32] = np.divide(windows[tops, lefts].reshape(count, -1), 255, dtype=np.float32)
    return patches


def patch_distance(first: NDArray[np.float32], second: NDArray[np.float32], directions: int = DIRECTIONS, seed: int = SEED) -> float:
    """Return the Wasserstein-1 distance of two sets of vectors (count, length) of one shape, averaged over random directions of length 1."""
    if first.shape != second.shape:
        raise ValueError(
            f"expected as many patches of as many channels in both sets, got {first.shape} and {second.shape}; convert one set to the other's kind"
        )
    lines = np.random.default_rng(seed).standard_normal((first.shape[1], directions))
    lines = (lines / np.linalg.norm(lines, axis=0)).astype(np.float32)
    return float(np.abs(np.sort(first @ lines, axis=0) - np.sort(second @ lines, axis=0)).mean(dtype=np.float64))
