"""The picture that is written beside each: itself, as the run gives it back, and a heat map for each score with its legend."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pixlate.images import Pixels

SMALLEST, LARGEST = 160, 1024
"""Longer side of what is shown, in pixels: smaller pictures have their pixels repeated, larger ones are reduced."""
MARGIN, CAPTION, BAR = 8, 40, 12
COLOURS = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float32)
"""Five of the colours of matplotlib's inferno, evenly spaced: brightness rises steadily, for print and for eyes that see fewer colours."""
Panel = tuple[str, NDArray[np.float32], tuple[float, float] | None]
"""Caption of two lines; a picture (channels, height, width) in [0, 1], or a map (1, height, width); the values of the darkest and brightest colour of a map."""


def coloured(shares: NDArray[np.float32]) -> Pixels:
    """Return the colours, (..., 3), of numbers from 0 to 1; those beyond have that of the nearest."""
    places = np.clip(shares, 0, 1) * (len(COLOURS) - 1)
    return np.stack([np.interp(places, np.arange(len(COLOURS)), channel) for channel in COLOURS.T], axis=-1).round().astype(np.uint8)


def sheet(panels: Sequence[Panel]) -> Image.Image:
    """Return pictures and maps of one size side by side; of pictures of other channels than RGB the first is shown."""
    height, width = panels[0][1].shape[1:]
    factor = min(LARGEST / max(height, width), 1.0) * max(1, -(-SMALLEST // max(height, width)))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    font = ImageFont.load_default(13)
    inner = max(size[0], 180, *(int(font.getlength(line)) for caption, _, _ in panels for line in caption.split("\n")))
    whole = Image.new("RGB", (MARGIN + (inner + MARGIN) * len(panels), MARGIN + CAPTION + size[1] + MARGIN // 2 + BAR + CAPTION // 2), "white")
    draw = ImageDraw.Draw(whole)
    for number, (caption, values, ends) in enumerate(panels):
        left, top = MARGIN + number * (inner + MARGIN), MARGIN
        draw.multiline_text((left, top), caption, "black", font)
        channels = values if len(values) == 3 else values[[0, 0, 0]]
        pixels: Pixels = (channels.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
        if ends is not None:
            low, high = ends
            pixels = coloured((values[0] - low) / (high - low or 1))
            below = top + CAPTION + size[1] + MARGIN // 2
            whole.paste(Image.fromarray(coloured(np.linspace(0, 1, inner, dtype=np.float32)[None].repeat(BAR, 0))), (left, below))
            for share, anchor in ((0.0, "la"), (0.5, "ma"), (1.0, "ra")):
                draw.text((left + share * inner, below + BAR), f"{low + share * (high - low):.3g}", "black", font, anchor=anchor)
        shown = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX)
        whole.paste(shown, (left, top + CAPTION))
    return whole
