"""Training data whose source is made from its target: photographs and their bicubic reductions, or their degraded copies."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pixlate.data.degradation import Degradation, reduced
from pixlate.data.folders import list_images, split_held_out
from pixlate.data.patches import Decoded, PixelCache, sample_seed, to_tensor
from pixlate.data.pixels import passing_over, read_pixels, size_of
from pixlate.data.transforms import Transforms
from pixlate.errors import PixlateError
from pixlate.images import Pixels
from pixlate.images.picture import to_8_bits
from pixlate.options import DegradedOptions
from pixlate.plugin.data import Batch, Draw

LEAST_HELD_OUT = 8
"""Least source height and width of an image that validation measures."""
VALIDATION = 1
"""Keeps the random numbers of held-out images apart from those of training."""
MARGIN = 4
"""Source pixels around a patch that are reduced with it after a transform: Pillow's bicubic kernel reaches two far."""


@dataclass(frozen=True)
class _Copy:
    """A photograph at one of the sizes it is used at."""

    path: Path
    factor: float
    height: int
    """Of its source."""
    width: int


class DegradedImages:
    """Random patches of photographs with their reductions by ``scale``, both RGB in [0, 1].

    The reduction is Pillow's BICUBIC, which filters against aliasing as the benchmark sets do. It is computed once on the whole
    image, so a patch has its true surroundings; as many images as ``cache`` allows are kept decoded, as 8-bit pixels.

    Args:
        folders: Searched recursively for photographs.
        scale: Factor from source to target.
        options: Patch size, copies at other sizes, transforms of sources, and how many images validation gets.
        multiple: Height and width of a validated source are multiples of it.

    Raises:
        PixlateError: A folder is missing, a header cannot be read, photographs are too small, or nothing makes sources differ from targets.
    """

    validated = True

    def __init__(self, folders: Sequence[Path], scale: int, options: DegradedOptions, multiple: int = 1) -> None:
        self.scale, self.options = scale, options
        self._degradation = Degradation(options, scale)
        if scale == 1 and not self._degradation.active:
            raise PixlateError(
                "expected a degradation at --scale 1, where sources would equal their targets; add --noise 25, --jpeg 10, --darken 4, --blur 2 or --degradation second-order"
            )
        training, self.held_out = split_held_out(list_images(folders), options.hold_out)
        copies = self._readable(training, options.rescale, options.patch)
        self.copies = [copy for each in copies for copy in each]
        least = f"photographs of at least {options.patch * scale} pixels on each side (patch {options.patch} x scale {scale})"
        if not self.copies:
            raise PixlateError(f"expected {least}, got only smaller ones; lower --patch")
        if small := sum(not each for each in copies):
            warnings.warn(f"expected {least}; {small} of {len(copies)} are smaller and not trained on: lower --patch to use them", stacklevel=2)
        held_out = max(LEAST_HELD_OUT, multiple)
        self._whole = [copy for each in self._readable(self.held_out, (1.0,), held_out, multiple) for copy in each]
        if self.held_out and not self._whole:
            raise PixlateError(
                f"expected held-out photographs of at least {held_out * scale} pixels on each side, got only smaller ones; take out small images or set --hold-out 0"
            )
        self.images = len(self.copies)
        areas = np.cumsum([float(copy.height * copy.width) for copy in self.copies])
        self._shares = areas / areas[-1]
        self._cache = PixelCache(options.cache)
        self._transforms = Transforms(options.transforms) if options.transforms else None
        self._validation_degraded = self._degradation.active and (options.degrade_validation or scale == 1)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose copies of photographs at random, each as often as its area is large; an epoch is as many as there are."""
        seeds = [sample_seed(number, seed) for number in range(start, start + count)]
        return [Draw((int(np.searchsorted(self._shares, np.random.default_rng((own, 1)).random(), side="right")),), own) for own in seeds]

    def load(self, draw: Draw, side: int) -> Batch:
        """Read a patch, (3, side, side) and (3, side * scale, side * scale), rotated and flipped at random."""
        copy = self.copies[draw.indices[0]]
        source, target = self._cache.get(copy, lambda: self.pair(copy))
        generator = np.random.default_rng(draw.seed)
        top, left = (int(generator.integers(length - side + 1)) for length in source.shape[:2])
        turns, mirror = int(generator.integers(4)), int(generator.integers(2))
        if self._transforms or self._degradation.active:
            source, target, top, left = self._changed(target, top, left, side, generator)
        sample = {}
        for name, image, times in (("source", source, 1), ("target", target, self.scale)):
            crop = np.rot90(image[top * times : (top + side) * times, left * times : (left + side) * times], turns)
            sample[name] = to_tensor(crop[:, ::-1] if mirror else crop)
        return sample

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield the held-out images whole, as batches of one; their sources are reduced alone, or degraded each with a seed of its own."""
        for number, copy in enumerate(self._whole):
            with passing_over(self.options.damaged):
                source, target = self.pair(copy)
                if self._validation_degraded:
                    source = self._degradation(target, np.random.default_rng((number, VALIDATION)))
                yield {"source": to_tensor(source)[None], "target": to_tensor(target)[None]}

    def pair(self, copy: _Copy) -> Decoded:
        """Read the source and target of a copy, 8-bit (height, width, 3) each."""
        photograph = Image.fromarray(to_8_bits(read_pixels(copy.path, 3)))
        if copy.factor != 1.0:
            photograph = photograph.resize((round(photograph.width * copy.factor), round(photograph.height * copy.factor)), Image.Resampling.BICUBIC)
        target = photograph.crop((0, 0, copy.width * self.scale, copy.height * self.scale))
        levels = np.array(target)
        return reduced(levels, self.scale), levels

    def _readable(self, paths: Sequence[Path], rescale: tuple[float, ...], least: int, multiple: int = 1) -> list[list[_Copy]]:
        """Return the copies of each file that can be read; refuse files of which none can."""
        copies: list[list[_Copy]] = []
        for path in paths:
            with passing_over(self.options.damaged):
                copies.append(self._copies(path, rescale, least, multiple))
        if paths and not copies:
            raise PixlateError(f"expected photographs that can be read, got {len(paths)} that cannot, such as {paths[0]}; fix them or take them out")
        return copies

    def _copies(self, path: Path, rescale: tuple[float, ...], least: int, multiple: int) -> list[_Copy]:
        """Return one file at each size, cut to sources whose sides are multiples; those of less than ``least`` pixels a side are left out."""
        size = size_of(path)
        copies = [_Copy(path, factor, *(round(side * factor) // self.scale // multiple * multiple for side in size)) for factor in rescale]
        return [copy for copy in copies if min(copy.height, copy.width) >= least]

    def _changed(self, target: Pixels, top: int, left: int, side: int, generator: np.random.Generator) -> tuple[Pixels, Pixels, int, int]:
        """Return source and target of a patch with some of its surroundings, which is transformed and degraded, and where the patch is in it."""
        margin = max(MARGIN if self._transforms else 0, self._degradation.margin if self._degradation.active else 0)
        height, width = (length // self.scale for length in target.shape[:2])
        rows, columns = (slice(max(0, first - margin), min(length, first + side + margin)) for first, length in ((top, height), (left, width)))
        changed = target[rows.start * self.scale : rows.stop * self.scale, columns.start * self.scale : columns.stop * self.scale].copy()
        if self._transforms:
            (changed,) = self._transforms([changed], int(generator.integers(2**32)))
        source = self._degradation(changed, generator) if self._degradation.active else reduced(changed, self.scale)
        return source, changed, top - rows.start, left - columns.start
