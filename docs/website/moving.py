"""Draws the moving picture at the head of the README: a line wipes over a photograph, bicubic enlargement before it and a ready model's behind.

Run: ``python docs/website/moving.py``; it writes ``docs/before-after.webp``. The photograph is scikit-image's ``chelsea`` (Stefan van der Walt, CC0).
"""

import sys
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageDraw, ImageFont

import pixlate

TARGET = Path(__file__).parents[1] / "before-after.webp"
MODEL, SCALE = "upscale-x4", 4
BOX = (0, 0, 448, 300)
"""Left, top, right and bottom of what is shown of the photograph, in pixels; multiples of the scale."""
STEPS, STEP_MS, STILL_MS = 16, 70, 1200
"""Positions of the line, how long each is shown, and how long either end."""
HEAVIEST = 400_000
"""Bytes the picture may have."""


def main() -> None:
    """Draw the picture."""
    with Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png") as photograph:
        whole = photograph.convert("RGB").crop(BOX)
    small = whole.resize((whole.width // SCALE, whole.height // SCALE), Image.Resampling.BICUBIC)
    before = small.resize(whole.size, Image.Resampling.BICUBIC)
    after = Image.fromarray(pixlate.load(MODEL)(np.asarray(small)[None])[0])
    label(before, "bicubic", right=True)
    label(after, MODEL, right=False)
    lines = [round(whole.width * step / STEPS) for step in range(STEPS + 1)]
    frames = [wiped(before, after, line) for line in (*lines, *lines[-2:0:-1])]
    times = [STILL_MS if number in (0, STEPS) else STEP_MS for number in range(len(frames))]
    frames[0].save(TARGET, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=88, method=6, minimize_size=True)
    size = TARGET.stat().st_size
    if size > HEAVIEST:
        sys.exit(f"expected a picture of at most {HEAVIEST} bytes, got {size}; lower the quality, the size or STEPS")
    print(f"wrote {TARGET}: {len(frames)} frames of {whole.width}x{whole.height}, {size / 1000:.0f} KB")


def wiped(before: Image.Image, after: Image.Image, line: int) -> Image.Image:
    """Return a frame: what is after on the left of a line, what was before on its right."""
    frame = before.copy()
    frame.paste(after.crop((0, 0, line, after.height)), (0, 0))
    if 0 < line < before.width:
        ImageDraw.Draw(frame).line([(line, 0), (line, before.height)], "white", 2)
    return frame


def label(picture: Image.Image, text: str, right: bool) -> None:
    """Write on a picture, in a corner at its foot, what it is."""
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    width = font.getlength(text) + 16
    left = picture.width - width if right else 0
    draw.rectangle((left, picture.height - 28, left + width, picture.height), "black")
    draw.text((left + 8, picture.height - 24), text, "white", font)


if __name__ == "__main__":
    main()
