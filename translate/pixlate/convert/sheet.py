"""A before/after sheet of the first results, to judge a conversion by eye."""

from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pixlate.errors import PixlateError
from pixlate.images import Picture

CELL = 360
MARGIN = 12
LABEL = 22
ROWS = 4


class Sheet:
    """Collects rows of source and output, and draws them.

    Enlarged outputs are shown by their middle, pixel for pixel, beside the same part of the source enlarged bicubically; outputs of the
    source's size are shown whole.

    Args:
        path: The PNG file to write.
        model: Name shown above the outputs.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.path = path
        self.model = model
        self._rows: dict[str, tuple[Image.Image, Image.Image, str]] = {}
        self._lock = Lock()

    def add(self, name: str, source: Picture, output: Picture) -> None:
        """Take in one result while there is room; callable from any thread."""
        if len(self._rows) >= ROWS:
            return
        before, after = _rgb(source), _rgb(output)
        enlarged = after.width > before.width
        label = f"{name}: source {before.width}x{before.height}{', bicubic' if enlarged else ''}"
        if enlarged:
            before = before.resize(after.size, Image.Resampling.BICUBIC)
            before, after = (_middle(image) for image in (before, after))
        else:
            for image in (before, after):
                image.thumbnail((CELL, CELL))
        with self._lock:
            if len(self._rows) < ROWS:
                self._rows[name] = (before, after, label)

    def save(self) -> None:
        """Draw the sheet; rows are in the order of their names.

        Raises:
            PixlateError: The file cannot be written.
        """
        if not self._rows:
            return
        height = MARGIN + sum(row[0].height + LABEL + MARGIN for row in self._rows.values())
        sheet = Image.new("RGB", (3 * MARGIN + 2 * CELL, height), "white")
        draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(14), MARGIN
        for name in sorted(self._rows):
            before, after, label = self._rows[name]
            for column, (image, text) in enumerate(((before, label), (after, self.model))):
                left = MARGIN + column * (CELL + MARGIN)
                draw.text((left, top), text, "black", font)
                sheet.paste(image, (left, top + LABEL))
            top += before.height + LABEL + MARGIN
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            sheet.save(self.path, "PNG")
        except OSError as error:
            raise PixlateError(f"the sheet {self.path} cannot be written ({error.strerror}); choose another path for --sheet") from error


def _rgb(picture: Picture) -> Image.Image:
    """Return a picture as 8-bit RGB."""
    pixels = picture.pixels if picture.pixels.dtype == np.uint8 else (picture.pixels >> 8).astype(np.uint8)
    return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


def _middle(image: Image.Image) -> Image.Image:
    width, height = min(CELL, image.width), min(CELL, image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
