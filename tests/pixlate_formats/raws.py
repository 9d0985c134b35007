"""Digital negatives (DNG) of flat colours, as cameras write them: an uncompressed colour filter array with its matrix."""

from io import BytesIO
from typing import Any

import numpy as np
import tifffile

SRGB_FROM_XYZ = ((3.2404542, -1.5371385, -0.4985314), (-0.969266, 1.8760108, 0.041556), (0.0556434, -0.2040259, 1.0572252))
"""IEC 61966-2-1: this camera sees as sRGB is."""


def dng(
    colour: tuple[float, float, float] = (0.2, 0.4, 0.1),
    *,
    height: int = 48,
    width: int = 64,
    orientation: int = 1,
    neutral: tuple[float, float, float] = (1, 1, 1),
    black: int = 0,
    white: int = 65535,
    pattern: tuple[int, int, int, int] = (0, 1, 1, 2),
    mark: bool = False,
    xmp: bytes = b"",
) -> bytes:
    """Return a negative of light of [0, 1] as the sensor sees it, white balance not applied; with a ``mark`` the left upper quarter is black."""
    sensor = np.empty((height, width), np.uint16)
    for place, channel in enumerate(pattern):
        sensor[place // 2 :: 2, place % 2 :: 2] = round(black + colour[channel] * (white - black))
    if mark:
        sensor[: height // 2, : width // 2] = black
    matrix = [part for row in SRGB_FROM_XYZ for value in row for part in (round(value * 10000), 10000)]
    shot = [part for value in neutral for part in (round(value * 10000), 10000)]
    tags: list[tuple[int, Any, int, Any, bool]] = [
        (274, "H", 1, orientation, True),
        (271, "s", 0, "Pixlate works", True),
        (272, "s", 0, "Test camera", True),
        (306, "s", 0, "2024:01:02 03:04:05", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, pattern, True),
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "Pixlate test camera", True),
        (50714, "H", 1, black, True),
        (50717, "H", 1, white, True),
        (50721, "2i", 9, tuple(matrix), True),
        (50728, "2I", 3, tuple(shot), True),
        (50778, "H", 1, 21, True),
    ]
    tags += [(700, "B", len(xmp), xmp, True)] if xmp else []
    stream = BytesIO()
    tifffile.imwrite(stream, sensor, photometric=32803, extratags=tags, metadata=None)
    return stream.getvalue()
