"""Resizes pictures in linear light by Lanczos' filter, whole or while their rows come, in bands that take little memory whatever the size."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixlate.images.curves import Curve, curves_of
from pixlate.images.picture import Picture, Pixels, full_scale

LOBES = 3
"""Pixels that the filter sees on each side: of the source where it is enlarged, of the output where it is reduced."""
BAND = 1 << 21
"""Samples of one channel that are computed at once, of source or output, whichever has more."""
Light = NDArray[np.float32]


@dataclass(frozen=True)
class _Band:
    """Rows of the output, and those of the source that they are computed from."""

    top: int
    bottom: int
    above: int
    below: int


def resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture at (width, height), of the same type of samples: the picture itself where it has that size.

    Lanczos' filter with three lobes, widened where the picture becomes smaller (Turkowski 1990, "Filters for common resampling tasks"), of linear light: by the curves
    of the ICC profile where it has some, else by sRGB's. Colours are weighted by their opacity. Pictures of other than 1 or 3 channels, and of floating point,
    are resized as they are, and light stays within its range.
    """
    height, width, channels = picture.pixels.shape
    if (width, height) == size:
        return picture
    pixels: Pixels = np.empty((size[1], size[0], channels), picture.pixels.dtype)
    alpha = None if picture.alpha is None else np.empty((size[1], size[0]), picture.pixels.dtype)
    top = 0
    for band in resized_rows(iter([picture]), height, size):
        rows = slice(top, top + len(band.pixels))
        pixels[rows] = band.pixels
        if alpha is not None and band.alpha is not None:
            alpha[rows] = band.alpha
        top = rows.stop
    return replace(picture, pixels=pixels, alpha=alpha)


def _within(pixels: Pixels, picture: Picture) -> Pixels:
    """Return scene-linear light without what the filter makes brighter than the brightest, or darker than black."""
    return pixels if not picture.peak else np.clip(pixels, 0, np.float32(picture.peak))


def resized_rows(strips: Iterator[Picture], height: int, size: tuple[int, int]) -> Iterator[Picture]:
    """Yield a picture of so many rows, which comes in strips from the top, at (width, height) as :func:`resized` gives it, some rows at a time.

    No more of the source is in memory than what the next rows are computed from. Everything but samples is the first strip's.
    """
    first = next(strips)
    width = first.pixels.shape[1]
    curves = _curves(first)
    held, start = first.samples, 0
    for band in _bands((width, height), size):
        parts = [held]
        while start + sum(map(len, parts)) < band.below:
            parts.append(next(strips).samples)
        held = parts[0] if len(parts) == 1 else np.concatenate(parts)
        samples = held[band.above - start : band.below - start]
        box = (0.0, band.top * height / size[1] - band.above, float(width), band.bottom * height / size[1] - band.above)
        pixels, alpha = _resampled(samples, first.alpha is not None, curves, (size[0], band.bottom - band.top), box)
        yield replace(first, pixels=_within(pixels, first), alpha=alpha)
        done = max(0, min(_above(band.bottom, height, size[1]), start + len(held)) - start)
        held, start = held[done:], start + done
        del parts, samples, pixels, alpha


def _bands(source: tuple[int, int], size: tuple[int, int]) -> Iterator[_Band]:
    (width, height), (wide, high) = source, size
    rows = max(1, min(BAND // wide, BAND // width * high // height))
    for top in range(0, high, rows):
        bottom = min(top + rows, high)
        yield _Band(top, bottom, _above(top, height, high), min(height, math.ceil(bottom * height / high + _reach(height, high))))


def _reach(height: int, high: int) -> float:
    """Return how many rows of the source the filter sees beyond those that are shown, and one for what is rounded."""
    return LOBES * max(1.0, height / high) + 1


def _above(top: int, height: int, high: int) -> int:
    """Return the first row of the source that the rows of an output from ``top`` on are computed from."""
    return max(0, math.floor(top * height / high - _reach(height, high)))


def _curves(picture: Picture) -> tuple[Curve, ...]:
    """Return the curve of each channel; none where the samples are resized as they are."""
    channels = picture.pixels.shape[2]
    return curves_of(picture.metadata.icc, channels) if channels in (1, 3) and picture.pixels.dtype != np.float32 else ()


def _resampled(
    samples: Pixels, has_alpha: bool, curves: tuple[Curve, ...], size: tuple[int, int], box: tuple[float, float, float, float]
) -> tuple[Pixels, Pixels | None]:
    """Return pixels and opacity at (width, height) of what a box shows of rows of samples, with the opacity as the last channel where there is one."""
    channels, kind, full = samples.shape[2] - has_alpha, samples.dtype, np.float32(full_scale(samples))

    def scaled(plane: Light) -> Light:
        return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.LANCZOS, box))

    def rounded(plane: Light) -> Pixels:
        whole: Pixels = np.rint(np.clip(plane, 0, 1) * full).astype(kind)
        return plane if kind == np.float32 else whole

    pixels: Pixels = np.empty((size[1], size[0], channels), kind)
    opacity = samples[:, :, channels].astype(np.float32) / full if has_alpha else None
    weight = None if opacity is None else scaled(opacity)
    alpha = None if weight is None else rounded(np.clip(weight, 0, 1))
    hidden = None if weight is None else weight < 0.5 / (full if kind != np.float32 else 65535)
    for channel in range(channels):
        light = curves[channel].decoded(samples[:, :, channel]) if curves else samples[:, :, channel].astype(np.float32) / full
        if opacity is None or weight is None or hidden is None:
            shown = scaled(light)
        else:
            shown = (scaled(light * opacity) / np.where(hidden, 1, weight)).astype(np.float32)
            if hidden.any():  # what is under it continues, and is not black
                shown[hidden] = scaled(light)[hidden]
        pixels[:, :, channel] = curves[channel].encoded(shown, kind) if curves else rounded(shown)
    return pixels, alpha
