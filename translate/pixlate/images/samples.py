"""Arithmetic on samples: orientation, depth and transparency."""

import numpy as np
from numpy.typing import NDArray

from pixlate.images.picture import Pixels

_MIRRORED = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""Orientation -> step down and step right, after rows and columns have been exchanged from 5 on."""


def turned(samples: Pixels, orientation: int) -> Pixels:
    """Return samples, (height, width, ...), as EXIF orientation 1 to 8 says they are to be seen (EXIF 2.32, 4.6.4, tag 274)."""
    vertical, horizontal = _MIRRORED[orientation]
    upright: Pixels = np.ascontiguousarray((np.swapaxes(samples, 0, 1) if orientation >= 5 else samples)[::vertical, ::horizontal])
    return upright


def to_8_bits(samples: Pixels) -> NDArray[np.uint8]:
    """Round 16-bit samples to the nearest of 256 levels: x / 257."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Lay (height, width, channels) pixels over white."""
    full = np.iinfo(pixels.dtype).max
    share = alpha[:, :, None].astype(np.uint32)  # the sum stays below full^2 + full / 2 < 2^32
    mixed: Pixels = ((pixels * share + full * (full - share) + full // 2) // full).astype(pixels.dtype)
    return mixed


def unmultiplied(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Divide premultiplied (height, width, channels) pixels by their alpha; where it is 0 they should be 0 too."""
    full = np.iinfo(pixels.dtype).max
    share = np.maximum(alpha, 1)[:, :, None].astype(np.uint32)
    divided: Pixels = np.minimum((pixels.astype(np.uint32) * full + share // 2) // share, full).astype(pixels.dtype)
    return divided
