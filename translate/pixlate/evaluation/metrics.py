"""Metrics of one image against another: those of the super-resolution tables, and how much of a picture's structure a translation keeps."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pixlate.images import Pixels


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

    0 if one of them is constant, since the correlation is then undefined.

    Args:
        output: 8-bit (height, width, channels): RGB; where there are not 3 channels their mean is taken as luma.
        source: Of the same height and width; the channels may differ.

    Raises:
        ValueError: Height or width differ.
    """
    if output.shape[:2] != source.shape[:2]:
        raise ValueError(f"expected two images of one height and width, got {output.shape} and {source.shape}; resize one of them")
    first, second = (luma(image) if image.shape[2] == 3 else image.mean(axis=2) for image in (output, source))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.clip(np.corrcoef(first.ravel(), second.ravel())[0, 1], -1, 1))
