"""Photographs with something to fill."""

from collections.abc import Iterator, Sequence

import numpy as np

import pixlate
from pixlate.data.folders import check_sizes, split_held_out
from pixlate.data.patches import PatchReader, epoch_indices, resized, sample_seed, to_tensor
from pixlate.data.pixels import MAX_PIXELS, UnreadableImage, image_formats, passing_over, read_pixels, with_channels
from pixlate.data.strokes import draw_mask
from pixlate.images import ImageFile, Pixels
from pixlate.inference.conditions import hole_of
from pixlate.plugin.data import Batch, Draw
from pixlate_inpaint.data import Files
from pixlate_inpaint.options import MaskedOptions


class MaskedImages:
    """The same random patch of a photograph and its mask, which is drawn where there is none.

    Args:
        files: Photographs, and masks, whose white is what to fill.
        options: Sizes, mirroring, what is drawn, and how many images validation gets.
        multiple: What height and width of a validated image are a multiple of.
    """

    validated = True

    def __init__(self, files: Sequence[Files], options: MaskedOptions, multiple: int) -> None:
        check_sizes(files, 0 if options.resize else options.patch, options.damaged)
        self.files, self.held_out = split_held_out(files, options.hold_out)
        self.images = len(self.files)
        self.options, self._reader = options, PatchReader(options, multiple)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose photographs: each epoch goes through all of them in an order of its own."""
        indices = epoch_indices(self.images, start, count, seed)
        return [Draw((index,), sample_seed(number, seed)) for number, index in enumerate(indices, start)]

    def load(self, draw: Draw, side: int) -> Batch:
        """Read a photograph and its mask, cropped and mirrored alike."""
        (index,) = draw.indices
        generator = np.random.default_rng(draw.seed)
        patches = self._reader.patches(index, lambda: read(self.files[index], self.options.holes), generator, masks=1)
        return self._sample([resized(patch, side, side) for patch in patches], generator)

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield held-out photographs whole, each time with the same masks."""
        for number, files in enumerate(self.held_out):
            with passing_over(self.options.damaged):
                whole = self._reader.whole(read(files, self.options.holes))
                sample = self._sample(whole, np.random.default_rng(number))
                yield {name: values[None] for name, values in sample.items()}

    def _sample(self, images: Sequence[Pixels], generator: np.random.Generator) -> Batch:
        photograph, mask = images
        if self.options.holes == "drawn" and not mask.any():
            mask = draw_mask((photograph.shape[0], photograph.shape[1]), self.options.strokes, self.options.box, generator)
        target, hole = to_tensor(photograph), to_tensor(mask).round()  # resizing makes greys at the edges of a mask
        return {"source": target * (1 - hole), "target": target, "mask": hole}


def read(files: Files, holes: str) -> tuple[Pixels, Pixels]:
    """Return a photograph and its mask, (height, width, 3) and (height, width, 1); a black one where it is still to be drawn.

    Raises:
        UnreadableImage: A file cannot be read.
        pixlate.PixlateError: The mask covers nothing or everything.
    """
    photograph = files[0]
    if len(files) == 2:
        pixels, mask = read_pixels(photograph, 3), read_pixels(files[1], 1)
        if mask.min() == mask.max():
            shown = "white" if mask.max() else "black"
            raise pixlate.PixlateError(
                f"expected a mask with something to fill and something to stay, got {files[1]}, all {shown}; paint it again, or take it out"
            )
        return pixels, mask
    if holes == "drawn":
        pixels = read_pixels(photograph, 3)
        return pixels, np.zeros((*pixels.shape[:2], 1), np.uint8)
    try:
        with ImageFile(photograph, max_pixels=MAX_PIXELS, formats=image_formats()) as file:
            picture = file.read()
    except pixlate.PixlateError as error:
        raise UnreadableImage(f"{photograph}: {error}") from error
    try:
        return with_channels(picture.pixels, 3, photograph), hole_of(picture.alpha)
    except pixlate.PixlateError as error:
        raise pixlate.PixlateError(f"{photograph}: {error}") from error
