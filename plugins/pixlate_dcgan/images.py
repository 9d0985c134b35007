"""Training images with noise."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

import pixlate
from pixlate.data.folders import check_sizes, list_images, split_held_out
from pixlate.data.patches import PatchReader, cut, epoch_indices, resized, sample_seed, to_tensor
from pixlate.data.pixels import passing_over, read_pixels
from pixlate.plugin.data import Batch, Draw
from pixlate_dcgan.options import ImagesOptions

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels


class NoisyImages:
    """A random square of each image, and standard normal noise.

    Args:
        folders: Of the images.
        options: Sizes, mirroring, and how many images validation gets.
        spec: Of the network, which says how many channels and numbers it takes.
    """

    validated = False

    def __init__(self, folders: Sequence[Path], options: ImagesOptions, spec: pixlate.ModelSpec) -> None:
        paths = list_images(folders)
        if not options.resize:
            check_sizes([(path,) for path in paths], options.patch, options.damaged)
        self.paths, self.held_out = split_held_out(paths, options.hold_out)
        self.images = len(self.paths)
        self.options, self.channels, self.length = options, spec.channels_out, spec.conditions[0].length
        self._reader = PatchReader(options)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose images: each epoch goes through all of them in an order of its own."""
        indices = epoch_indices(self.images, start, count, seed)
        return [Draw((index,), sample_seed(number, seed)) for number, index in enumerate(indices, start)]

    def load(self, draw: Draw, side: int) -> Batch:
        """Read an image, (channels, side, side), and draw noise, (length,)."""
        (index,) = draw.indices
        (patch,) = self._reader.patches(index, lambda: self._read(self.paths[index]), np.random.default_rng((draw.seed, 0)))
        return {"target": to_tensor(resized(patch, side, side)), "noise": self._noise((draw.seed, 1))}

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield a square of each held-out image, with noise of its own that is the same each time."""
        for index, path in enumerate(self.held_out):
            with passing_over(self.options.damaged):
                whole = self._reader.resized(self._read(path), self.options.keep_aspect)
                (target,) = cut(whole, self.options.patch, mirror=False, generator=np.random.default_rng(index))
                yield {"target": to_tensor(target)[None], "noise": self._noise((index,))[None]}

    def _read(self, path: Path) -> "tuple[Pixels, ...]":
        return (read_pixels(path, self.channels),)

    def _noise(self, seed: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(np.random.default_rng(seed).standard_normal(self.length, np.float32))
