"""The images an evaluation is made on: found, matched by name and checked by their headers before any work is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from pixlate.data.folders import differing_in_case, name_some
from pixlate.errors import PixlateError
from pixlate.images import ImageFile, Pixels, read_picture
from pixlate.images.picture import luma, on_white, to_8_bits
from pixlate.images.scene import displayed
from pixlate.places.paths import images_by_name
from pixlate.plugin.manager import installed
from pixlate.system.extras import import_for

Layout = Literal["auto", "folders", "side-by-side", "degraded", "grey", "lines", "unpaired"]
MAX_PIXELS = 10**9
"""Largest image read."""


@dataclass(frozen=True)
class ImageSets:
    """Sources to translate and the targets they are compared with."""

    layout: Layout
    """The layout of the folders; never ``auto``."""
    scale: int
    """Height and width of a target over those of its source."""
    sources: tuple[Path, ...]
    targets: tuple[Path, ...]
    """Files of the targets: in step with the sources, and the same files where there is one folder, unless unpaired."""
    names: tuple[str, ...]
    """Paths of the sources below their folder, without suffix."""
    channels: tuple[int, int]
    """Channels wanted of sources and targets; 0 for any."""
    smallest: Path
    """File with the smallest output or target."""
    smallest_side: int
    """Its lesser side, in pixels of the output."""

    @property
    def paired(self) -> bool:
        """Whether each source has its target."""
        return self.layout != "unpaired"

    def source_and_target(self, index: int) -> tuple[Pixels, Pixels | None]:
        """Read a source and, where there are pairs, its target; see :func:`read`."""
        if self.layout == "unpaired":
            return read(self.sources[index], self.channels[0]), None
        target = read(self.targets[index], self.channels[1])
        if self.layout == "folders":
            return read(self.sources[index], self.channels[0]), target
        if self.layout == "side-by-side":
            middle = target.shape[1] // 2
            return target[:, :middle], target[:, middle:]
        if self.layout == "grey":
            return luma(target) if target.shape[2] == 3 else target, target
        if self.layout == "lines":
            drawing = import_for("evaluating drawings", "pixlate.data.drawing")
            return drawing.draw_lines(target, drawing.VALIDATION_THICKNESS)[:, :, None], target
        return degraded(target, self.scale)


def find_images(folders: Sequence[Path], layout: Layout, scale: int, channels: tuple[int, int] = (0, 0)) -> ImageSets:
    """Return the images of one or two folders for a model of a scale.

    ``auto`` takes two folders as sources and targets of the same names, and one folder, for a model that enlarges, as targets whose
    sources are made by reducing them.

    Raises:
        PixlateError: The layout does not fit the folders or the model, a folder holds no image, names or sizes do not match, or a file is no image.
    """
    layout = _settled(layout, len(folders), scale)
    known = installed().image_formats()
    found = [images_by_name(folder, known) for folder in folders]
    if empty := [str(folder) for folder, images in zip(folders, found, strict=True) if not images]:
        raise PixlateError(f"expected images ({', '.join(sorted(known))}) in {' and '.join(dict.fromkeys(empty))}, found none; name a folder that holds some")
    sources, targets = list(found[0].values()), list(found[-1].values())
    if layout == "unpaired":
        sides = [(min(_size(path)) * scale, path) for path in sources] + [(min(_size(path)), path) for path in targets]
    elif layout == "folders":
        if lonely := [path for own, other in (found, found[::-1]) for name, path in own.items() if name not in other]:
            raise PixlateError(
                f"expected the same names in {folders[0]} and {folders[1]}, but the other folder has none for {name_some(lonely, 5)}"
                f"{differing_in_case(*found) or '; take them out, or say --layout unpaired'}"
            )
        targets = [found[1][name] for name in found[0]]
        sides = [(_matched(source, target, scale), target) for source, target in zip(sources, targets, strict=True)]
    else:
        sides = [(_single(path, layout, scale), path) for path in sources]
    side, smallest = min(sides)
    return ImageSets(layout, scale, tuple(sources), tuple(targets), tuple(found[0]), channels, smallest, side)


def read(path: Path, channels: int = 0) -> Pixels:
    """Read an image as 8 bits, (height, width, channels), transparency composited over white; the channels wanted are as for :meth:`pixlate.images.ImageFile.read`.

    Raises:
        PixlateError: It cannot be read; names the file.
    """
    try:
        picture = read_picture(path, max_pixels=MAX_PIXELS, formats=installed().image_formats(), channels=channels)
        if picture.peak > 1:  # each picture of a pair would be compressed in its own way
            raise PixlateError(f"expected light up to white, which is 1, got {picture.peak:.4g}; convert the pictures to PNG first")
        picture = displayed(picture)
    except PixlateError as error:
        raise PixlateError(f"{path} cannot be measured, and the figures would mislead without it: {error}") from error
    return to_8_bits(picture.pixels if picture.alpha is None else on_white(picture.pixels, picture.alpha))


def degraded(photograph: Pixels, scale: int) -> tuple[Pixels, Pixels]:
    """Return (source, target): the photograph cropped to a multiple of ``scale`` and its reduction by Pillow's BICUBIC, as the training data."""
    height, width = (length // scale * scale for length in photograph.shape[:2])
    target = photograph[:height, :width]
    planes = [target] if target.shape[2] == 3 else np.moveaxis(target, 2, 0)
    reduced = [np.asarray(Image.fromarray(plane).resize((width // scale, height // scale), Image.Resampling.BICUBIC)) for plane in planes]
    return np.dstack(reduced), target


def _settled(layout: Layout, folders: int, scale: int) -> Layout:
    """Return the layout that is meant, which must fit the number of folders and the model's scale."""
    if layout == "auto" and (folders == 2 or scale > 1):
        return "folders" if folders == 2 else "degraded"
    if layout == "auto":
        raise PixlateError(
            "expected a folder of sources and one of targets, got one folder; add the other, or --layout side-by-side if each file holds both, or "
            "--layout grey or lines if these are targets and their sources are made from them"
        )
    expected = 2 if layout in ("folders", "unpaired") else 1
    if folders != expected:
        raise PixlateError(f"expected {expected} folder{'s' if expected > 1 else ''} for --layout {layout}, got {folders}; name {expected}")
    if layout in ("side-by-side", "grey", "lines") and scale != 1:
        raise PixlateError(f"expected a model of scale 1 for --layout {layout}, this one enlarges by {scale}; use --layout folders or degraded")
    if layout == "degraded" and scale == 1:
        raise PixlateError("expected a model that enlarges for --layout degraded, this one has scale 1; use --layout folders or side-by-side")
    return layout


def _matched(source: Path, target: Path, scale: int) -> int:
    """Return the lesser side of a target, which must be as large as the output will be."""
    (width, height), size = _size(source), _size(target)
    if size != (width * scale, height * scale):
        raise PixlateError(
            f"expected {target} of {width * scale}x{height * scale} pixels, since the model makes that of {source} of {width}x{height}, "
            f"got {size[0]}x{size[1]}; resize or crop one of them"
        )
    return min(size)


def _single(path: Path, layout: Layout, scale: int) -> int:
    """Return the lesser side of the target that one file holds or is; the file must have two halves of one width, or be large enough to be reduced."""
    width, height = _size(path)
    if layout == "degraded":
        side = min(width // scale, height // scale) * scale
        if side == 0:
            raise PixlateError(f"expected images of at least {scale} pixels on each side, to reduce by {scale}, but {path} has {width}x{height}; take it out")
        return side
    if layout in ("grey", "lines"):
        return min(width, height)
    if width % 2:
        raise PixlateError(f"expected source and target side by side, of one width, but {path} is {width} pixels wide; take it out or crop it")
    return min(width // 2, height)


def _size(path: Path) -> tuple[int, int]:
    """Return width and height from the header; an error names the file."""
    try:
        with ImageFile(path, max_pixels=MAX_PIXELS, formats=installed().image_formats()) as file:
            return file.size
    except PixlateError as error:
        raise PixlateError(f"{path} cannot be measured, and the figures would mislead without it: {error}") from error
