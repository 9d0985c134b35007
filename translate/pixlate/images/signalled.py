"""Colours that a file describes by numbers (gAMA and cHRM, cICP, nclx, PrimaryChromaticities), made what models and other formats expect.

Samples get sRGB's transfer function, which models are trained on; primaries other than sRGB's are described by an ICC profile, as those of a file that
embeds one are. So nothing is clipped but what is brighter than white.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pixlate.images.colour import is_srgb
from pixlate.images.picture import Picture, Pixels, full_scale

Chromaticities = tuple[float, ...]
"""x and y of white, red, green and blue, in the order of cHRM."""
Light = NDArray[np.float64]

_D65 = (0.3127, 0.3290)
SRGB: Chromaticities = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: dict[int, tuple[str, Chromaticities]] = {
    1: ("BT.709", SRGB),
    4: ("NTSC", (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: ("PAL", (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    6: ("SMPTE-C", (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    7: ("SMPTE-C", (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    8: ("film", (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049)),
    9: ("BT.2020", (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    11: ("DCI-P3", (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: ("Display P3", (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    22: ("EBU 3213", (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077)),
}
"""ITU-T H.273, table 2."""
_ADOBE_RGB: Chromaticities = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_ALIKE = 0.005
"""Difference of a chromaticity that nobody sees."""
_DISPLAY_GAMMA = 2.2
_GAMMA_ALIKE = 0.05
"""Part by which a gamma may differ from 2.2 and be taken for sRGB's curve, as in libpng."""
_MOST_GAMMA = 10.0
_CURVES_ALIKE = 0.02
"""Difference of light, of white's, by which a table may differ from sRGB's."""
_VIDEO = (1, 6, 11, 12, 14, 15)
"""Camera curves of video; viewers of still images show them like sRGB."""
_WHITE_NITS = 203
"""Luminance of white among highlights, ITU-R BT.2408."""
_KNEE = 0.8
"""Light of white's from which highlights are compressed."""
_ROWS = 1 << 20


@dataclass(frozen=True)
class Signal:
    """What a file says of its colours: how samples of [0, 1] become light, where 1 is white, and the primaries."""

    source: str
    """Name of the field or chunk, for notes."""
    curve: str = ""
    """Name of the transfer function; empty where it is sRGB's, or so close that nobody sees it."""
    light: Callable[[Light], Light] | None = None
    """Returns the light of (..., channels) samples; for a transfer function that has a name and is to be converted."""
    highlights: bool = False
    """Whether there is light brighter than white."""
    gamut: str = ""
    """Name of the primaries; empty where they are sRGB's."""
    primaries: Chromaticities = SRGB
    gamma: float = 0
    """Exponent of a curve that stays and is a plain power; 0 where it is taken for sRGB's."""
    narrow: bool = False
    """Whether samples use the range of video, 16 to 235 of 255."""
    notes: tuple[str, ...] = ()

    @classmethod
    def from_cicp(cls, primaries: int, transfer: int, *, narrow: bool = False, source: str = "cICP") -> Self:
        """Return the meaning of numbers of ITU-T H.273; what is not specified or not known is taken for sRGB's, the latter with a note."""
        gamut, found = _PRIMARIES.get(primaries, ("", SRGB))
        notes: tuple[str, ...] = ()
        if primaries not in _PRIMARIES and primaries not in (0, 2):
            notes += (f"primaries {primaries} ({source}) are not known and were taken for sRGB's",)
        curve, light = _TRANSFERS.get(transfer, ("", None))
        if transfer in _VIDEO:
            notes += (f"the transfer function of video, {transfer} ({source}), was taken for sRGB's",)
        elif not curve and transfer not in (0, 2, 4, 13):
            notes += (f"transfer function {transfer} ({source}) is not known and was taken for sRGB's",)
        return cls(source, curve, light, transfer in (16, 18), "" if found == SRGB else gamut, found, _DISPLAY_GAMMA if transfer == 4 else 0, narrow, notes)

    @classmethod
    def from_gamma(cls, gamma: float, primaries: Chromaticities, *, source: str) -> Self:
        """Return the meaning of an exponent (1 is linear light, 2.2 a display; 0: not stated) and chromaticities (empty: not stated)."""
        notes: tuple[str, ...] = ()
        if gamma and not 1 / _MOST_GAMMA <= gamma <= _MOST_GAMMA:
            gamma, notes = 0, (f"a gamma of {gamma:.3g} ({source}) cannot be and was ignored",)
        if primaries and matrix(primaries) is None:
            primaries, notes = (), (*notes, f"the primaries ({source}) cannot be and were ignored")
        near = not primaries or max(abs(one - two) for one, two in zip(primaries, SRGB, strict=True)) <= _ALIKE
        gamut, primaries = ("", SRGB) if near else (_name_of(primaries), primaries)
        if not gamma or abs(gamma / _DISPLAY_GAMMA - 1) <= _GAMMA_ALIKE:
            return cls(source, gamut=gamut, primaries=primaries, gamma=gamma, notes=notes)
        curve = "linear light" if abs(gamma - 1) <= _GAMMA_ALIKE else f"gamma {gamma:.2g}"
        return cls(source, curve, lambda samples: samples**gamma, False, gamut, primaries, notes=notes)

    @classmethod
    def from_table(cls, table: tuple[float, ...], *, source: str) -> Self:
        """Return the meaning of a table of light, 0 to 65535, by sample, one for all channels or three that are the same."""
        light = np.array(table) / 65535
        if len(light) % 3 == 0 and np.array_equal(*light.reshape(3, -1)[[0, 1]]) and np.array_equal(*light.reshape(3, -1)[[1, 2]]):
            light = light[: len(light) // 3]
        if len(light) not in (256, 65536):
            return cls(source, notes=(f"the transfer function ({source}) has another length than one for all channels and was taken for sRGB's",))
        samples = np.linspace(0, 1, len(light))
        if min(np.abs(light - srgb_light(samples)).max(), np.abs(light - samples**_DISPLAY_GAMMA).max()) <= _CURVES_ALIKE:
            return cls(source)
        return cls(source, "another transfer function", lambda shares: light[np.rint(shares * (len(light) - 1)).astype(np.int64)])

    def applied(self, picture: Picture) -> Picture:
        """Return the picture with sRGB's transfer function and, where it has colours of other primaries, their ICC profile, with notes on what was done."""
        pixels, notes = picture.pixels, self.notes
        if self.light is not None:
            pixels = self._encoded(pixels, self.light)
            notes += (f"{self.curve} ({self.source}) converted to sRGB" + ("; what is brighter than white was compressed" if self.highlights else ""),)
        elif self.narrow:
            pixels = self._encoded(pixels, srgb_light)
        former, icc = picture.metadata.icc, b""
        if self.gamut and pixels.shape[2] == 3:
            icc = profile(self.gamut, self.primaries, self.gamma)
            notes += (f"{self.gamut} primaries ({self.source}) described by an ICC profile",)
        elif former and self.light is None and is_srgb(former):
            icc, former = former, b""
        if former:
            notes += (f"the ICC profile was left out, since {self.source} comes before it",)
        return replace(picture, pixels=pixels, metadata=replace(picture.metadata, icc=icc), notes=(*picture.notes, *notes))

    def _encoded(self, pixels: Pixels, light: Callable[[Light], Light]) -> Pixels:
        """Return whole samples with sRGB's transfer function: by a table of all levels where each channel is for itself, else some rows at a time."""
        full = full_scale(pixels)

        def encoded(samples: NDArray[np.generic]) -> Pixels:
            shares = samples.astype(np.float64) / full
            if self.narrow:
                shares = np.clip((shares - 16 / 255) / (219 / 255), 0, 1)
            levels: Pixels = np.rint(srgb_encoded(light(shares)) * full).astype(pixels.dtype)
            return levels

        if not self.highlights:
            table: Pixels = encoded(np.arange(full + 1)).astype(pixels.dtype)
            looked_up: Pixels = table[pixels]
            return looked_up
        rows = max(1, _ROWS // pixels[0].size)
        return np.concatenate([encoded(pixels[top : top + rows]) for top in range(0, len(pixels), rows)])


def srgb_light(samples: Light) -> Light:
    """Return the light of sRGB samples of [0, 1], IEC 61966-2-1."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def srgb_encoded(light: Light) -> Light:
    """Return the samples of light, both of [0, 1], IEC 61966-2-1."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _pq(samples: Light) -> Light:
    """Return light by the perceptual quantiser (SMPTE ST 2084), with highlights compressed."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = samples ** (1 / m2)
    return _compressed((np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) * (10_000 / _WHITE_NITS))


def _hlg(samples: Light) -> Light:
    """Return light by hybrid log-gamma (ITU-R BT.2100) on a display of 1,000 nits, with highlights compressed."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(samples <= 0.5, samples**2 / 3, (np.exp((samples - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593]) if scene.shape[-1] == 3 else scene[..., 0]
    return _compressed(scene * (luminance**0.2)[..., None] * (1_000 / _WHITE_NITS))


def _compressed(light: Light) -> Light:
    """Return light with the brightest channel of a pixel below white, its colour kept; what is below the knee stays as it is."""
    brightest = light.max(axis=-1, keepdims=True)
    over = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    return light * np.where(over > 0, (_KNEE + (1 - _KNEE) * -np.expm1(-over)) / np.maximum(brightest, _KNEE), 1)


def _smpte_240(samples: Light) -> Light:
    return np.where(samples < 0.0913, samples / 4, ((samples + 0.1115) / 1.1115) ** (1 / 0.45))


_TRANSFERS: dict[int, tuple[str, Callable[[Light], Light]]] = {
    5: ("gamma 2.8", lambda samples: samples**2.8),
    7: ("SMPTE 240M", _smpte_240),
    8: ("linear light", lambda samples: samples),
    9: ("logarithmic samples", lambda samples: np.where(samples > 0, 10 ** (2 * samples - 2), 0)),
    10: ("logarithmic samples", lambda samples: np.where(samples > 0, 10 ** (2.5 * samples - 2.5), 0)),
    16: ("PQ", _pq),
    17: ("SMPTE 428", lambda samples: samples**2.6 * (52.37 / 48)),
    18: ("HLG", _hlg),
}
"""ITU-T H.273, table 3."""


def _name_of(primaries: Chromaticities) -> str:
    known = {"Adobe RGB": _ADOBE_RGB} | dict(_PRIMARIES.values())
    return next((name for name, values in known.items() if max(abs(one - two) for one, two in zip(primaries, values, strict=True)) <= _ALIKE), "other")


def matrix(primaries: Chromaticities) -> Light | None:
    """Return the matrix from RGB to XYZ, or None where no colours have such chromaticities."""
    if any(y <= 0 or not 0 <= x <= 1 or y > 1 for x, y in zip(primaries[::2], primaries[1::2], strict=True)):
        return None
    white, *colours = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in zip(primaries[::2], primaries[1::2], strict=True))
    columns = np.stack(colours, 1)
    if abs(np.linalg.det(columns)) < 1e-6:
        return None
    shares = np.linalg.solve(columns, white)
    return columns * shares if (shares > 0).all() else None


def profile(name: str, primaries: Chromaticities, gamma: float = 0) -> bytes:
    """Return an ICC profile (version 4.3, ICC.1:2010) of primaries, with a plain exponent or, where that is 0, sRGB's transfer function."""
    colours = matrix(primaries)
    assert colours is not None
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50 = np.array([0.9642, 1.0, 0.8249])
    cones = (bradford @ d50) / (bradford @ colours.sum(axis=1))
    adaptation = np.linalg.inv(bradford) @ (cones[:, None] * bradford)
    red, green, blue = (adaptation @ colours).T

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    def text(words: str) -> bytes:
        encoded = words.encode("utf-16-be")
        return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(encoded), 28) + encoded

    curve = fixed(gamma) if gamma else fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    curves = b"para" + struct.pack(">IHH", 0, 0 if gamma else 3, 0) + curve
    values = {b"desc": text(f"{name} primaries"), b"cprt": text("public domain"), b"wtpt": b"XYZ \0\0\0\0" + fixed(*d50)}
    values |= {b"chad": b"sf32\0\0\0\0" + fixed(*adaptation.ravel())}
    values |= {tag: b"XYZ \0\0\0\0" + fixed(*colour) for tag, colour in ((b"rXYZ", red), (b"gXYZ", green), (b"bXYZ", blue))}
    values |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curves)
    start = 128 + 4 + 12 * len(values)
    table, body, places = struct.pack(">I", len(values)), b"", dict[bytes, int]()
    for tag, value in values.items():
        if value not in places:
            places[value] = start + len(body)
            body += value + b"\0" * (-len(value) % 4)
        table += tag + struct.pack(">II", places[value], len(value))
    header = struct.pack(">I4xI", start + len(body), 0x04300000) + b"mntrRGB XYZ " + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp"
    return (header.ljust(68, b"\0") + fixed(*d50)).ljust(128, b"\0") + table + body
