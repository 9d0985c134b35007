"""A first run: draws digits in many hands, of the font that comes with Pillow, and says how many of a model's can be read.

``python digits.py draw digits/`` draws 2000; ``python digits.py read samples/ digits/`` compares pictures with them.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

COUNT = 2000
"""Pictures, a tenth of each digit."""
SIDE = 32
FRESH = 500
"""Digits drawn again, by which it is known how far a digit that can be read is from the nearest of a folder."""


def draw(digit: str, generator: np.random.Generator) -> Image.Image:
    """Return a white digit on black, turned, slanted, moved, and of any size and weight."""
    large = Image.new("L", (4 * SIDE, 4 * SIDE))
    font, weight = ImageFont.load_default(generator.uniform(80, 112)), int(generator.integers(2, 7))
    ImageDraw.Draw(large).text((2 * SIDE, 2 * SIDE), digit, 255, font, anchor="mm", stroke_width=weight)
    angle, slant = generator.uniform(-0.2, 0.2), generator.uniform(-0.25, 0.25)
    rows = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ np.array([[1, slant], [0, 1]])
    shift = 2 * SIDE - rows @ (2 * SIDE + generator.uniform(-8, 8, 2))
    jittered = large.transform(large.size, Image.Transform.AFFINE, (*rows[0], shift[0], *rows[1], shift[1]), Image.Resampling.BICUBIC)
    return jittered.resize((SIDE, SIDE), Image.Resampling.BOX)


def draw_digits(folder: Path, count: int = COUNT, digits: str = "0123456789", seed: int = 0) -> Path:
    """Write so many PNG files, whose names begin with their digit, into a folder; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for number in range(count):
        digit = digits[number % len(digits)]
        draw(digit, generator).save(folder / f"{digit}-{number:05}.png")
    return folder


def read(samples: Path, digits: Path) -> dict[str, int]:
    """Return how many of a folder's numbered pictures can be read as each of the digits of a folder made by :func:`draw_digits`.

    A picture reads as the digit of the nearest one in the folder, if it is as near to it as 19 of 20 digits that are drawn again.
    """
    paths = sorted(digits.glob("*.png"))
    known, names = _vectors([Image.open(path) for path in paths]), [path.name[0] for path in paths]
    generator, kinds = np.random.default_rng(1), sorted(set(names))
    fresh = _vectors([draw(kinds[number % len(kinds)], generator) for number in range(FRESH)])
    limit = np.quantile(_nearest(fresh, known)[0], 0.95)
    distances, found = _nearest(_vectors([Image.open(path) for path in sorted(samples.glob("0*.png"))]), known)
    counts = Counter(names[index] for distance, index in zip(distances, found, strict=True) if distance <= limit)
    return {kind: counts[kind] for kind in kinds}


def _vectors(images: list[Any]) -> NDArray[np.float32]:
    """Return pictures as numbers, at half the side, where noise counts less than strokes."""
    small = [image.convert("L").resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image, np.float32).ravel() / 255 for image in small])


def _nearest(pictures: NDArray[np.float32], known: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the squared distance of each picture from the nearest known one, and which that is."""
    squares = np.square(pictures).sum(1)[:, None] + np.square(known).sum(1) - 2 * pictures @ known.T
    return squares.min(axis=1), squares.argmin(axis=1)


if __name__ == "__main__":
    action, *folders = sys.argv[1:]
    if action == "draw":
        draw_digits(Path(folders[0]))
    else:
        counts = read(Path(folders[0]), Path(folders[1]))
        print(f"{sum(counts.values())} can be read: {', '.join(f'{count} of {digit}' for digit, count in counts.items())}")
