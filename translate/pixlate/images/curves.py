"""Transfer functions: from samples to linear light and back, as a picture's ICC profile says, or sRGB's."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixlate.images.colour import fits, srgb
from pixlate.images.picture import Pixels
from pixlate.images.signalled import srgb_encoded, srgb_light

Light = NDArray[np.float32]
_LEVELS = 65536
"""Entries of a table by which light becomes samples."""
_ROWS = 256
"""Rows that are converted at once."""
_TAGS = {1: (b"kTRC",), 3: (b"rTRC", b"gTRC", b"bTRC")}
"""Channels -> tags of their curves, ICC.1:2022, 9.2."""
_FORMS = ((), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d"), ("a", "b", "c", "d", "e", "f"))
"""Parameters after the exponent, by the number of a parametric curve: ICC.1:2022, table 68."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A transfer function of one channel; ``light`` is that of evenly spaced samples from 0 to 1, of which the first is black; without it the curve is sRGB's."""

    light: NDArray[np.float64] | None = None

    def decoded(self, samples: Pixels) -> Light:
        """Return the light, 0 to 1, of whole samples."""
        light: Light = self._decoding(samples.dtype)[samples]
        return light

    def encoded(self, light: Light, kind: "np.dtype[Any]") -> Pixels:
        """Return the nearest whole samples of light, clipped to what they hold: of 8 bits to within 1/30 of a level, which the table leaves open."""
        clipped = np.clip(light, 0, 1)
        if kind == np.uint8:
            coarse: Pixels = self._encoding()[np.rint(clipped * np.float32(_LEVELS - 1)).astype(np.uint16)]
            return coarse
        whole: Pixels = np.rint(self._samples(clipped) * 65535).astype(np.uint16)
        return whole

    @lru_cache(maxsize=8)  # noqa: B019 - curves are few, and kept by the cache of profiles
    def _decoding(self, kind: "np.dtype[Any]") -> Light:
        samples = np.linspace(0, 1, 256 if kind == np.uint8 else 65536)
        return (srgb_light(samples) if self.light is None else np.interp(samples, np.linspace(0, 1, len(self.light)), self.light)).astype(np.float32)

    @lru_cache(maxsize=8)  # noqa: B019 - as above
    def _encoding(self) -> NDArray[np.uint8]:
        return np.rint(self._samples(np.linspace(0, 1, _LEVELS)) * 255).astype(np.uint8)

    def _samples(self, light: NDArray[np.float32 | np.float64]) -> NDArray[np.float32 | np.float64]:
        """Return the samples of light, not rounded."""
        if self.light is not None:
            found: NDArray[np.float64] = np.interp(light, self.light, np.linspace(0, 1, len(self.light)))
            return found
        if light.dtype == np.float64:
            return srgb_encoded(light.astype(np.float64))
        low = light * np.float32(12.92)  # in 32 bits, a third of the time
        return np.where(light <= np.float32(0.0031308), low, np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055))


SRGB = Curve()


@lru_cache(maxsize=16)
def curves_of(icc: bytes, channels: int) -> tuple[Curve, ...]:
    """Return the curve of each channel, 1 or 3, that a matrix or grey profile describes; sRGB's where there is none, or one that does not say so in curves."""
    found = [_curve(tag) for tag in _tags(icc, _TAGS[channels])] if fits(icc, channels) else []
    kept = [curve for curve in found if curve is not None]
    return tuple(kept) if len(kept) == channels else (SRGB,) * channels


def in_srgb(pixels: Pixels, icc: bytes) -> Pixels | None:
    """Return 16-bit pixels of a grey profile, or of one of curves and a matrix, in sRGB, clipped to it; None where the profile is of another kind.

    The matrices of both lead to the same white (D50, ICC.1:2022, annex F), so that the one is undone by the inverse of the other.
    """
    channels = pixels.shape[2]
    found = [_curve(tag) for tag in _tags(icc, _TAGS[channels])]
    curves = [curve for curve in found if curve is not None]
    if len(curves) != channels or _tags(icc, (b"A2B0",)):
        return None
    change = np.eye(1) if channels == 1 else _matrix(icc)
    if change is None:
        return None
    whole = np.empty(pixels.shape, np.uint16)
    for top in range(0, len(pixels), _ROWS):
        rows = pixels[top : top + _ROWS]
        light = np.stack([curve.decoded(rows[:, :, channel]) for channel, curve in enumerate(curves)], axis=2)
        whole[top : top + _ROWS] = SRGB.encoded((light @ change.T).astype(np.float32), whole.dtype)
    return whole


def _matrix(icc: bytes) -> NDArray[np.float64] | None:
    """Return the matrix from the light of a profile to that of sRGB; None where the profile has none."""
    found = []
    for profile in (icc, srgb()):
        tags = [tag for tag in _tags(profile, (b"rXYZ", b"gXYZ", b"bXYZ")) if tag[:4] == b"XYZ " and len(tag) >= 20]
        if len(tags) != 3:
            return None
        found.append(np.array([struct.unpack_from(">3i", tag, 8) for tag in tags]).T / 65536)
    own, wanted = found
    return np.linalg.inv(wanted) @ own


def _tags(icc: bytes, names: Sequence[bytes]) -> list[bytes]:
    """Return the contents of the tags of a profile, in the order of their names; those that it has."""
    count = struct.unpack_from(">I", icc, 128)[0] if len(icc) >= 132 else 0
    table = {icc[at : at + 4]: icc[at + 4 : at + 12] for at in range(132, min(132 + 12 * count, len(icc) - 11), 12)}
    places = [struct.unpack(">II", table[name]) for name in names if name in table]
    return [icc[start : start + size] for start, size in places]


def _curve(tag: bytes) -> Curve | None:
    """Return the curve of a ``curv`` or ``para`` tag; None where it is damaged or does not rise from black to white."""
    samples = np.linspace(0, 1, 4096)
    light: NDArray[np.float64] | None = None
    if tag[:4] == b"curv" and len(tag) >= 12:
        count = struct.unpack_from(">I", tag, 8)[0]
        if len(tag) < 12 + 2 * count:
            return None
        values = np.frombuffer(tag, ">u2", count, 12).astype(np.float64)
        light = samples if count == 0 else samples ** (values[0] / 256) if count == 1 else values / 65535
    elif tag[:4] == b"para" and len(tag) >= 12:
        form = struct.unpack_from(">H", tag, 8)[0]
        if form >= len(_FORMS) or len(tag) < 16 + 4 * len(_FORMS[form]):
            return None
        gamma, *rest = (value / 65536 for value in struct.unpack_from(f">{1 + len(_FORMS[form])}i", tag, 12))
        light = _parametric(samples, form, gamma, dict(zip(_FORMS[form], rest, strict=True)))
    if light is None or not np.isfinite(light).all() or (np.diff(light) < 0).any() or light[-1] - light[0] < 0.5:
        return None
    return Curve(np.clip(light, 0, 1))


def _parametric(samples: NDArray[np.float64], form: int, gamma: float, values: dict[str, float]) -> NDArray[np.float64]:
    a, b, c = (values.get(name, default) for name, default in (("a", 1.0), ("b", 0.0), ("c", 0.0)))
    with np.errstate(all="ignore"):
        power = np.maximum(a * samples + b, 0) ** gamma
        if form in (0, 1, 2):  # from -b/a on the power, before it the constant
            return power + (c if form == 2 else 0.0)
        return np.where(samples >= values["d"], power + values.get("e", 0.0), c * samples + values.get("f", 0.0))
