"""Pictures side by side with captions, to judge them by eye."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

WIDEST = 1600
"""Width of a sheet, in pixels, unless one sample is wider."""
SMALLEST = 160
"""Pictures are shown at least so large, enlarged by a whole number, so that their pixels can be seen."""
LARGEST = 512
"""Pictures are shown at most so large."""
MARGIN, CAPTION = 8, 22


def contact_sheet(shown: Mapping[str, Sequence[Image.Image]], words: Mapping[str, Sequence[str]], widest: int = WIDEST, letters: int = 14) -> Image.Image:
    """Return a sheet of samples: a column each, in blocks of as many as ``widest`` pixels hold; a row for each caption, which may have several lines.

    All pictures are brought to one size, small ones with their pixels repeated.

    Args:
        shown: Pictures of each sample by caption, at least one caption; all of one length.
        words: Words for each sample by caption, below the pictures.
        widest: Width of the sheet, in pixels, unless one sample is wider.
        letters: Size of captions and words, in pixels.
    """
    samples = len(next(iter(shown.values())))
    width, height = (max(getattr(images[0], side) for images in shown.values()) for side in ("width", "height"))
    times = max(1, -(-SMALLEST // max(width, height)))
    share = min(1.0, LARGEST / max(width, height))
    cell = tuple(max(1, round(side * times * share)) for side in (width, height))
    font = ImageFont.load_default(letters)
    captions = max(int(font.getlength(line)) for name in (*shown, *words) for line in name.split("\n")) + 2 * MARGIN
    blocks = -(-samples // max(1, (widest - captions) // (cell[0] + MARGIN)))
    columns = -(-samples // blocks)
    block = len(shown) * (cell[1] + MARGIN) + len(words) * CAPTION + MARGIN
    sheet = Image.new("RGB", (captions + columns * (cell[0] + MARGIN), MARGIN + blocks * block), "white")
    draw = ImageDraw.Draw(sheet)
    for first in range(0, samples, columns):
        top = MARGIN + first // columns * block
        for name, images in shown.items():
            draw.text((MARGIN, top), name, "black", font)
            for column, image in enumerate(images[first : first + columns]):
                enlarging = image.width <= cell[0]
                sheet.paste(image.resize(cell, Image.Resampling.NEAREST if enlarging else Image.Resampling.BOX), (captions + column * (cell[0] + MARGIN), top))
            top += cell[1] + MARGIN
        for name, texts in words.items():
            draw.text((MARGIN, top), name, "black", font)
            for column, text in enumerate(texts[first : first + columns]):
                draw.text((captions + column * (cell[0] + MARGIN), top), text, "black", font)
            top += CAPTION
    return sheet
