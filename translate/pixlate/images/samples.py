"""Arithmetic on samples: orientation, depth and transparency."""

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels

_MIRRORED = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""Orientation -> step down and step right, after rows and columns have been exchanged from 5 on."""


def turned(samples: Pixels, orientation: int) -> Pixels:
    """Return samples, (height, width, ...), as EXIF orientation 1 to 8 says they are to be seen (EXIF 2.32, 4.6.4, tag 274)."""
    vertical, horizontal = _MIRRORED[orientation]
    upright: Pixels = np.ascontiguousarray((np.swapaxes(samples, 0, 1) if orientation >= 5 else samples)[::vertical, ::horizontal])
    return upright


def as_pixels(array: NDArray[np.generic]) -> Pixels:
    """Return samples as one of the three kinds of pixels, in the byte order of this machine.

    Raises:
        PixlateError: They are of another type.
    """
    native = array.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16):
        return np.ascontiguousarray(array, native)
    if not np.issubdtype(array.dtype, np.floating):
        raise PixlateError(f"expected samples of uint8, uint16 or floating point, got {array.dtype}; convert them")
    with np.errstate(over="ignore"):  # beyond float32 is beyond white
        return np.ascontiguousarray(array, np.float32)


def full_scale(samples: Pixels) -> int:
    """Return the number that means white: 255, 65535, or 1 in floating point."""
    return {1: 255, 2: 65535}.get(samples.dtype.itemsize, 1)


def to_8_bits(samples: Pixels) -> NDArray[np.uint8]:
    """Round 16-bit samples to the nearest of 256 levels, x / 257, and floating point of [0, 1], clipped to it, likewise."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    if samples.dtype == np.float32:
        return rounded(samples, 255).astype(np.uint8)
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def rounded(samples: Pixels, full: int) -> NDArray[np.float32]:
    """Return floating point of [0, 1], clipped to it, as the nearest whole levels up to ``full``.

    Raises:
        PixlateError: A sample is not a number.
    """
    levels: NDArray[np.float32] = np.rint(np.clip(samples, 0, 1) * np.float32(full))
    if np.isnan(levels).any():
        raise PixlateError("expected numbers as samples, got some that are none (NaN); replace them in the file")
    return levels


def to_16_bits(samples: Pixels) -> NDArray[np.uint16]:
    """Spread 8-bit samples over 16 bits: x * 257, which :func:`to_8_bits` undoes."""
    return samples.astype(np.uint16) * np.uint16(257)


def on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Lay (height, width, channels) pixels over white, which is 1 in floating point."""
    if pixels.dtype == np.float32:
        opacity = alpha[:, :, None]
        laid: Pixels = (pixels * opacity + (1 - opacity)).astype(np.float32)
        return laid
    full = full_scale(pixels)
    share = alpha[:, :, None].astype(np.uint32)  # the sum stays below full^2 + full / 2 < 2^32
    mixed: Pixels = ((pixels * share + full * (full - share) + full // 2) // full).astype(pixels.dtype)
    return mixed


def unmultiplied(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Divide premultiplied whole (height, width, channels) pixels by their alpha; where it is 0 they should be 0 too."""
    full = full_scale(pixels)
    share = np.maximum(alpha, 1)[:, :, None].astype(np.uint32)
    divided: Pixels = np.minimum((pixels.astype(np.uint32) * full + share // 2) // share, full).astype(pixels.dtype)
    return divided
