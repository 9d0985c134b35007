"""Masks drawn at random: strokes of a brush and a box."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 256
"""Side of the images for which the widths are published, in pixels."""
VERTICES = (4, 12)
"""Least number of turns of a stroke, and one more than the most."""
WIDTHS = (12, 40)
"""Least and most width of a stroke."""
TURN, SPREAD = 2 * math.pi / 5, 2 * math.pi / 15
"""Mean angle between two parts of a stroke, and how far it is from that at most."""
SHIFT = 0.25
"""By what share of its side a box may be smaller: 32 of 128 pixels."""


def draw_mask(size: tuple[int, int], strokes: int, box: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return a mask (height, width, 1), 255 is what to fill: one stroke to ``strokes`` (Yu et al. 2019, algorithm 1, with the numbers of their code) and a box.

    Args:
        size: Height and width, in pixels.
        strokes: Most of them; 0 draws none.
        box: Side of the box over the shorter side of the mask; 0 draws none.
        generator: Draws.
    """
    height, width = size
    mask = np.zeros(size, np.uint8)
    scale = min(height, width) / SIDE
    for _ in range(int(generator.integers(1, strokes + 1)) if strokes else 0):
        at = generator.uniform((0, 0), (width, height))
        brush = max(1, round(generator.uniform(*WIDTHS) * scale))
        for number in range(int(generator.integers(*VERTICES))):
            angle = TURN + generator.uniform(-SPREAD, SPREAD) + math.pi * (number % 2)  # there and back again, as one scratches
            radius = math.hypot(height, width) / 8
            length = np.clip(generator.normal(radius, radius / 2), 0, 2 * radius)
            to = np.clip(at + length * np.array([math.cos(angle), math.sin(angle)]), 0, (width - 1, height - 1))
            cv2.line(mask, _pixel(at), _pixel(to), 255, brush)
            cv2.circle(mask, _pixel(to), brush // 2, 255, -1)
            at = to
    if box:
        rows, columns = (max(1, round(box * min(height, width) * generator.uniform(1 - SHIFT, 1))) for _ in range(2))
        top, left = (int(generator.integers(side - part + 1)) for side, part in ((height, rows), (width, columns)))
        mask[top : top + rows, left : left + columns] = 255
    return mask[:, :, None]


def _pixel(place: NDArray[np.float64]) -> tuple[int, int]:
    return int(place[0]), int(place[1])
