"""A before/after sheet of the first results, to judge a conversion by eye."""

import math
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from pixlate.convert.report import Draft, Summary
from pixlate.images import Picture, Pixels
from pixlate.images.picture import to_8_bits
from pixlate.images.scene import displayed
from pixlate.system.text import printable

CELL = 360
MARGIN = 12
LABEL = 22
ROWS = 4
Row = tuple[Image.Image, Image.Image, str]
"""Source, output and label."""


class Sheet:
    """Collects rows of source and output, and draws them.

    Enlarged outputs are shown by their middle, pixel for pixel, beside the same part of the source enlarged bicubically; others are
    shown whole. The name of the model is shown above them.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.model = model
        self.draft = Draft(path, "sheet")
        self.rows: dict[str, Row] = {}
        self._lock = Lock()

    def add(self, name: str, source: Picture, output: Picture) -> None:
        """Add one result while there is room; callable from any thread."""
        if len(self.rows) >= ROWS:
            return
        height, width = source.pixels.shape[:2]
        source, output = displayed(source), displayed(output)
        high, wide = output.pixels.shape[:2]
        enlarged = wide > width or high > height
        label = f"{printable(name)}: source {width}x{height}{', bicubic' if enlarged else ''}"
        if enlarged:
            top, left = ((side - min(side, CELL)) // 2 for side in (high, wide))
            after = _rgb(output.pixels[top : top + CELL, left : left + CELL])
            shown = [(start * side / made, min((start + CELL) * side / made, side)) for start, side, made in ((top, height, high), (left, width, wide))]
            rows, columns = (slice(math.floor(start), math.ceil(stop)) for start, stop in shown)
            (upper, lower), (begin, end) = ((start - part.start, stop - part.start) for (start, stop), part in zip(shown, (rows, columns), strict=True))
            before = _rgb(source.pixels[rows, columns]).resize(after.size, Image.Resampling.BICUBIC, (begin, upper, end, lower))
        else:
            before, after = _rgb(source.pixels), _rgb(output.pixels)
            for image in (before, after):
                image.thumbnail((CELL, CELL))
            if before.size != after.size:  # of an output that is smaller than its source, and than the sheet
                before = before.resize(after.size, Image.Resampling.BICUBIC)
        self.keep(name, (before, after, label))

    def keep(self, name: str, row: Row) -> None:
        """Add a row that was made elsewhere while there is room."""
        with self._lock:
            if len(self.rows) < ROWS:
                self.rows[name] = row

    def save(self, summary: Summary) -> None:
        """Draw the sheet, rows in the order of their names, and record it in the summary; if nothing was converted no sheet is written."""
        try:
            if self.rows:
                self._drawn().save(self.draft.file, "PNG")
                self.draft.keep()
                summary.sheet = str(self.draft.path)
        except OSError as error:
            summary.unwritten = self.draft.failed(error)

    def _drawn(self) -> Image.Image:
        from PIL import ImageDraw, ImageFont

        height = MARGIN + sum(row[0].height + LABEL + MARGIN for row in self.rows.values())
        sheet = Image.new("RGB", (3 * MARGIN + 2 * CELL, height), "white")
        draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(14), MARGIN
        for name in sorted(self.rows):
            before, after, label = self.rows[name]
            for column, (image, text) in enumerate(((before, label), (after, printable(self.model)))):
                left = MARGIN + column * (CELL + MARGIN)
                shown = text
                while draw.textlength(shown, font) > CELL:  # the end of a path is the most informative
                    shown = f"...{shown.removeprefix('...')[max(1, len(shown) // 20) :]}"
                draw.text((left, top), shown, "black", font)
                sheet.paste(image, (left, top + LABEL))
            top += before.height + LABEL + MARGIN
        return sheet


def _rgb(pixels: Pixels) -> Image.Image:
    """Return pixels as 8-bit RGB."""
    pixels = to_8_bits(pixels if pixels.shape[2] in (1, 3) else pixels[:, :, : 3 if pixels.shape[2] > 3 else 1])
    return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))
