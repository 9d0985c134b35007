"""A picture in memory: pixels, transparency, and what its file said about itself."""

from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8 | np.uint16 | np.float32]
"""Samples (height, width, channels), or (batch, height, width, channels): uint8 of 0..255, uint16 of 0..65535, or float32, linear in whatever
range the file has and not clipped; what a network or a training set takes is in [0, 1]."""


@dataclass(frozen=True)
class Metadata:
    """What a file says about its picture besides the pixels; an empty value where it says nothing."""

    exif: bytes = b""
    """EXIF block, beginning with its TIFF header (``II*`` or ``MM``), without the ``Exif`` mark that JPEG puts before it."""
    icc: bytes = b""
    """ICC colour profile."""
    xmp: bytes = b""
    """XMP packet."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical resolution in pixels per inch."""

    def __post_init__(self) -> None:
        if self.dpi is not None and (len(self.dpi) != 2 or not all(isfinite(value) and value > 0 for value in self.dpi)):
            raise ValueError(f"expected dpi to be two numbers above 0, got {self.dpi!r}; use None where the resolution is not known")


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, upright: the EXIF orientation has been applied."""

    pixels: Pixels
    """(height, width, channels), one to many: 1 is grey, 3 is RGB, any other number has no colours. uint8, uint16 or float32."""
    alpha: Pixels | None = None
    """Opacity of a grey or RGB picture, (height, width), of the same type as the pixels, not premultiplied."""
    metadata: Metadata = field(default_factory=Metadata)
    """EXIF, ICC profile, XMP and resolution."""
    notes: tuple[str, ...] = ()
    """What the user should know, such as ``first of 12 frames``."""

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if kind not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"expected pixels of uint8, uint16 or float32, got {kind}; convert them first")
        if len(shape) != 3 or 0 in shape:
            raise ValueError(f"expected pixels of (height, width, channels), got {shape}; keep the channel axis of a grey picture")
        if self.alpha is not None and shape[2] not in (1, 3):
            raise ValueError(f"expected pixels of 1 or 3 channels beside alpha, got {shape[2]}; make the alpha one of the channels")
        if self.alpha is not None and (self.alpha.shape != shape[:2] or self.alpha.dtype != kind):
            raise ValueError(f"expected alpha of {shape[:2]} and {kind} like the pixels, got {self.alpha.shape} and {self.alpha.dtype}; resize or convert it")

    @property
    def samples(self) -> Pixels:
        """Pixels with the opacity, if any, as the last channel."""
        return self.pixels if self.alpha is None else np.dstack([self.pixels, self.alpha])

    @property
    def nbytes(self) -> int:
        """Memory of pixels and alpha, in bytes."""
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)
