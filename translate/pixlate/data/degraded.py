"""Training data whose source is made from its target: photographs and their bicubic reductions."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pixlate.data import Batch
from pixlate.data.folders import list_images, split_held_out
from pixlate.errors import PixlateError
from pixlate.images import read_picture
from pixlate.images.samples import on_white, to_8_bits
from pixlate.options import DataOptions

MAX_PIXELS = 10**9
"""Largest photograph read: 3 GB decoded."""
LEAST_HELD_OUT = 8
"""Least source height and width of an image that validation measures."""


class DegradedImages:
    """Random patches of photographs with their reductions by ``scale``, both RGB in [0, 1].

    The reduction is Pillow's BICUBIC, which filters against aliasing as the benchmark sets do. It is computed once on the whole
    image, so a patch has its true surroundings; images are kept decoded, as 8-bit pixels.

    Args:
        folders: Searched recursively for images.
        scale: Factor between target and source.
        options: Patch size, copies at other sizes, and how many images validation gets.
    """

    def __init__(self, folders: Sequence[Path], scale: int, options: DataOptions) -> None:
        self.scale = scale
        self.patch = options.patch
        training, self.held_out = split_held_out(list_images(folders), options.hold_out)
        pairs = [list(self._copies(path, options.rescale, self.patch)) for path in training]
        self.pairs = [pair for copies in pairs for pair in copies]
        least = f"photographs of at least {self.patch * scale} pixels on each side (patch {self.patch} x scale {scale})"
        if not self.pairs:
            raise PixlateError(f"expected {least}, got only smaller ones; lower --patch")
        if small := sum(not copies for copies in pairs):
            warnings.warn(f"expected {least}; {small} of {len(pairs)} are smaller and not trained on: lower --patch to use them", stacklevel=2)
        self.validated = [pair for path in self.held_out for pair in self._copies(path, (1.0,), LEAST_HELD_OUT)]
        if self.held_out and not self.validated:
            raise PixlateError(
                f"expected held-out photographs of at least {LEAST_HELD_OUT * scale} pixels on each side, got only smaller ones; take out small images or set --hold-out 0"
            )
        areas = torch.tensor([float(source.shape[1] * source.shape[2]) for source, _ in self.pairs])
        self.weights = areas / areas.sum()

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Return ``size`` patches, (size, 3, patch, patch) and (size, 3, patch * scale, patch * scale), turned and mirrored at random.

        The same state of ``generator`` gives the same batch.
        """
        chosen = torch.multinomial(self.weights, size, replacement=True, generator=generator).tolist()
        sources, targets = zip(*(self._crop(self.pairs[index], generator) for index in chosen), strict=True)
        return {"source": torch.stack(sources).float() / 255, "target": torch.stack(targets).float() / 255}

    def validation(self) -> Iterator[Batch]:
        """Yield the held-out images whole, as batches of one."""
        for source, target in self.validated:
            yield {"source": source[None].float() / 255, "target": target[None].float() / 255}

    def _copies(self, path: Path, rescale: tuple[float, ...], least: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (source, target) of one file at each size, 8-bit (3, height, width); sources of less than ``least`` pixels a side are left out."""
        photograph = _read(path)
        for factor in rescale:
            width, height = (round(side * factor) // self.scale * self.scale for side in photograph.size)
            if min(width, height) < least * self.scale:
                continue
            copy = (
                photograph
                if factor == 1.0
                else photograph.resize((round(photograph.width * factor), round(photograph.height * factor)), Image.Resampling.BICUBIC)
            )
            target = copy.crop((0, 0, width, height))
            source = target.resize((width // self.scale, height // self.scale), Image.Resampling.BICUBIC)
            yield _planes(source), _planes(target)

    def _crop(self, pair: tuple[Tensor, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        source, target = pair
        top, left = (int(torch.randint(side - self.patch + 1, (), generator=generator)) for side in source.shape[1:])
        turns, mirror = (int(torch.randint(count, (), generator=generator)) for count in (4, 2))
        crops = (
            source[:, top : top + self.patch, left : left + self.patch],
            target[:, top * self.scale : (top + self.patch) * self.scale, left * self.scale : (left + self.patch) * self.scale],
        )
        turned = (crop.rot90(turns, (1, 2)) for crop in crops)
        first, second = (crop.flip(2) if mirror else crop for crop in turned)
        return first, second


def _planes(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _read(path: Path) -> Image.Image:
    """Return an image file as 8-bit RGB: 16 bits rounded, transparency laid over white.

    Raises:
        PixlateError: It cannot be read; names the file.
    """
    try:
        picture = read_picture(path, max_pixels=MAX_PIXELS)
    except PixlateError as error:
        raise PixlateError(f"{path}: {error}") from error
    pixels = picture.pixels if picture.alpha is None else on_white(picture.pixels, picture.alpha)
    return Image.fromarray(np.broadcast_to(to_8_bits(pixels), (*pixels.shape[:2], 3)).copy())
