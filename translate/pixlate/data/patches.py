"""What data kinds that read folders share: the order of an epoch, decoded images kept in memory, and patches as the options say."""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pixlate.data.pixels import to_unit
from pixlate.data.transforms import Transforms
from pixlate.images import Pixels
from pixlate.options.training import FolderOptions

Decoded = tuple[Pixels, ...]
"""The images of one sample."""
_ORDER, _SAMPLE = 0, 1
"""Keep the two kinds of random numbers of one seed apart."""


class PatchReader:
    """Sizes, crops, mirrors and transforms images, and keeps decoded ones in memory.

    Images of one sample share geometry: they have the same size, and are cropped and mirrored alike. Height and width of whole images are multiples
    of ``multiple``.
    """

    def __init__(self, options: FolderOptions, multiple: int = 1) -> None:
        self.options, self.multiple = options, multiple
        self._cache = PixelCache(options.cache)
        self._transforms = Transforms(options.transforms) if options.transforms else None

    def patches(self, key: Hashable, read: Callable[[], Decoded], generator: np.random.Generator, masks: int = 0) -> list[Pixels]:
        """Return a random patch of the images of one sample, (patch, patch, channels) each.

        ``read`` returns the images, (height, width, channels), which are kept in memory under ``key``. The last ``masks`` of them are masks, whose values
        transforms of colour leave alone.
        """
        images = cut(self._cache.get(key, lambda: self.resized(read(), self.options.keep_aspect)), self.options.patch, self.options.mirror, generator)
        if self._transforms:
            first = len(images) - masks
            images = self._transforms(images[:first], int(generator.integers(2**32)), images[first:])
        return images

    def resized(self, images: Decoded, keep_aspect: bool = True) -> Decoded:
        """Return the images of a sample at the size that ``resize`` gives the last of them."""
        size = size_for(images[-1], self.options.resize, keep_aspect)
        resize = bicubic if self.options.resampling == "bicubic" else resized
        return tuple(resize(image, *size) for image in images)

    def whole(self, images: Decoded) -> list[Pixels]:
        """Return the images of a sample for validation, the shorter side at ``resize``, without rows and columns that a network cannot take."""
        return [whole(image, self.multiple) for image in self.resized(images)]


class PixelCache:
    """Keeps what was read first until it is full, and reads the rest again each time.

    Training goes through all images in random order, so each is equally likely to be needed next: evicting one for another gains nothing.
    """

    def __init__(self, mebibytes: int) -> None:
        self.free = mebibytes * 2**20
        self._kept: dict[Hashable, Decoded] = {}
        self._lock = Lock()

    def get(self, key: Hashable, read: Callable[[], Decoded]) -> Decoded:
        """Return the images of a key, which are not to be written to; thread-safe."""
        if key in self._kept:
            return self._kept[key]
        images = read()
        size = sum(image.nbytes for image in images)
        for image in images:
            image.flags.writeable = False
        with self._lock:
            if key not in self._kept and size <= self.free:
                self.free -= size
                self._kept[key] = images
        return images


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return an image at another size: what shrinks is averaged over areas, what grows is interpolated bicubically."""
    less = min(height, pixels.shape[0]), min(width, pixels.shape[1])
    for (rows, columns), how in ((less, cv2.INTER_AREA), ((height, width), cv2.INTER_CUBIC)):
        if (rows, columns) != pixels.shape[:2]:
            groups = (np.ascontiguousarray(pixels[:, :, first : first + 4]) for first in range(0, pixels.shape[2], 4))  # OpenCV takes up to 4 channels
            done: Any = [cv2.resize(group, (columns, rows), interpolation=how).reshape(rows, columns, -1) for group in groups]
            pixels = np.concatenate(done, axis=2) if len(done) > 1 else done[0]
    return np.clip(pixels, 0, 1) if pixels.dtype == np.float32 else pixels


def bicubic(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return an image at another size, as Pillow's ``BICUBIC`` gives it: of 8 bits as Pillow rounds it, else computed in floating point."""
    if (height, width) == pixels.shape[:2]:
        return pixels
    planes = [Image.fromarray(np.ascontiguousarray(plane if pixels.dtype == np.uint8 else plane.astype(np.float32))) for plane in np.moveaxis(pixels, 2, 0)]
    done: Any = np.stack([np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC)) for plane in planes], axis=2)
    if pixels.dtype == np.uint16:
        done = np.clip(np.rint(done), 0, 65535).astype(np.uint16)
    resampled: Pixels = np.clip(done, 0, 1) if pixels.dtype == np.float32 else done
    return resampled


def size_for(pixels: Pixels, side: int, keep_aspect: bool) -> tuple[int, int]:
    """Return height and width that ``--resize`` gives an image: a square, or the shorter side alone; 0 is the image's own size."""
    height, width = pixels.shape[:2]
    if not side:
        return height, width
    if not keep_aspect:
        return side, side
    return round(height * side / min(height, width)), round(width * side / min(height, width))


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


def epoch_indices(images: int, start: int, count: int, seed: int) -> list[int]:
    """Return which image each of the samples ``start`` to ``start + count - 1`` of a run is: each epoch is a permutation."""
    return [int(_order(images, number // images, seed)[number % images]) for number in range(start, start + count)]


def sample_seed(number: int, seed: int) -> int:
    """Return the seed, below 2**32, of one sample of a run."""
    return int(np.random.SeedSequence((seed, _SAMPLE, number)).generate_state(1)[0])


@lru_cache(maxsize=4)
def _order(images: int, epoch: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(images)
