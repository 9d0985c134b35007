"""Scene-linear light, as OpenEXR and floating point TIFF hold it, beyond the white of displays: brought into the range of models and back.

Light L, where 1 is the white of a display and P the brightest sample of the picture, becomes a sample s of [0, 1]:

    s(L) = srgb(L)                                                     for L up to K = 0.5, or for all where P is 1
    s(L) = srgb(K) + (1 - srgb(K)) ln(1 + a (L - K)) / ln(1 + a (P - K))    above

srgb is IEC 61966-2-1; a makes the slope continuous at K. The inverse of both is exact, so that only the 16 bits of a sample are lost on the way: half a level
of sRGB up to K, and above it a part of L + 1 / a that grows with the logarithm of P.
"""

from collections.abc import Callable
from dataclasses import replace
from math import exp, log1p

import numpy as np
from numpy.typing import NDArray

from pixlate.images.picture import Picture, Pixels, full_scale
from pixlate.images.signalled import SRGB, Chromaticities, Light, matrix, srgb_encoded, srgb_light

KNEE = 0.5
"""Light up to which samples are those of sRGB."""
_ALIKE = 0.001
"""Difference of a chromaticity that is that of rounding."""
_ROWS = 1 << 18
"""Samples that are computed at once."""
_LEVEL = float(srgb_encoded(np.array(KNEE)))
_SLOPE = 1.055 / 2.4 * KNEE ** (1 / 2.4 - 1)


def of_light(picture: Picture) -> Picture:
    """Return a picture of floating point samples as one of scene-linear light: finite, not below 0, with its brightest sample and notes on what was changed.

    What is no number becomes 0, infinite light the brightest there is; light below 0, as colours have that displays cannot show, becomes 0.
    """
    pixels = picture.pixels.copy()
    notes = picture.notes
    lost = np.isnan(pixels)
    if lost.any():
        pixels[lost] = 0
        notes += (f"{_counted(lost)} no numbers (NaN), read as 0",)
    infinite = np.isinf(pixels)
    if infinite.any():
        finite = pixels[~infinite]
        most = np.float32(max(1.0, finite.max() if finite.size else 1.0))
        pixels[infinite] = np.where(pixels[infinite] > 0, most, 0)
        notes += (f"{_counted(infinite)} infinite, read as {most:.4g}, the brightest there is, or as 0",)
    below = pixels < 0
    if below.any():
        pixels[below] = 0
        notes += (f"{_counted(below)} below 0, read as 0",)
    alpha = None if picture.alpha is None else np.clip(np.nan_to_num(picture.alpha, nan=1.0), 0, 1)
    return replace(picture, pixels=pixels, alpha=alpha, notes=notes, peak=max(1.0, float(pixels.max())))


def _counted(chosen: NDArray[np.bool_]) -> str:
    count = int(chosen.sum())
    return f"{count:,} sample{' is' if count == 1 else 's are'}"


def displayed(picture: Picture) -> Picture:
    """Return a picture of scene-linear light with 16 bits of what displays show, highlights compressed; any other as it is."""
    if not picture.peak:
        return picture
    shown = _by_rows(picture.pixels, np.dtype(np.uint16), lambda light: np.rint(compressed(light, picture.peak) * 65535))
    alpha = None if picture.alpha is None else np.rint(picture.alpha * np.float32(65535)).astype(np.uint16)
    return replace(picture, pixels=shown, alpha=alpha, peak=0.0)


def lit(picture: Picture, peak: float) -> Picture:
    """Return a picture of whole samples as the scene-linear light that :func:`displayed` made them from; with a peak of 1, that of sRGB samples."""
    full = full_scale(picture.pixels)
    light = _by_rows(picture.pixels, np.dtype(np.float32), lambda samples: expanded(samples / full, peak))
    alpha = None if picture.alpha is None else picture.alpha.astype(np.float32) / np.float32(full)
    return replace(picture, pixels=light, alpha=alpha, peak=peak)


def compressed(light: Light, peak: float) -> Light:
    """Return samples of [0, 1] of light up to ``peak``."""
    shown = srgb_encoded(np.clip(light, 0, 1))
    if peak <= 1:
        return shown
    steepness, span = _shoulder(peak)
    above = _LEVEL + (1 - _LEVEL) * np.log1p(steepness * (np.clip(light, KNEE, peak) - KNEE)) / span
    return np.where(light > KNEE, above, shown)


def expanded(samples: Light, peak: float) -> Light:
    """Return the light of samples of [0, 1], up to ``peak``."""
    light = srgb_light(samples)
    if peak <= 1:
        return light
    steepness, span = _shoulder(peak)
    above = KNEE + np.expm1((np.maximum(samples, _LEVEL) - _LEVEL) / (1 - _LEVEL) * span) / steepness
    return np.where(samples > _LEVEL, above, light)


def _shoulder(peak: float) -> tuple[float, float]:
    """Return the a of the equation, by bisection of its logarithm, and ln(1 + a (P - K))."""

    def slope(steepness: float) -> float:
        return (1 - _LEVEL) * steepness / log1p(steepness * (peak - KNEE))

    low, high = -30.0, 30.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(exp(middle)) < _SLOPE else (low, middle)
    steepness = exp(low)
    return steepness, log1p(steepness * (peak - KNEE))


def _by_rows(samples: Pixels, dtype: np.dtype[np.generic], change: Callable[[Light], Light]) -> Pixels:
    """Return changed samples, computed in double precision some rows at a time."""
    result = np.empty(samples.shape, dtype)
    rows = max(1, _ROWS // samples[0].size)
    for top in range(0, len(samples), rows):
        result[top : top + rows] = change(samples[top : top + rows].astype(np.float64))
    return result


def of_primaries(picture: Picture, primaries: Chromaticities, source: str) -> Picture:
    """Return light of other primaries as that of sRGB's, whites adapted (Bradford), with a note; what they are is said by ``source``."""
    if max(abs(one - two) for one, two in zip(primaries, SRGB, strict=True)) <= _ALIKE:
        return picture
    own, wanted = matrix(primaries), matrix(SRGB)
    assert wanted is not None
    if own is None:
        return replace(picture, notes=(*picture.notes, f"the primaries ({source}) cannot be and were ignored"))
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    adapted = (bradford @ wanted.sum(axis=1)) / (bradford @ own.sum(axis=1))
    change = np.linalg.inv(wanted) @ np.linalg.inv(bradford) @ (adapted[:, None] * bradford) @ own
    pixels = _by_rows(picture.pixels, np.dtype(np.float32), lambda light: light @ change.T)
    return replace(picture, pixels=pixels, notes=(*picture.notes, f"light of other primaries ({source}) turned to those of sRGB"))
