"""Files to pixels with the channels a network takes, at their full depth. Imports no PyTorch."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.images import ImageFile, Pixels
from pixlate.images.picture import beyond_unit, luma, on_white
from pixlate.images.scene import displayed
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import installed

MAX_PIXELS = 10**9
"""Largest image read: 3 GB decoded as 8-bit RGB."""


class UnreadableImage(PixlateError):  # noqa: N818 - says what it is about, like OutOfDeviceMemory
    """A file that is missing, damaged or no image; names it."""


@cache
def image_formats() -> Mapping[str, ImageFormat]:
    """Return the image formats of this environment by suffix, looked up once a process."""
    return installed().image_formats()


def advised(error: UnreadableImage) -> UnreadableImage:
    """Return the error with what a user can do about a file that training stops at."""
    return UnreadableImage(f"{error}; fix or remove it, or add --damaged skip")


@contextmanager
def passing_over(damaged: Literal["stop", "skip"]) -> Iterator[None]:
    """Context in which a file that cannot be read ends what is done with it, and is warned of, where it is to be skipped."""
    try:
        yield
    except UnreadableImage as error:
        if damaged == "stop":
            raise advised(error) from error
        warnings.warn(f"left out: {error}", stacklevel=3)


def read_pixels(path: Path, channels: int) -> Pixels:
    """Return an image upright, transparency composited over white, (height, width, ``channels``).

    1 takes the luma of RGB, 3 repeats grey; other numbers are found in TIFF and .npy files alone, which must have exactly as many.

    Raises:
        UnreadableImage: The file cannot be read.
        PixlateError: It has other channels, or samples out of range. Both name the file.
    """
    return with_channels(read_own(path, channels), channels, path)


def read_own(path: Path, wanted: int) -> Pixels:
    """Return an image as :func:`read_pixels` does, with the channels it has; ``wanted`` decides whether a TIFF is a picture or a stack of channels."""
    try:
        with ImageFile(path, max_pixels=MAX_PIXELS, formats=image_formats()) as file:
            picture = file.read(0 if wanted in (1, 3) else wanted)  # what a file has beyond a picture is refused, not left out
    except PixlateError as error:
        raise UnreadableImage(f"{path}: {error}") from error
    picture = displayed(picture) if picture.peak <= 1 else picture  # each picture of a pair would be compressed in its own way
    pixels = picture.pixels if picture.alpha is None else on_white(picture.pixels, picture.alpha)
    if refusal := beyond_unit(pixels):
        raise PixlateError(f"{path}: {refusal}")
    return pixels


def with_channels(pixels: Pixels, channels: int, path: Path) -> Pixels:
    """Return pixels with that many channels: luma for 1, grey repeated for 3.

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


def to_unit(pixels: Pixels) -> NDArray[np.float32]:
    """Return pixels as numbers in [0, 1]."""
    unit: NDArray[np.float32] = pixels.astype(np.float32, copy=False)
    return unit if pixels.dtype == np.float32 else unit / np.float32(255 if pixels.dtype == np.uint8 else 65535)


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of an upright image from its header.

    Raises:
        UnreadableImage: The header is invalid; names the file.
    """
    try:
        with ImageFile(path, max_pixels=MAX_PIXELS, formats=image_formats()) as file:
            width, height = file.size
    except PixlateError as error:
        raise UnreadableImage(f"{path}: {error}") from error
    return height, width
