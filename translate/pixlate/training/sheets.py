"""A sheet of held-out images, to judge training by eye."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pixlate.plugin.metric import Sample

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels

WIDEST = 1600
"""Largest width of a sheet, in pixels."""
SMALLEST = 160
"""Images whose longer side is at most half of this are enlarged by a whole number, so that their pixels can be seen."""
MARGIN = 12
CAPTION = 32


def write_sheet(path: Path, samples: Sequence[Sample]) -> None:
    """Draw one row an image, source | output | target, into a PNG file that is written atomically.

    A source of another size than its output is drawn at the output's, pixels repeated; a target of another size, which shows another scene, fits into it.

    Args:
        path: The file to write; its folder is made.
        samples: At least one; uint8 (height, width, channels), where two channels are shown by the first, more than three by the first three.

    Raises:
        ValueError: There are no samples.
        OSError: The file cannot be written.
    """
    if not samples:
        raise ValueError("expected at least one sample, got none; write no sheet where no images are held out")
    captions = ("source", "output", "target")
    cell = (WIDEST - MARGIN) // len(captions) - MARGIN
    rows = [_row(sample, cell) for sample in samples]
    column = max(image.width for row in rows for image in row)
    height = CAPTION + MARGIN + sum(row[0].height + MARGIN for row in rows)
    sheet = Image.new("RGB", (MARGIN + len(captions) * (column + MARGIN), height), "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(22), CAPTION + MARGIN
    for index, caption in enumerate(captions):
        draw.text((MARGIN + index * (column + MARGIN), MARGIN), caption, "black", font)
    for row in rows:
        for index, image in enumerate(row):
            sheet.paste(image, (MARGIN + index * (column + MARGIN), top))
        top += row[0].height + MARGIN
    _save(sheet, path)


def _row(sample: Sample, cell: int) -> list[Image.Image]:
    """Return the images of a row, which fit into a square of ``cell`` pixels."""
    source, output, target = (_rgb(pixels) for pixels in (sample.source, sample.output, sample.target))
    width, height = output.size
    longer = max(width, height)
    enlarged = max(1, SMALLEST // longer)
    shown = (width * enlarged, height * enlarged) if longer <= cell else (max(1, width * cell // longer), max(1, height * cell // longer))
    method = Image.Resampling.NEAREST if longer <= cell else Image.Resampling.BOX
    row = [image.resize(shown, method) for image in (source.resize(output.size, Image.Resampling.NEAREST), output)]
    return [*row, target.resize(shown, method) if target.size == output.size else ImageOps.contain(target, shown)]


def _rgb(pixels: "Pixels") -> Image.Image:
    """Return pixels as 8-bit RGB."""
    shown = pixels[:, :, :3] if pixels.shape[2] >= 3 else np.repeat(pixels[:, :, :1], 3, axis=2)
    return Image.fromarray(np.ascontiguousarray(shown))


def _save(sheet: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        sheet.save(part, "PNG")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
