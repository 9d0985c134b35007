"""Sizes, crops and mirrors of pixels, alike for all images of a sample."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from pixlate.data.pixels import to_unit
from pixlate.images import Pixels


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return an image at another size: what shrinks is averaged over areas, what grows is interpolated bicubically."""
    less = min(height, pixels.shape[0]), min(width, pixels.shape[1])
    for (rows, columns), how in ((less, cv2.INTER_AREA), ((height, width), cv2.INTER_CUBIC)):
        if (rows, columns) != pixels.shape[:2]:
            groups = (np.ascontiguousarray(pixels[:, :, first : first + 4]) for first in range(0, pixels.shape[2], 4))  # OpenCV takes up to 4 channels
            done: Any = [cv2.resize(group, (columns, rows), interpolation=how).reshape(rows, columns, -1) for group in groups]
            pixels = np.concatenate(done, axis=2) if len(done) > 1 else done[0]
    return np.clip(pixels, 0, 1) if pixels.dtype == np.float32 else pixels


def size_for(pixels: Pixels, side: int, keep_aspect: bool) -> tuple[int, int]:
    """Return height and width that ``--resize`` gives an image: a square, or the shorter side alone; 0 is the image's own size."""
    height, width = pixels.shape[:2]
    if not side:
        return height, width
    shorter = min(height, width) if keep_aspect else 0
    return (round(height * side / shorter), round(width * side / shorter)) if shorter else (side, side)


def cut(images: Sequence[Pixels], patch: int, mirror: bool, generator: np.random.Generator) -> list[Pixels]:
    """Return the same random patch of images of one size, mirrored left to right half of the time where ``mirror`` is set."""
    height, width = images[0].shape[:2]
    top, left = (int(generator.integers(side - patch + 1)) for side in (height, width))
    step = -1 if generator.random() < 0.5 and mirror else 1
    return [image[top : top + patch, left : left + patch][:, ::step].copy() for image in images]


def whole(pixels: Pixels, multiple: int) -> Pixels:
    """Return an image without the rows and columns at its bottom and right that a network cannot take."""
    height, width = (side // multiple * multiple for side in pixels.shape[:2])
    return pixels[:height, :width]


def to_tensor(pixels: Pixels) -> Tensor:
    """Return an image as (channels, height, width) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(to_unit(pixels).transpose(2, 0, 1)))
