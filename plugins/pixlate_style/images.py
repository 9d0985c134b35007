"""Photographs, and the picture whose style they take."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pixlate.data.folders import check_sizes, list_images, split_held_out
from pixlate.data.patches import PatchReader, epoch_indices, resized, sample_seed, size_for, to_tensor
from pixlate.data.pixels import passing_over, read_pixels
from pixlate.images.picture import Pixels, to_8_bits
from pixlate.plugin.data import Batch, Draw
from pixlate_style.options import PhotographOptions


class Photographs:
    """Random patches of photographs, as sources and targets alike.

    Args:
        folders: Of the photographs.
        options: Sizes, mirroring, and how many images validation gets.
        multiple: What height and width of a validated image are a multiple of.
    """

    validated = False

    def __init__(self, folders: Sequence[Path], options: PhotographOptions, multiple: int) -> None:
        files = list_images(folders)
        if not options.resize:
            check_sizes([(path,) for path in files], options.patch, options.damaged)
        self.files, self.held_out = split_held_out(files, options.hold_out)
        self.images = len(self.files)
        self.options, self._reader = options, PatchReader(options, multiple)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose photographs: each epoch goes through all of them in an order of its own."""
        indices = epoch_indices(self.images, start, count, seed)
        return [Draw((index,), sample_seed(number, seed)) for number, index in enumerate(indices, start)]

    def load(self, draw: Draw, side: int) -> Batch:
        """Read a patch of a photograph."""
        (index,) = draw.indices
        (patch,) = self._reader.patches(index, lambda: (read_pixels(self.files[index], 3),), np.random.default_rng(draw.seed))
        photograph = to_tensor(resized(patch, side, side))
        return {"source": photograph, "target": photograph}

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield held-out photographs whole."""
        for path in self.held_out:
            with passing_over(self.options.damaged):
                photograph = to_tensor(self._reader.whole((read_pixels(path, 3),))[0])[None]
                yield {"source": photograph, "target": photograph}


def read_style(path: Path, side: int) -> Tensor:
    """Return the square in the middle of a picture, uint8 (3, side, side), its shorter side resized to that.

    Raises:
        pixlate.PixlateError: The file cannot be read; names it.
    """
    pixels: Pixels = to_8_bits(read_pixels(path, 3))
    pixels = resized(pixels, *size_for(pixels, side, keep_aspect=True))
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return torch.from_numpy(np.ascontiguousarray(pixels[top : top + side, left : left + side].transpose(2, 0, 1)))
