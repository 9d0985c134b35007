"""Pixel metrics of super-resolution, as the benchmark tables compute them."""

import numpy as np
from numpy.typing import NDArray


def luma(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the Y of ITU-R BT.601 in [16, 235] for 8-bit RGB (height, width, 3), not rounded (MATLAB's ``rgb2ycbcr``)."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return pixels.astype(np.float64) @ weights + 16


def psnr_luma(output: NDArray[np.uint8], target: NDArray[np.uint8], border: int) -> float:
    """Return the peak signal-to-noise ratio of two 8-bit RGB images on luma, in dB, ``border`` pixels cropped from each side.

    Equal images give infinity.

    Raises:
        ValueError: The shapes differ, or nothing is left inside the border.
    """
    if output.shape != target.shape:
        raise ValueError(f"expected two images of one shape, got {output.shape} and {target.shape}; crop one of them")
    if min(output.shape[:2]) <= 2 * border:
        raise ValueError(f"expected images of more than {2 * border} pixels on each side for a border of {border}, got {output.shape}; lower the border")
    inner = slice(border, -border or None)
    difference = luma(output)[inner, inner] - luma(target)[inner, inner]
    error = float(np.mean(difference**2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))
