"""Files to pixels with the channels a network takes, at their full depth. Imports no PyTorch."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.images import probe, read_picture
from pixlate.images.failures import check_size, explained
from pixlate.images.samples import on_white, turned

Array = NDArray[np.uint8 | np.uint16 | np.float32]
"""(height, width, channels) of 0..255, 0..65535 or 0..1."""
Levels = NDArray[np.uint8]
MAX_PIXELS = 10**9
"""Largest image read: 3 GB decoded as 8-bit RGB."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
_TIFF = (".tif", ".tiff")
_COLOURS = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3}
"""Samples of a pixel by photometric interpretation (TIFF 6.0, tag 262): RGB, CMYK, YCbCr, CIELab and ICCLab; the others have one."""


class UnreadableImage(PixlateError):  # noqa: N818 - says what it is about, like OutOfDeviceMemory
    """A file that is missing, damaged or no image; names it."""


def advised(error: UnreadableImage) -> UnreadableImage:
    """Return the error with what a user can do about a file that training stops at."""
    return UnreadableImage(f"{error}; mend or remove it, or add --damaged skip")


@contextmanager
def passing_over(damaged: Literal["stop", "skip"]) -> Iterator[None]:
    """Context in which a file that cannot be read ends what is done with it, and is warned of, where it is to be skipped."""
    try:
        yield
    except UnreadableImage as error:
        if damaged == "stop":
            raise advised(error) from error
        warnings.warn(f"left out: {error}", stacklevel=3)


def read_pixels(path: Path, channels: int) -> Array:
    """Return an image upright, transparency laid over white, (height, width, ``channels``).

    1 takes the luma of RGB, 3 repeats grey; other numbers are found in TIFF and .npy files alone, which must have exactly as many.

    Raises:
        UnreadableImage: The file cannot be read.
        PixlateError: It has other channels, or samples out of range. Both name the file.
    """
    return with_channels(read_own(path, channels), channels, path)


def read_own(path: Path, wanted: int) -> Array:
    """Return an image as :func:`read_pixels` does, with the channels it has; ``wanted`` tells whether a TIFF is a picture or a stack of channels."""
    try:
        if path.suffix.lower() == ".npy":
            return _checked(_read_array(path), path)
        if path.suffix.lower() in _TIFF and (wanted not in (1, 3) or _is_stack(path)):
            return _checked(_read_stack(path), path)
        picture = read_picture(path, max_pixels=MAX_PIXELS)
    except UnreadableImage:
        raise
    except PixlateError as error:
        raise UnreadableImage(f"{path}: {error}") from error
    return picture.pixels if picture.alpha is None else on_white(picture.pixels, picture.alpha)


def with_channels(pixels: Array, channels: int, path: Path) -> Array:
    """Return pixels with so many channels: luma for 1, grey repeated for 3.

    Raises:
        PixlateError: There is no way from one to the other; names the file.
    """
    own = pixels.shape[2]
    if own == channels:
        return pixels
    if (own, channels) == (1, 3):
        return np.repeat(pixels, 3, axis=2)
    if (own, channels) == (3, 1):
        return luma(pixels)
    raise PixlateError(f"{path}: expected an image of {channels} channels, got {own}; take it out, or train with the channels the images have")


def luma(pixels: Array) -> Array:
    """Return the luma (height, width, 1) of RGB pixels, rounded where they are whole numbers: ITU-R BT.601."""
    red, green, blue = (np.float32(weight) * pixels[:, :, index : index + 1] for index, weight in enumerate(LUMA))
    mixed: NDArray[np.float32] = red + green + blue
    grey: Array = mixed if pixels.dtype == np.float32 else np.rint(mixed).astype(pixels.dtype)
    return grey


def to_unit(pixels: Array) -> NDArray[np.float32]:
    """Return pixels as numbers in [0, 1]."""
    unit: NDArray[np.float32] = pixels.astype(np.float32, copy=False)
    return unit if pixels.dtype == np.float32 else unit / np.float32(255 if pixels.dtype == np.uint8 else 65535)


def to_levels(pixels: Array) -> Levels:
    """Return pixels rounded to 8 bits."""
    return pixels.astype(np.uint8, copy=False) if pixels.dtype == np.uint8 else np.rint(to_unit(pixels) * 255).astype(np.uint8)


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of an upright image from its header.

    Raises:
        UnreadableImage: As far as the header tells; names the file.
    """
    try:
        if path.suffix.lower() == ".npy":
            height, width = _mapped(path).shape[:2]
            return height, width
        width, height = probe(path, MAX_PIXELS)
    except PixlateError as error:
        raise UnreadableImage(f"{path}: {error}") from error
    return height, width


def _mapped(path: Path) -> NDArray[np.generic]:
    """Return the array of a .npy file, not read yet: (height, width, channels)."""
    with explained("array"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise PixlateError("expected one array, got an archive of several; save each with numpy.save")
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3 or 0 in array.shape:
        raise PixlateError(f"expected an array of (height, width, channels), got {array.shape}; save one image a file")
    check_size(array.shape[1], array.shape[0], MAX_PIXELS)
    return array


def _read_array(path: Path) -> NDArray[np.generic]:
    return np.array(_mapped(path))


def _is_stack(path: Path) -> bool:
    """Tell whether a pixel of a TIFF has more samples than grey or RGB with an opacity, which a picture would lose."""
    with explained(), tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        samples, photometric, kinds = (tags.valueof(tag, default) for tag, default in ((277, 1), (262, 1), (338, 0)))
    extra = samples - _COLOURS.get(photometric, 1)
    return bool(extra > 1 or (samples == 2 and kinds in (0, (0,))))  # of two samples the second is an opacity only where the file says so


def _read_stack(path: Path) -> NDArray[np.generic]:
    """Return all channels of a TIFF, whether they lie in a pixel, in planes or in pages."""
    with explained(), tifffile.TiffFile(path) as file:
        series = file.series[0]
        axes, shape = series.axes, series.shape
        if prod(shape) > MAX_PIXELS * 16:
            raise PixlateError(f"expected at most {MAX_PIXELS} pixels of 16 channels, got {shape}; leave the file out")
        orientation = file.pages.first.tags.valueof(274, 1)
        array = np.asarray(series.asarray())
    if axes in ("SYX", "CYX", "IYX", "QYX"):
        array = np.moveaxis(array, 0, 2)
    elif axes == "YX":
        array = array[:, :, None]
    elif axes not in ("YXS", "YXC"):
        raise PixlateError(f"expected a TIFF of height, width and channels, got the axes {axes} of {shape}; save one image a file")
    upright: NDArray[np.generic] = turned(array, orientation if orientation in range(1, 9) else 1)
    return upright


def _checked(array: NDArray[np.generic], path: Path) -> Array:
    """Return samples as one of the three kinds of pixels.

    Raises:
        PixlateError: They are of another type or out of [0, 1]; names the file.
    """
    if array.dtype in (np.uint8, np.uint16):
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise PixlateError(f"{path}: expected samples of uint8, uint16 or floating point, got {array.dtype}; convert them")
    if not (array.min() >= 0 and array.max() <= 1):  # NaN is neither
        raise PixlateError(f"{path}: expected floating point samples in [0, 1], got {array.min()} to {array.max()}; divide by the largest value there can be")
    return np.ascontiguousarray(array, np.float32)
