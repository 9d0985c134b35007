"""Clean line drawings made into what people photograph: pencil, pen or felt-tip of any thickness on paper, under a lamp, through a phone's camera.

For training a model that colours drawings: the drawing changes its looks and keeps its geometry, so it still fits its target.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pixlate.data.degradation import stored

FINER = 2
"""Factor to the grid on which lines get their thickness, so that thin ones keep smooth borders."""
THINNEST = 1.0
"""Width of the thinnest line drawn, in pixels: less than that a camera shows as grey."""
BROADEST = 0.1
"""Width of a line over the longer side of its picture; what is broader is a filled area."""
CLEAN = 0.2
"""Share of drawings that only change their thickness, as drawn on a tablet or scanned."""
PENS = ("pencil", "pen", "felt-tip")
WIDTHS = {"pencil": (0.12, 0.8), "pen": (0.12, 0.6), "felt-tip": (0.5, 1.4)}
"""Widths of lines over those of the clean drawing."""
Plane = NDArray[np.float32]
"""(height, width)."""


def on_paper(lines: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return a random photograph, (height, width, 3), of a drawing of dark lines on white, (height, width)."""
    pen = PENS[generator.integers(len(PENS))]
    low, high = WIDTHS[pen]
    times = float(np.exp(generator.uniform(np.log(low), np.log(high))))
    if generator.random() < CLEAN:
        drawn = np.rint(255 * (1 - with_thickness(lines, times))).astype(np.uint8)
        return np.repeat(drawn[:, :, None], 3, axis=2)
    pressure = smooth_noise(lines.shape, max(lines.shape) / generator.uniform(4, 16), generator)
    ink = with_thickness(lines, times, np.float32(generator.uniform(0, 0.3)) * pressure)
    grain = smooth_noise(lines.shape, generator.uniform(0.4, 1.0), generator)
    cover, colour = _ink(pen, generator)
    if pen == "pencil":
        ink = ink * (1 + np.float32(generator.uniform(0.05, 0.3)) * grain + np.float32(generator.uniform(0, 0.2)) * pressure)
    ink = (cover * ink).clip(0, 1)
    paper = 1 + np.float32(generator.uniform(0, 0.012)) * grain + np.float32(generator.uniform(0, 0.008)) * smooth_noise(lines.shape, 3.0, generator)
    tint = np.float32(1) - generator.uniform(0, (0.02, 0.03, 0.08)).astype(np.float32)  # white to cream
    sheet = paper[:, :, None] * tint
    photograph = (sheet * (1 - ink[:, :, None]) + colour * ink[:, :, None]) * _light(lines.shape, generator)
    photograph = cv2.GaussianBlur(photograph, (0, 0), generator.uniform(0.3, 1.1), borderType=cv2.BORDER_REPLICATE)
    noise = smooth_noise((*lines.shape, 3), generator.uniform(0, 0.6), generator)
    photograph = photograph + np.float32(generator.uniform(0, 0.02)) * noise
    levels = np.rint(255 * photograph.clip(0, 1)).astype(np.uint8)
    return stored(levels, int(generator.integers(50, 96)), (int(generator.integers(16)), int(generator.integers(16))))


def with_thickness(lines: NDArray[np.uint8], times: float, vary: Plane | float = 0.0) -> Plane:
    """Return the ink, (height, width) in [0, 1], of a drawing whose lines are ``times`` as wide, about the same middle.

    A line is where the distance to the nearest border, inside positive, is above a threshold. No line vanishes: where one is too narrow for the threshold,
    its middle remains. Areas filled with ink stay filled, with their borders moved as those of the lines.

    Args:
        lines: Dark on white, (height, width).
        times: Width over that of most lines of the drawing.
        vary: What widths are further changed by, as a share, (height, width).
    """
    height, width = lines.shape
    fine = cv2.resize(lines, (width * FINER, height * FINER), interpolation=cv2.INTER_CUBIC)
    inside = (fine < 128).astype(np.uint8)
    if not inside.any() or inside.all():
        return (1 - lines / 255).astype(np.float32)
    depth: Plane = (cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_5)).astype(
        np.float32
    )
    middles = (depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))
    half = min(float(np.median(depth[middles])), FINER * max(lines.shape) * BROADEST / 2)
    reach = 2 * int(np.ceil(half)) + 1
    local = cv2.dilate(depth, np.ones((reach, reach), np.uint8))
    wanted = np.maximum(half * times * (1 + cv2.resize(np.broadcast_to(np.float32(vary), lines.shape).copy(), fine.shape[::-1])), THINNEST * FINER / 2)
    threshold = np.where(local > 0, np.minimum(half - wanted, local - THINNEST * FINER / 2), half - wanted)  # far from lines there are no middles
    ink = (depth - threshold + 0.5).clip(0, 1)
    smaller: Plane = cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA)
    return smaller


def smooth_noise(shape: tuple[int, ...], deviation: float, generator: np.random.Generator) -> Plane:
    """Return normal noise of mean 0 and variance 1, blurred by a Gaussian of ``deviation`` pixels; large ones are drawn coarsely and enlarged."""
    step = max(1, int(deviation / 2))
    rows, columns = (-(-side // step) + 4 for side in shape[:2])
    noise: Any = generator.standard_normal((rows, columns, *shape[2:]), np.float32)
    if deviation > 0.2:
        noise = cv2.GaussianBlur(noise, (0, 0), deviation / step)
    noise = (noise - noise.mean()) / max(float(noise.std()), 1e-6)
    if step > 1:
        noise = cv2.resize(noise, (columns * step, rows * step), interpolation=cv2.INTER_CUBIC)
    cut: Plane = noise[step : step + shape[0], step : step + shape[1]]
    return cut


def _ink(pen: str, generator: np.random.Generator) -> tuple[float, Plane]:
    """Return how much of the paper a pen covers and its RGB in [0, 1], (3,)."""
    if pen == "pencil":
        return generator.uniform(0.45, 0.95), np.float32(generator.uniform(0.15, 0.35)) + generator.uniform(-0.02, 0.02, 3).astype(np.float32)
    if pen == "pen" and generator.random() < 0.4:  # a blue ballpoint
        return generator.uniform(0.75, 1.0), np.array([generator.uniform(0.05, 0.25), generator.uniform(0.1, 0.3), generator.uniform(0.4, 0.65)], np.float32)
    return generator.uniform(0.85, 1.0), np.full(3, generator.uniform(0.02, 0.15), np.float32) + generator.uniform(-0.02, 0.02, 3).astype(np.float32)


def _light(shape: tuple[int, ...], generator: np.random.Generator) -> Plane:
    """Return what lamp and exposure multiply a picture by, (height, width, 3): a colour, a gradient, darker corners and the border of a shadow."""
    height, width = shape
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
    angle, corner = generator.uniform(0, 2 * np.pi), generator.uniform(0, 0.12)
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y[:, None]
    light = generator.uniform(0.6, 1.05) * (1 + generator.uniform(0, 0.2) * along) * (1 - corner * (x**2 + y[:, None] ** 2) / 2)
    if generator.random() < 0.4:  # of a hand or the phone
        turn, softness = generator.uniform(0, 2 * np.pi), np.exp(generator.uniform(np.log(0.03), np.log(0.5)))
        border = np.float32(np.cos(turn)) * x + np.float32(np.sin(turn)) * y[:, None] - generator.uniform(-0.8, 0.8)
        border = border + generator.uniform(0, 0.15) * smooth_noise(shape, max(shape) / 8, generator)
        light = light * (1 - generator.uniform(0.1, 0.4) / (1 + np.exp((-border / softness).clip(-30, 30))))
    warmth = generator.normal(0, 0.035)
    white = np.array([1 + warmth, 1 + generator.normal(0, 0.015), 1 - warmth], np.float32)
    found: Plane = (light[:, :, None] * white).astype(np.float32)
    return found
