"""What the tests of the formats share, which are left out where the extra is not installed."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixlate.images import ImageFile, Picture, read_picture
from pixlate.images.write import encode_picture
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import installed

LIMIT = 10**7
collect_ignore_glob = [] if all(map(find_spec, ("pillow_heif", "pillow_jxl", "rawpy", "OpenEXR", "psd_tools"))) else ["test_*.py"]
FORMATS: Mapping[str, ImageFormat] = installed().image_formats()


def read(source: Path | bytes | bytearray, limit: int = LIMIT) -> Picture:
    """Return the first picture of a file; see that its header has said the size."""
    with ImageFile(bytes(source) if isinstance(source, bytearray) else source, max_pixels=limit, formats=FORMATS) as file:
        picture = file.read()
        assert file.size == picture.pixels.shape[1::-1]
    return picture


def written(picture: Picture, format: str, *, quality: int = 95, lossless: bool = False) -> tuple[bytes, tuple[str, ...]]:
    """Return a file of a picture, and notes."""
    return encode_picture(picture, format, quality=quality, lossless=lossless, formats=FORMATS)


def decibels(one: NDArray[np.generic], two: NDArray[np.generic], full: float = 255) -> float:
    """Return the peak signal to noise ratio, infinite for equal samples."""
    if np.array_equal(one, two):
        return float("inf")
    return float(10 * np.log10(full**2 / np.mean((one.astype(float) - two.astype(float)) ** 2)))


__all__ = ["FORMATS", "LIMIT", "decibels", "read", "read_picture", "written"]
