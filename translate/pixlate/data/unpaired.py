"""Training data of two kinds of images that do not show the same."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from pixlate.data.cache import Decoded
from pixlate.data.folders import ARRAY_SUFFIXES, check_apart, list_images, split_held_out
from pixlate.data.patches import resized, to_tensor
from pixlate.data.pixels import passing_over, read_pixels
from pixlate.data.reader import PatchReader
from pixlate.data.sampling import epoch_indices, sample_seed
from pixlate.data.sizes import check_sizes
from pixlate.options import UnpairedOptions
from pixlate.plugin.data import Batch, Draw


class UnpairedImages:
    """Random patches of sources, each with one of a target drawn at random.

    Args:
        source: Folder of sources, searched recursively.
        target: Folder of targets.
        options: Sizes, mirroring, and how many images of each folder validation gets.
        channels_in: Channels of a source.
        channels_out: Channels of a target.
        multiple: What height and width of a validated image are a multiple of.

    Raises:
        PixlateError: A folder is missing or too small, or holds images smaller than a patch.
    """

    validated = False

    def __init__(self, source: Path, target: Path, options: UnpairedOptions, channels_in: int, channels_out: int, multiple: int = 1) -> None:
        check_apart(source, target)
        self.options = options
        self.channels = channels_in, channels_out
        lists = [list_images([folder], ARRAY_SUFFIXES) for folder in (source, target)]
        if not options.resize:
            check_sizes([(path,) for paths in lists for path in paths], options.patch, options.damaged)
        (self.sources, held_sources), (self.targets, held_targets) = (split_held_out(paths, options.hold_out) for paths in lists)
        self.held_out = list(zip(held_sources, held_targets, strict=True))
        self.images = max(len(self.sources), len(self.targets))
        self._reader = PatchReader(options, multiple)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose samples: an epoch goes through the larger folder, and draws a partner for each from the other one."""
        draws = []
        for number, index in enumerate(epoch_indices(self.images, start, count, seed), start):
            own = sample_seed(number, seed)
            partner = int(np.random.default_rng((own, 2)).integers(min(len(self.sources), len(self.targets))))
            draws.append(Draw((index, partner) if len(self.sources) == self.images else (partner, index), own))
        return draws

    def load(self, draw: Draw, side: int) -> Batch:
        """Read a source and a target, (channels, side, side) each; crop, mirroring and transforms of the two are drawn independently."""
        files = self.sources[draw.indices[0]], self.targets[draw.indices[1]]
        sample = {}
        for place, (name, path, channels) in enumerate(zip(("source", "target"), files, self.channels, strict=True)):
            generator = np.random.default_rng((draw.seed, place))
            (patch,) = self._reader.patches((place, path), partial(_read, path, channels), generator)
            sample[name] = to_tensor(resized(patch, side, side))
        return sample

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield held-out sources and targets, one of each, which do not show the same."""
        for files in self.held_out:
            with passing_over(self.options.damaged):
                images = [self._reader.whole(_read(path, channels))[0] for path, channels in zip(files, self.channels, strict=True)]
                yield {name: to_tensor(image)[None] for name, image in zip(("source", "target"), images, strict=True)}


def _read(path: Path, channels: int) -> Decoded:
    return (read_pixels(path, channels),)
