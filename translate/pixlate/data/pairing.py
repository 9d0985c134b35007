"""Training data of sources and targets: pairs that show the same (two folders, images side by side, sources made from targets), and two kinds that do not."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixlate.data.drawing import VALIDATION_THICKNESS, draw_lines, random_lines
from pixlate.data.edges import VALIDATION_STRENGTH, draw_edges, find_edges, random_edges, require_hed
from pixlate.data.folders import ARRAY_SUFFIXES, check_apart, check_sizes, list_images, match_by_name, split_held_out, without_partner
from pixlate.data.hiding import hidden
from pixlate.data.paper import on_paper
from pixlate.data.patches import Decoded, PatchReader, epoch_indices, resized, sample_seed, to_tensor, whole
from pixlate.data.pixels import passing_over, read_own, read_pixels, with_channels
from pixlate.errors import PixlateError
from pixlate.images import Pixels
from pixlate.images.picture import luma, to_8_bits
from pixlate.options import PairedOptions, UnpairedOptions
from pixlate.plugin.data import Batch, Draw


class PairedImages:
    """The same random patch of a source and its target.

    Folders are of sources and of targets, which are matched by their path without suffix; or one of images that hold both, side by side; or of targets
    alone where ``--grey``, ``--hidden`` or ``--lines 1`` makes the sources. Height and width of a validated image are multiples of ``multiple``.

    Raises:
        PixlateError: A folder is missing or too small, files have no partner, or sizes do not fit.
    """

    validated = True

    def __init__(self, folders: Sequence[Path], options: PairedOptions, channels_in: int, channels_out: int, multiple: int = 1) -> None:
        self.options, self.multiple = options, multiple
        self.channels = channels_in, channels_out
        self.made = bool(options.made)
        if (options.grey or options.lines) and not {channels_in, channels_out} <= {1, 3}:
            raise PixlateError(f"expected images of 1 or 3 channels with --grey and --lines, got {channels_in} and {channels_out}; leave the option out")
        if options.hidden and channels_in != channels_out:
            raise PixlateError(f"expected as many channels in as out with --hidden, got {channels_in} and {channels_out}; make them equal")
        if options.paper and channels_in not in (1, 3):
            raise PixlateError(f"expected drawings of 1 or 3 channels with --paper, got {channels_in}; leave the option out")
        samples = self._find(folders)
        halves = 2 if len(samples[0]) == 1 and not self.made else 1
        if not (self.made and options.resize):
            check_sizes(samples, 0 if options.resize else options.patch, options.damaged, halves)
        self.pairs, self.held_out = split_held_out(samples, options.hold_out)
        self.images = len(self.pairs)
        self._reader = PatchReader(options, multiple)
        self._edges = options.lines > 0 and options.line_drawer == "hed"
        """Whether samples hold HED's edges of the target, last."""
        if self._edges:
            require_hed()

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose pairs: each epoch goes through all of them in an order of its own."""
        indices = epoch_indices(self.images, start, count, seed)
        return [Draw((index,), sample_seed(number, seed)) for number, index in enumerate(indices, start)]

    def load(self, draw: Draw, side: int) -> Batch:
        """Read a pair, (channels, side, side) each, cropped, mirrored and transformed alike."""
        (index,) = draw.indices
        generator = np.random.default_rng(draw.seed)
        images = self._reader.patches(index, lambda: self._read(self.pairs[index]), generator, masks=int(self._edges))
        edges = images.pop() if self._edges else None
        target = images[-1]
        made = self.options.grey or self.options.hidden or generator.random() < self.options.lines
        source = self._source_of(target, edges, generator) if made else images[0]
        if self.options.paper and generator.random() < self.options.paper:
            source = self._photographed(source, generator)
        return {"source": to_tensor(resized(source, side, side)), "target": to_tensor(resized(target, side, side))}

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield held-out pairs whole, the shorter side at ``--resize``; sources that are drawn all have lines of one thickness."""
        for files in self.held_out:
            with passing_over(self.options.damaged):
                images = list(self._reader.resized(self._read(files)))
                edges = images.pop() if self._edges else None
                target = images[-1]
                source = self._source_of(target, edges) if self.made else images[0]
                yield {name: to_tensor(whole(image, self.multiple))[None] for name, image in (("source", source), ("target", target))}

    def _find(self, folders: Sequence[Path]) -> list[tuple[Path, ...]]:
        """Return the files of each pair: a source and a target, or one that holds all there is."""
        if self.made or len(folders) == 1:
            return [(path,) for path in list_images(folders, ARRAY_SUFFIXES)]
        source, target = reversed(folders) if self.options.reverse else folders
        pairs, alone = match_by_name(source, target)
        if alone:
            raise PixlateError(f"expected a source and a target of every name, got {len(alone)} without a partner: {without_partner(alone, source, target)}")
        return list(pairs)

    def _read(self, files: tuple[Path, ...]) -> Decoded:
        """Return source and target, or the target alone where the source is made from it, and HED's edges of the target where they are drawn."""
        images = self._read_files(files)
        return (*images, find_edges(to_8_bits(images[-1]))) if self._edges else images

    def _read_files(self, files: tuple[Path, ...]) -> Decoded:
        if self.made:
            return (read_pixels(files[0], self.channels[1]),)
        if len(files) == 2:
            return tuple(read_pixels(path, channels) for path, channels in zip(files, self.channels, strict=True))
        both = read_own(files[0], self.channels[1])
        middle = both.shape[1] // 2
        halves = [both[:, :middle], both[:, middle:]]
        if self.options.reverse:
            halves.reverse()
        return tuple(np.ascontiguousarray(with_channels(half, channels, files[0])) for half, channels in zip(halves, self.channels, strict=True))

    def _source_of(self, target: Pixels, edges: Pixels | None, generator: np.random.Generator | None = None) -> Pixels:
        """Return the source that is made from a target: it in grey, with parts hidden, or its lines; at random where there is a generator."""
        if self.options.hidden:
            return hidden(target, self.options.hidden, generator or np.random.default_rng(0))
        if self.options.grey:
            made = luma(target) if target.shape[2] == 3 else target
        else:
            made = self._lines_of(to_8_bits(target) if edges is None else to_8_bits(edges), edges is not None, generator)[:, :, None]
        return np.repeat(made, self.channels[0], axis=2)

    def _photographed(self, source: Pixels, generator: np.random.Generator) -> Pixels:
        """Return a drawing as a photograph of it, with the same channels."""
        levels = to_8_bits(source)
        grey = np.asarray(luma(levels) if levels.shape[2] == 3 else levels, np.uint8)
        photograph = on_paper(grey[:, :, 0], generator)
        return photograph if source.shape[2] == 3 else luma(photograph)

    def _lines_of(self, levels: NDArray[np.uint8], edges: bool, generator: np.random.Generator | None) -> NDArray[np.uint8]:
        """Return the lines, (height, width), of a target's levels or of its edges."""
        if generator is None:
            return draw_edges(levels, VALIDATION_STRENGTH) if edges else draw_lines(levels, VALIDATION_THICKNESS)
        return random_edges(levels, generator) if edges else random_lines(levels, generator)


class UnpairedImages:
    """Random patches of sources, each with one of a target drawn at random.

    Args:
        source: Folder of sources, searched recursively.
        target: Folder of targets, searched recursively.
        options: Sizes, mirroring, and how many images of each folder validation gets.
        channels_in: Channels of a source.
        channels_out: Channels of a target.
        multiple: Height and width of a validated image are multiples of it.

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
