"""Patches and whole images of files, as the options of folders say: what data kinds that read folders share."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

import numpy as np

from pixlate.data.cache import Decoded, PixelCache
from pixlate.data.patches import cut, resized, size_for, whole
from pixlate.data.transforms import Transforms
from pixlate.options.training import FolderOptions

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels


class PatchReader:
    """Sizes, crops, mirrors and transforms images, and keeps decoded ones in memory.

    Images of one sample share geometry: they have the same size, and are cropped and mirrored alike.

    Args:
        options: ``patch``, ``resize``, ``keep_aspect``, ``mirror``, ``transforms`` and ``cache`` are read here.
        multiple: What height and width of a whole image are a multiple of.
    """

    def __init__(self, options: FolderOptions, multiple: int = 1) -> None:
        self.options, self.multiple = options, multiple
        self._cache = PixelCache(options.cache)
        self._transforms = Transforms(options.transforms) if options.transforms else None

    def patches(self, key: Hashable, read: Callable[[], Decoded], generator: np.random.Generator, masks: int = 0) -> "list[Pixels]":
        """Return a random patch of the images of one sample, (patch, patch, channels) each.

        Args:
            key: Of the sample; its images are kept under it.
            read: Returns the images, (height, width, channels).
            generator: Source of random numbers.
            masks: How many of the last images are masks, whose values transforms of colour leave alone.
        """
        images = cut(self._cache.get(key, lambda: self.resized(read(), self.options.keep_aspect)), self.options.patch, self.options.mirror, generator)
        if self._transforms:
            first = len(images) - masks
            images = self._transforms(images[:first], int(generator.integers(2**32)), images[first:])
        return images

    def resized(self, images: Decoded, keep_aspect: bool = True) -> Decoded:
        """Return the images of a sample at the size that ``resize`` gives the last of them."""
        size = size_for(images[-1], self.options.resize, keep_aspect)
        return tuple(resized(image, *size) for image in images)

    def whole(self, images: Decoded) -> "list[Pixels]":
        """Return the images of a sample for validation, the shorter side at ``resize``, without rows and columns that a network cannot take."""
        return [whole(image, self.multiple) for image in self.resized(images)]
