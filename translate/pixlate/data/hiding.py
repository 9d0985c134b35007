"""Images with parts of them hidden, from which a generator learns what images look like (masked reconstruction)."""

import numpy as np

from pixlate.images import Pixels

SQUARE = 32
"""Side of what is hidden, in pixels (Torbunov et al. 2022, UVCGAN, section 3.3)."""


def hidden(pixels: Pixels, share: float, generator: np.random.Generator) -> Pixels:
    """Return an image, (height, width, channels), that is black in ``share`` of its squares of 32 pixels, each drawn by itself."""
    height, width = pixels.shape[:2]
    shown = generator.random((-(-height // SQUARE), -(-width // SQUARE))) >= share
    shown = shown.repeat(SQUARE, axis=0).repeat(SQUARE, axis=1)[:height, :width, None]
    return np.where(shown, pixels, pixels.dtype.type(0))
