"""Training data of distillation: crops of photographs, their degraded sources, and the teacher's pictures of these."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import pixlate
from pixlate.data.degradation import Degradation, reduced
from pixlate.data.folders import list_images, split_held_out
from pixlate.data.patches import PixelCache, epoch_indices, sample_seed, to_tensor, whole
from pixlate.data.pixels import passing_over, read_pixels, size_of
from pixlate.images.picture import to_8_bits
from pixlate.plugin.data import Batch, Draw
from pixlate.plugin.spec import ModelSpec
from pixlate_distill.options import DistillData
from pixlate_distill.teacher import Lesson, Lessons, Teacher


@dataclass(frozen=True)
class _Piece:
    """A crop of a photograph, or all of it, and one way to degrade it."""

    path: Path
    factor: float
    """Size at which the photograph is used, as a fraction of its own."""
    number: int
    variant: int
    degraded: bool = True


class TaughtImages:
    """Random patches of sources with the teacher's pictures of them (``target``) and the photographs (``truth``), RGB in [0, 1].

    The teacher sees whole crops, or whole photographs, each once: the first time that one is needed, its picture is kept on disk. Crop and degradation are
    seeded by the contents of the photograph, so that other runs find the same. As many of them as ``cache`` allows stay in memory.

    Args:
        folders: Searched recursively for photographs.
        options: The teacher, crops, degradation, patch size, and how many images validation gets.
        spec: Of the student.

    Raises:
        PixlateError: Teacher and student do not fit together, a folder is missing, photographs are too small, or variants would be equal.
    """

    validated = True

    def __init__(self, folders: Sequence[Path], options: DistillData, spec: ModelSpec) -> None:
        self.options, self.scale, self._multiple = options, spec.scale, spec.multiple
        self.teacher = Teacher(options)
        self.teacher.require_spec(spec)
        self._lessons = Lessons(self.teacher, options)
        self._degradation = Degradation(options, self.scale)
        if options.variants > 1 and not self._degradation.active:
            raise pixlate.PixlateError("expected a degradation with --variants above 1, whose copies would be equal; add --noise 25, --jpeg 30 or leave it out")
        if options.teacher_sees == "clean" and not self._degradation.active:
            raise pixlate.PixlateError(
                "expected a degradation with --teacher-sees clean, without which it sees what the student sees; add --noise 25, --jpeg 30 or leave it out"
            )
        training, self.held_out = split_held_out(list_images(folders), options.hold_out)
        numbers = range(max(1, options.crops))
        self.pieces = [
            _Piece(path, factor, number, variant)
            for path in training
            for factor in self._factors(path, options.rescale)
            for number in numbers
            for variant in range(options.variants)
        ]
        degraded = options.degrade_validation or self.scale == 1
        self._whole = [_Piece(path, factor, 0, 0, degraded) for path in self.held_out for factor in self._factors(path, (1.0,))]
        if not self.pieces or (self.held_out and not self._whole):
            side = self._least * self.scale
            raise pixlate.PixlateError(f"expected photographs of at least {side} pixels on each side, got only smaller ones; lower --patch or --crop-side")
        self.images = len(self.pieces)
        self._cache = PixelCache(options.cache)

    @property
    def _least(self) -> int:
        """Least height and width of a source, in pixels."""
        return self.options.crop_side if self.options.crops else self.options.patch

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose crops: each epoch goes through all in an order of its own."""
        indices = epoch_indices(self.images, start, count, seed)
        return [Draw((index,), sample_seed(number, seed)) for number, index in enumerate(indices, start)]

    def load(self, draw: Draw, side: int) -> Batch:
        """Read a patch of a crop, rotated and flipped at random."""
        piece = self.pieces[draw.indices[0]]
        lesson = self._cache.get(piece, lambda: self.lesson(piece))
        generator = np.random.default_rng(draw.seed)
        top, left = (int(generator.integers(length - side + 1)) for length in lesson[0].shape[:2])
        turns, mirror = int(generator.integers(4)), int(generator.integers(2))
        sample = {}
        for name, image, times in zip(("source", "target", "truth"), lesson, (1, self.scale, self.scale), strict=True):
            patch = np.rot90(image[top * times : (top + side) * times, left * times : (left + side) * times], turns)
            sample[name] = to_tensor(patch[:, ::-1] if mirror else patch)
        return sample

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield a crop of each held-out photograph, or all of it, as batches of one, cut to what the network takes."""
        for piece in self._whole:
            with passing_over(self.options.damaged):
                named = zip(("source", "target", "truth"), self.lesson(piece), (1, self.scale, self.scale), strict=True)
                yield {name: to_tensor(whole(image, self._multiple * times))[None] for name, image, times in named}

    def lesson(self, piece: _Piece) -> Lesson:
        """Return source, the teacher's picture and the photograph of a piece, from the disk where they are kept."""
        rest: tuple[object, ...] = (self.options.crops > 0, piece.factor, piece.number, piece.variant, piece.degraded)
        if self.options.teacher_sees == "clean" and piece.degraded:
            rest += ("clean",)
        return self._lessons.get(piece.path, rest, lambda: self._made(piece))

    def _made(self, piece: _Piece) -> Lesson:
        photograph = Image.fromarray(to_8_bits(read_pixels(piece.path, 3)))
        if piece.factor != 1.0:
            size = round(photograph.width * piece.factor), round(photograph.height * piece.factor)
            photograph = photograph.resize(size, Image.Resampling.BICUBIC)
        height, width = photograph.height // self.scale, photograph.width // self.scale
        side = self.options.crop_side
        rows, columns = (side, side) if self.options.crops else (height, width)
        generator = np.random.default_rng(self._lessons.seed(piece.path, piece.factor, piece.number))
        top, left = (int(generator.integers(length - shown + 1)) for length, shown in ((height, rows), (width, columns)))
        margin = self._degradation.margin
        above, before = min(top, margin), min(left, margin)
        below, after = min(height - top - rows, margin), min(width - left - columns, margin)
        first, last = (top - above) * self.scale, (top + rows + below) * self.scale
        start, end = (left - before) * self.scale, (left + columns + after) * self.scale
        around = np.array(photograph.crop((start, first, end, last)))
        clean = source = reduced(around, self.scale)
        if self._degradation.active and piece.degraded:
            seed = self._lessons.seed(piece.path, piece.factor, piece.number, piece.variant)
            source = self._degradation(around, np.random.default_rng(seed))
        source, clean = (np.ascontiguousarray(image[above : above + rows, before : before + columns]) for image in (source, clean))
        first, start = above * self.scale, before * self.scale
        truth = around[first : first + rows * self.scale, start : start + columns * self.scale].copy()
        return source, self.teacher(clean if self.options.teacher_sees == "clean" else source), truth

    def _factors(self, path: Path, factors: tuple[float, ...]) -> list[float]:
        """Return the sizes at which a photograph is large enough."""
        with passing_over(self.options.damaged):
            size = size_of(path)
            return [factor for factor in factors if min(round(side * factor) // self.scale for side in size) >= self._least]
        return []
