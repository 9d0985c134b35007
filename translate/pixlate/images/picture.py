"""A picture in memory: pixels, transparency, what its file said about itself, and arithmetic on samples."""

from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import OverLimit, PixlateError, Unsupported

Pixels = NDArray[np.uint8 | np.uint16 | np.float32]
"""Samples (height, width, channels), or (batch, height, width, channels): uint8 of 0..255, uint16 of 0..65535, or float32, linear in whatever
range the file has and not clipped; what a network or a training set takes is in [0, 1]."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma: ITU-R BT.601."""
SAMPLES_A_PIXEL = 4
"""Samples that a limit of pixels allows for each of them, as RGB with alpha has."""
NO_NUMBERS = "expected numbers as samples, got some that are none (NaN); replace them in the file"
_MIRRORED = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""Orientation -> step down and step right, after rows and columns have been exchanged from 5 on."""


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
    iptc: bytes = b""
    """Datasets of IPTC (IIM 4.2), such as captions and keywords."""
    comments: tuple[str, ...] = ()
    """Comments, as JPEG, GIF and PNG have them."""
    text: tuple[tuple[str, str], ...] = ()
    """Keywords, of 1 to 79 characters of Latin-1, and their texts, as PNG has them, such as prompts of image generators."""

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
    """EXIF, ICC profile, XMP, resolution and texts."""
    notes: tuple[str, ...] = ()
    """What the user should know, such as ``first of 12 frames``."""
    lossless: bool = False
    """Whether every pixel is to be kept by a format that can also change some; a reader sets it where the file was stored so."""
    peak: float = 0.0
    """The brightest there can be of scene-linear light, in floating point, where 1 is the white of displays; 0 for samples as displays take them."""

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if kind not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"expected pixels of uint8, uint16 or float32, got {kind}; convert them first")
        if len(shape) != 3 or 0 in shape:
            raise ValueError(f"expected pixels of (height, width, channels), got {shape}; keep the channel axis of a grey picture")
        if self.peak and kind != np.float32:
            raise ValueError(f"expected scene-linear light in floating point, got {kind}; leave out the peak")
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


def check_size(width: int, height: int, max_pixels: int, channels: int = 1) -> None:
    """Refuse a picture that is empty or has more than ``max_pixels`` pixels, or four times as many samples, before it is decoded."""
    if width < 1 or height < 1:
        raise PixlateError(f"the image is truncated or damaged (its header says {width} x {height} pixels); copy it again from its source")
    if width * height > max_pixels:
        raise OverLimit(
            f"expected at most {max_pixels / 1e6:.6g} million pixels, got {width} x {height} = {width * height / 1e6:.6g} million; "
            "raise the limit with --max-pixels if the file can be trusted"
        )
    if width * height * channels > SAMPLES_A_PIXEL * max_pixels:
        raise OverLimit(
            f"expected at most {SAMPLES_A_PIXEL * max_pixels / 1e6:.6g} million samples, {SAMPLES_A_PIXEL} for each of --max-pixels, got "
            f"{width} x {height} of {channels} channels; raise the limit if the file can be trusted"
        )


def turned(samples: Pixels, orientation: int) -> Pixels:
    """Return samples, (height, width, ...), as EXIF orientation 1 to 8 says they are to be seen (EXIF 2.32, 4.6.4, tag 274)."""
    vertical, horizontal = _MIRRORED[orientation]
    upright: Pixels = np.ascontiguousarray((np.swapaxes(samples, 0, 1) if orientation >= 5 else samples)[::vertical, ::horizontal])
    return upright


def split(samples: Pixels) -> tuple[Pixels, Pixels | None]:
    """Return the pixels and the opacity of (height, width, 1 to 4) samples: the last of 2 and of 4 is the opacity."""
    channels = 3 if samples.shape[2] >= 3 else 1
    alpha = np.ascontiguousarray(samples[:, :, channels]) if channels < samples.shape[2] else None
    return np.ascontiguousarray(samples[:, :, :channels]), alpha


def as_pixels(array: NDArray[np.generic]) -> Pixels:
    """Return samples as one of the three kinds of pixels, in the byte order of this machine; refuse other types."""
    native = array.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16):
        return np.ascontiguousarray(array, native)
    if not np.issubdtype(array.dtype, np.floating):
        raise Unsupported(f"expected samples of uint8, uint16 or floating point, got {array.dtype}; convert them")
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
    """Return floating point of [0, 1], clipped to it, as the nearest whole levels up to ``full``; refuse what is not a number."""
    levels: NDArray[np.float32] = np.rint(np.clip(samples, 0, 1) * np.float32(full))
    if np.isnan(levels).any():
        raise PixlateError(NO_NUMBERS)
    return levels


def beyond_unit(samples: Pixels) -> str:
    """Return the sentence that refuses floating point samples of which some are not in [0, 1]; nothing where all are, or are whole numbers."""
    if samples.dtype != np.float32:
        return ""
    least, most = samples.min(), samples.max()
    if np.isnan(least):
        return NO_NUMBERS
    found = f"{least:.6g} to {most:.6g}"
    refusal = f"expected floating point samples in [0, 1], got {found}; divide by the largest value there can be, or save the file with 16 bits"
    return "" if least >= 0 and most <= 1 else refusal


def to_16_bits(samples: Pixels) -> NDArray[np.uint16]:
    """Spread 8-bit samples over 16 bits: x * 257, which :func:`to_8_bits` undoes."""
    return samples.astype(np.uint16) * np.uint16(257)


def luma(pixels: Pixels) -> Pixels:
    """Return the luma (height, width, 1) of RGB pixels, rounded where they are whole numbers: ITU-R BT.601."""
    mixed = pixels[:, :, :1] * np.float32(LUMA[0])
    for channel in (1, 2):
        mixed += np.float32(LUMA[channel]) * pixels[:, :, channel : channel + 1]
    grey: Pixels = mixed if pixels.dtype == np.float32 else np.rint(mixed).astype(pixels.dtype)
    return grey


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


def unmultiplied(pixels: Pixels, alpha: Pixels, *, bright: bool = False) -> Pixels:
    """Divide premultiplied (height, width, channels) pixels by their alpha; where it is 0 they should be 0 too. At most white, unless they may be brighter."""
    full = full_scale(pixels)
    if pixels.dtype == np.float32:
        opacity = np.where(alpha > 0, alpha, 1)[:, :, None]
        divided: Pixels = (pixels / opacity).astype(np.float32)
        return divided if bright else np.minimum(divided, 1)
    share = np.maximum(alpha, 1)[:, :, None].astype(np.uint32)
    whole: Pixels = np.minimum((pixels.astype(np.uint32) * full + share // 2) // share, full).astype(pixels.dtype)
    return whole
