"""Between YCbCr of more than 8 bits and RGB of 16: FFmpeg's own conversion of RGB of 16 bits errs by several levels of 1023.

Those of 8 bits go through FFmpeg. Matrices and ranges are those of ITU-T H.273, 8.3: colours are sited as MPEG-2 has them, on every other column and between two rows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.plane import VideoPlane

Plane = NDArray[np.uint16]
Reals = NDArray[np.float32]
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
"""Number of the matrix -> weights of red and of blue in luma."""
_ROWS = 128
"""Rows of pixels that are computed at once; even."""
UNSPECIFIED, BT709, BT601 = 2, 1, 6
"""Numbers of matrices (ITU-T H.273, table 4)."""
_HD = 720
"""Rows from which a film that does not name its matrix is taken for BT.709, as players do."""
LIMITED, FULL = 1, 2
"""Ranges of samples, as FFmpeg numbers them."""


@dataclass(frozen=True)
class Colours:
    """How a film stores its colours, in the numbers of ITU-T H.273."""

    matrix: int
    """Between RGB and YCbCr."""
    full: bool = False
    """Whether samples use their full range."""
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def range(self) -> int:
        """The range of samples, as FFmpeg numbers it."""
        return FULL if self.full else LIMITED


def rows_of(plane: "VideoPlane") -> NDArray[np.uint8]:
    """Return the bytes of a plane, (rows, bytes of a row), which share its memory; rows may be longer than its pixels take."""
    return np.frombuffer(cast("bytes", plane), np.uint8).reshape(-1, plane.line_size)


def usual_matrix(width: int, height: int) -> int:
    """Return the matrix of a film that names none."""
    return BT709 if min(width, height) >= _HD else BT601


def weights(matrix: int) -> tuple[float, float]:
    """Return the weights of red and blue; of a matrix that is not known those of BT.709."""
    return _WEIGHTS.get(matrix, _WEIGHTS[1])


def to_rgb(planes: tuple[Plane, Plane, Plane], bits: int, matrix: int, full: bool) -> NDArray[np.uint16]:
    """Return RGB of 16 bits (height, width, 3) of luma (height, width) and two colour planes, which may have half its width and height."""
    luma, blue, red = planes
    height, width = luma.shape
    down, across = (2 if side > theirs else 1 for side, theirs in zip(luma.shape, blue.shape, strict=True))
    kr, kb = weights(matrix)
    rgb = np.empty((height, width, 3), np.uint16)
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        y = _unit(luma[top:bottom], bits, full, colour=False)
        cb, cr = (_enlarged(_unit(_around(plane, top, bottom, down), bits, full, colour=True), bottom - top, width, down, across) for plane in (blue, red))
        r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
        g = (y - kr * r - kb * b) / (1 - kr - kb)
        for channel, values in enumerate((r, g, b)):
            rgb[top:bottom, :, channel] = np.rint(np.clip(values, 0, 1) * 65535)
    return rgb


def from_rgb(rgb: NDArray[np.uint16], bits: int, matrix: int, full: bool, down: int, across: int) -> tuple[Plane, Plane, Plane]:
    """Return luma and colour planes, with so many rows and columns for one colour, of RGB of 16 bits (height, width, 3); both divide the sides."""
    height, width = rgb.shape[:2]
    kr, kb = weights(matrix)
    luma = np.empty((height, width), np.uint16)
    blue, red = (np.empty((height // down, width // across), np.uint16) for _ in range(2))
    for top in range(0, height, _ROWS):
        r, g, b = np.moveaxis(rgb[top : top + _ROWS].astype(np.float32) / 65535, 2, 0)
        y = kr * r + (1 - kr - kb) * g + kb * b
        luma[top : top + _ROWS] = _stored(y, bits, full, colour=False)
        for plane, values in ((blue, (b - y) / (2 * (1 - kb))), (red, (r - y) / (2 * (1 - kr)))):
            plane[top // down : (top + _ROWS) // down] = _stored(_reduced(values, down, across), bits, full, colour=True)
    return luma, blue, red


def _unit(samples: Plane, bits: int, full: bool, colour: bool) -> Reals:
    """Return luma in [0, 1], or colours in [-0.5, 0.5]."""
    zero, most = _levels(bits, full, colour)
    values: Reals = (samples.astype(np.float32) - np.float32(zero)) / np.float32(most)
    return values


def _stored(values: Reals, bits: int, full: bool, colour: bool) -> Plane:
    """Return what :func:`_unit` undoes."""
    zero, most = _levels(bits, full, colour)
    stored: Plane = np.clip(np.rint(values * np.float32(most) + np.float32(zero)), 0, 2**bits - 1).astype(np.uint16)
    return stored


def _levels(bits: int, full: bool, colour: bool) -> tuple[int, int]:
    """Return the level of nothing, and how many there are from 0 to 1 (ITU-T H.273, 8.3)."""
    if full:
        return 2 ** (bits - 1) if colour else 0, 2**bits - 1
    step: int = 2 ** (bits - 8)
    return (128 if colour else 16) * step, (224 if colour else 219) * step


def _around(plane: Plane, top: int, bottom: int, down: int) -> Plane:
    """Return the rows of a colour plane for rows of pixels, with one more on both sides where two rows share one; at the edges repeated."""
    if down == 1:
        return plane[top:bottom]
    rows = np.clip(np.arange(top // 2 - 1, (bottom + 1) // 2 + 1), 0, len(plane) - 1)
    return plane[rows]


def _enlarged(colours: Reals, height: int, width: int, down: int, across: int) -> Reals:
    """Return a colour for each pixel, between the nearest."""
    if down == 2:
        rows = np.empty((2 * (len(colours) - 2), colours.shape[1]), np.float32)
        rows[0::2] = 0.75 * colours[1:-1] + 0.25 * colours[:-2]
        rows[1::2] = 0.75 * colours[1:-1] + 0.25 * colours[2:]
        colours = rows[:height]
    if across == 2:
        columns = np.empty((len(colours), 2 * colours.shape[1]), np.float32)
        columns[:, 0::2] = colours
        columns[:, 1:-1:2] = (colours[:, :-1] + colours[:, 1:]) / 2
        columns[:, -1] = colours[:, -1]
        colours = columns[:, :width]
    return colours


def _reduced(values: Reals, down: int, across: int) -> Reals:
    """Return the mean of the pixels that share a colour."""
    if down == 2:
        values = (values[0::2] + values[1::2]) / np.float32(2)
    if across == 2:
        padded = np.pad(values, ((0, 0), (1, 0)), "edge")
        values = (padded[:, 0:-1:2] + 2 * padded[:, 1::2] + padded[:, 2::2]) / np.float32(4)
    return values
