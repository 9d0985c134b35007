"""Pictures of a folder as a network takes them, for the ranges of int8 and for the comparison with PyTorch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.images import read_picture
from pixlate.images.picture import to_8_bits
from pixlate.inference.sizes import allowed_size, pad
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import installed
from pixlate.plugin.spec import ModelSpec

MOST_PICTURES = 16
"""Pictures used of a folder, spread evenly over its names."""
LEAST_PICTURES = 4
LEAST_SPREAD = 0.02
"""Least standard deviation of a picture, of a range of 1: one of a single shade calibrates no layer's range, and any file agrees on it."""
LARGEST_SIDE = 320
"""Pixels of a picture used on each side, from its middle."""
MOST_PIXELS = 200_000_000

Planes = NDArray[np.float32]


@dataclass(frozen=True)
class Pictures:
    """Pictures (channels, height, width) in [0, 1]: those that set ranges, and others to judge by."""

    calibrating: Sequence[Planes]
    judging: Sequence[Planes]
    """A quarter of the pictures, which set no range."""
    told: str = ""
    """How many were used, and which were left out and why."""


def read_pictures(folder: Path, spec: ModelSpec) -> Pictures:
    """Read pictures of a folder, and of those below it, with the channels a network takes.

    Raises:
        PixlateError: It is no folder, or fewer than four pictures in it can be used.
    """
    if not folder.is_dir():
        raise PixlateError(f"expected --calibration to name a folder of typical source images, got {folder}; check its path")
    formats = installed().image_formats()
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in formats and path.is_file())
    if not paths:
        raise PixlateError(f"expected typical source images in {folder} for --calibration, found none; name another folder")
    chosen = [paths[index] for index in sorted({round(place) for place in np.linspace(0, len(paths) - 1, MOST_PICTURES)})]
    found: list[Planes] = []
    left_out: list[str] = []
    for path in chosen:
        try:
            found.append(_planes(path, spec, formats))
        except PixlateError as error:
            left_out.append(f"{path.name}: {error}")
    if len(found) < LEAST_PICTURES:
        reason = f" ({left_out[0]}{f', and {len(left_out) - 1} more' if len(left_out) > 1 else ''})" if left_out else ""
        raise PixlateError(
            f"expected at least {LEAST_PICTURES} typical source images in {folder} for --calibration, of which a quarter judge, got {len(found)} that can be "
            f"used{reason}; name another folder"
        )
    told = "; ".join([f"calibrated on {len(found) - len(found[::4])} pictures of {len(paths)}, judged by {len(found[::4])} others", *left_out])
    return Pictures([picture for index, picture in enumerate(found) if index % 4], found[::4], told)


def _planes(path: Path, spec: ModelSpec, formats: Mapping[str, ImageFormat]) -> Planes:
    """Return the middle of a picture, at least the size that the network takes."""
    pixels = to_8_bits(read_picture(path, max_pixels=MOST_PIXELS, formats=formats, channels=spec.channels_in).pixels)
    if pixels.shape[2] != spec.channels_in:
        if pixels.shape[2] != 1:
            raise PixlateError(f"expected {spec.channels_in} channels, got {pixels.shape[2]}; convert it to grey")
        pixels = np.repeat(pixels, spec.channels_in, axis=2)
    sides = [min(side, max(LARGEST_SIDE, spec.minimum)) for side in pixels.shape[:2]]
    top, left = ((have - side) // 2 for have, side in zip(pixels.shape, sides, strict=False))
    pixels = pixels[top : top + sides[0], left : left + sides[1]]
    if pixels.std() < LEAST_SPREAD * 255:
        raise PixlateError("it is of a single shade and calibrates nothing; leave it out")
    padded = pad(pixels[None], *allowed_size(sides[0], sides[1], spec), spec.padding)[0]
    return np.ascontiguousarray(padded.transpose(2, 0, 1), np.float32) / np.float32(255)
