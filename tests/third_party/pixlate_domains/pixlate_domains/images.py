"""The training images of several domains."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pixlate.data.folders import check_sizes, list_images, split_held_out
from pixlate.data.patches import PatchReader, epoch_indices, resized, sample_seed, to_tensor
from pixlate.data.pixels import passing_over, read_pixels
from pixlate.options import FolderOptions
from pixlate.plugin.data import Batch, Draw

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels


class DomainImages:
    """Random patches of images, each with one of another domain.

    Args:
        folders: One for each domain, in the order of their labels.
        options: Sizes, mirroring, and how many images of each domain validation gets.
        multiple: What height and width of a validated image are a multiple of.
    """

    validated = False

    def __init__(self, folders: Sequence[Path], options: FolderOptions, multiple: int) -> None:
        lists = [list_images([folder]) for folder in folders]
        if not options.resize:
            check_sizes([(path,) for paths in lists for path in paths], options.patch, options.damaged)
        split = [split_held_out(paths, options.hold_out) for paths in lists]
        self.training = [(path, label) for label, (paths, _) in enumerate(split) for path in paths]
        self.counts = [len(paths) for paths, _ in split]
        self.held_out = [held for _, held in split]
        self.images = len(self.training)
        self.options, self._reader = options, PatchReader(options, multiple)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose sources, each epoch all in an order of its own, and a target of another domain for each."""
        draws = []
        for number, index in enumerate(epoch_indices(self.images, start, count, seed), start):
            own = sample_seed(number, seed)
            label = self.training[index][1]
            other = int(np.random.default_rng(own).integers(self.images - self.counts[label]))
            first = sum(self.counts[:label])  # images are sorted by label
            draws.append(Draw((index, other if other < first else other + self.counts[label]), own))
        return draws

    def load(self, draw: Draw, side: int) -> Batch:
        """Read a source and a target, (channels, side, side) each, and their labels."""
        sample: Batch = {}
        for index, image, label in zip(draw.indices, ("source", "target"), ("origin", "domain"), strict=True):
            path, domain = self.training[index]
            generator = np.random.default_rng((draw.seed, len(sample)))
            (patch,) = self._reader.patches(index, partial(_read, path), generator)
            sample |= {image: to_tensor(resized(patch, side, side)), label: torch.tensor(domain)}
        return sample

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield the held-out images of each domain, with those of the next one."""
        for origin, sources in enumerate(self.held_out):
            domain = (origin + 1) % len(self.held_out)
            for files in zip(sources, self.held_out[domain], strict=True):
                with passing_over(self.options.damaged):
                    source, target = (to_tensor(*self._reader.whole(_read(path)))[None] for path in files)
                    yield {"source": source, "target": target, "origin": torch.tensor([origin]), "domain": torch.tensor([domain])}


def _read(path: Path) -> "tuple[Pixels, ...]":
    return (read_pixels(path, 3),)
