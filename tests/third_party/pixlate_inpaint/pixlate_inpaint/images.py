"""Photographs with something to fill."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixlate.data.folders import check_sizes, split_held_out
from pixlate.data.patches import PatchReader, epoch_indices, resized, sample_seed, to_tensor
from pixlate.data.pixels import passing_over, read_pixels
from pixlate.options import FolderOptions
from pixlate.plugin.data import Batch, Draw

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels


class MaskedImages:
    """The same random patch of a photograph and its mask.

    Args:
        pairs: Photographs and masks, whose white is what to fill.
        options: Sizes, mirroring, and how many images validation gets.
        multiple: What height and width of a validated image are a multiple of.
    """

    validated = True

    def __init__(self, pairs: Sequence[tuple[Path, Path]], options: FolderOptions, multiple: int) -> None:
        check_sizes(pairs, 0 if options.resize else options.patch, options.damaged)
        self.pairs, self.held_out = split_held_out(pairs, options.hold_out)
        self.images = len(self.pairs)
        self.options, self._reader = options, PatchReader(options, multiple)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose photographs: each epoch goes through all of them in an order of its own."""
        indices = epoch_indices(self.images, start, count, seed)
        return [Draw((index,), sample_seed(number, seed)) for number, index in enumerate(indices, start)]

    def load(self, draw: Draw, side: int) -> Batch:
        """Read a photograph and its mask, cropped and mirrored alike."""
        (index,) = draw.indices
        patches = self._reader.patches(index, lambda: _read(self.pairs[index]), np.random.default_rng(draw.seed), masks=1)
        return _sample(*(resized(patch, side, side) for patch in patches))

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield held-out photographs whole."""
        for files in self.held_out:
            with passing_over(self.options.damaged):
                sample = _sample(*self._reader.whole(_read(files)))
                yield {name: values[None] for name, values in sample.items()}


def _read(files: tuple[Path, Path]) -> "tuple[Pixels, Pixels]":
    return read_pixels(files[0], 3), read_pixels(files[1], 1)


def _sample(photograph: "Pixels", mask: "Pixels") -> Batch:
    target, hole = to_tensor(photograph), to_tensor(mask).round()  # resizing makes greys at the edges of a mask
    return {"source": target * (1 - hole), "target": target, "mask": hole}
