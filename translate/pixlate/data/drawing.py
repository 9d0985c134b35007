"""Line drawings made from photographs: the flow-based extended difference of Gaussians (Winnemoeller et al. 2012)."""

from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

WIDER = 1.6
"""Standard deviation of the wider Gaussian over that of the narrower: near the Laplacian of a Gaussian (Marr and Hildreth 1980)."""
ALONG = 2.5
"""Standard deviation of the smoothing along lines, in pixels."""
SPECK = 16.0
"""Height or width of the smallest line kept, in pixels, at a thickness of 1; it grows with the square root."""
VALIDATION_THICKNESS = 1.0
"""Standard deviation, in pixels, of the lines that validation and ``pixlate evaluate`` draw, so that figures compare from one to the next."""
Plane = NDArray[np.float32]
"""(height, width)."""


def draw_lines(pixels: NDArray[np.uint8], thickness: float, sharpness: float = 1.0, threshold: float = 1.8) -> NDArray[np.uint8]:
    """Return dark lines on white, (height, width), where a photograph has edges.

    With u the difference of two Gaussians across the edge, smoothed along it (section 2.6), a pixel is white where u >= -threshold,
    and 1 + tanh(sharpness (u + threshold)) of white elsewhere: equation 7 of the paper, without the tones. Texture is smoothed away
    first, and what is too short for a line is left out.

    Args:
        pixels: Grey or RGB, (height, width, channels).
        thickness: Standard deviation of the narrower Gaussian, in pixels.
        sharpness: How fast a line turns from white to black, per level of 255.
        threshold: Levels of 255 by which a line is darker than what is around it; a larger one leaves out fine detail.
    """
    smooth = pixels
    for _ in range(2):
        smooth = cv2.bilateralFilter(smooth, 0, 24.0, 1.0 + thickness).reshape(pixels.shape)  # type: ignore[assignment]
    light: Plane = smooth.astype(np.float32).mean(axis=2)
    across = across_edges(light, 1.0 + thickness)
    edges = _along(_difference(light, across, thickness), across)
    ink = np.tanh(np.maximum(0, -sharpness * (edges + threshold)))
    _, labels, figures, _ = cv2.connectedComponentsWithStats((ink > 0.02).astype(np.uint8), connectivity=8)
    long = np.maximum(figures[:, cv2.CC_STAT_WIDTH], figures[:, cv2.CC_STAT_HEIGHT]) >= SPECK * thickness**0.5
    long[0] = False
    lines: NDArray[np.uint8] = np.rint(255 * (1 - np.where(long[labels], ink, 0))).astype(np.uint8)
    return lines


def random_lines(pixels: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return a drawing, (height, width), of random thickness and detail, so that a model works with several drawing styles."""
    thickness = float(np.exp(generator.uniform(np.log(0.6), np.log(2.0))))
    return draw_lines(pixels, thickness, sharpness=float(generator.uniform(0.3, 1.5)), threshold=float(generator.uniform(0.8, 3.5)))


def across_edges(light: Plane, sigma: float) -> tuple[Plane, Plane]:
    """Return x and y of the unit vector across the edge at each pixel, from the structure tensor smoothed by ``sigma``."""
    right, down = (cv2.Sobel(light, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    xx, yy, xy = (cv2.GaussianBlur(product, (0, 0), sigma) for product in (right * right, down * down, right * down))
    angle: Plane = 0.5 * np.arctan2(2 * xy, xx - yy)
    return np.cos(angle), np.sin(angle)


def _difference(light: Plane, across: tuple[Plane, Plane], sigma: float) -> Plane:
    """Return the difference of Gaussians of ``sigma`` and the wider one along the line across the edge."""
    steps = np.arange(-ceil(3 * WIDER * sigma), ceil(3 * WIDER * sigma) + 1)
    narrow, wide = (np.exp(-(steps**2) / (2 * width**2)) for width in (sigma, WIDER * sigma))
    weights = narrow / narrow.sum() - wide / wide.sum()
    x, y = grid(light)
    total = np.zeros_like(light)
    for step, weight in zip(steps, weights, strict=True):
        total += np.float32(weight) * at_places(light, x + np.float32(step) * across[0], y + np.float32(step) * across[1])
    return total


def _along(values: Plane, across: tuple[Plane, Plane]) -> Plane:
    """Return the Gaussian mean of values along the edge, which is followed pixel by pixel both ways."""
    total, weights = values.copy(), 1.0
    for sign in (1, -1):
        x, y = grid(values)
        right, down = -sign * across[1], sign * across[0]
        for step in range(1, ceil(2 * ALONG) + 1):
            x, y = x + right, y + down
            weight = float(np.exp(-(step**2) / (2 * ALONG**2)))
            total += np.float32(weight) * at_places(values, x, y)
            weights += weight
            next_right, next_down = (at_places(direction, x, y, cv2.INTER_NEAREST) for direction in (-across[1], across[0]))
            ahead = np.copysign(np.float32(1), next_right * right + next_down * down)  # an edge has no head and tail
            right, down = ahead * next_right, ahead * next_down
    return total / np.float32(weights)


def grid(values: Plane) -> tuple[Plane, Plane]:
    """Return x and y of each pixel."""
    places: NDArray[np.float32] = np.indices(values.shape, np.float32)
    return places[1], places[0]


def at_places(values: Plane, x: Plane, y: Plane, how: int = cv2.INTER_LINEAR) -> Plane:
    """Return the values at other places, where there is none the nearest."""
    sampled: Plane = cv2.remap(values, x, y, how, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return sampled
