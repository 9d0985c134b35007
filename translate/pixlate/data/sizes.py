"""Sizes of training images, from their headers."""

import warnings
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Literal

from pixlate.data.folders import name_some
from pixlate.data.pixels import UnreadableImage, advised, size_of
from pixlate.errors import PixlateError

LARGEST_STRETCH = 0.03
"""Natural logarithm of the ratio of two aspects up to which images have the same shape."""
LEAST_ASPECT = 1.3
"""Least width over height of an image that holds a source and a target side by side."""


def unlike(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Return whether two sizes, (height, width), have another shape than rounding would explain."""
    return abs(log(first[0] * second[1] / (first[1] * second[0]))) > LARGEST_STRETCH


def too_narrow(height: int, width: int) -> bool:
    """Return whether an image is no wider than one picture alone would be, and so hardly holds two side by side."""
    return width < LEAST_ASPECT * height


def check_sizes(samples: Sequence[tuple[Path, ...]], patch: int, damaged: Literal["stop", "skip"], halves: int = 1) -> None:
    """Refuse images that keep their own size and are smaller than a patch, pairs of two sizes, and images that do not hold two side by side.

    Where images are resized, pairs of two shapes are warned of: one of them may be rotated.

    Args:
        samples: The files of each sample: one, or a source and its target.
        patch: Height and width of a patch, in pixels; 0 where images are resized.
        damaged: Whether a header that cannot be read is skipped here, to be named when its turn comes.
        halves: Images side by side in one file.

    Raises:
        PixlateError: Names the files.
    """
    small: list[Path] = []
    different: list[str] = []
    odd: list[str] = []
    narrow: list[str] = []
    for files in samples:
        try:
            sizes = [size_of(path) for path in files]
        except UnreadableImage as error:
            if damaged == "stop":
                raise advised(error) from error
            continue
        named = " and ".join(f"{path} ({width} x {height})" for path, (height, width) in zip(files, sizes, strict=True))
        small += [path for path, (height, width) in zip(files, sizes, strict=True) if min(height, width // halves) < patch]
        if len(set(sizes)) > 1:
            (different if patch or unlike(sizes[0], sizes[1]) else []).append(named)
        if halves == 2 and too_narrow(*sizes[0]):
            narrow.append(f"{files[0]} ({sizes[0][1]} x {sizes[0][0]})")
        if halves == 2 and sizes[0][1] % 2:
            odd.append(f"{files[0]} ({sizes[0][1]} pixels wide)")
    if 2 * len(narrow) > len(samples):
        raise PixlateError(
            f"expected images that hold source and target side by side, got {name_some(narrow)}; "
            "name two folders, SOURCE TARGET, or add --grey or --lines 1 where these are targets alone"
        )
    if odd:
        raise PixlateError(
            f"expected a source and a target of one width side by side, got {name_some(odd)}; fix them, or name two folders, of sources and of targets"
        )
    if different and not patch:
        warnings.warn(
            f"expected the two of a pair to have one shape, got {len(different)} that differ and are stretched, and may not show the same: "
            f"{name_some(different)}; turn or crop one of each",
            stacklevel=3,
        )
    elif different:
        raise PixlateError(f"expected the two of a pair to have one size with --resize 0, got {name_some(different)}; fix them, or set --resize")
    if small:
        raise PixlateError(
            f"expected images of at least {patch} x {patch} pixels (--patch) with --resize 0, got smaller ones: {name_some(small)}; "
            "lower --patch, set --resize, or take them out"
        )
