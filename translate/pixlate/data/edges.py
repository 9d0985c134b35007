"""Line drawings made from photographs by HED: edges that people would draw, thinned to lines."""

from functools import cache
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pixlate.data.drawing import SPECK, Plane, across_edges, at_places, grid

SMOOTH = 1.0
"""Standard deviation, in pixels, of the smoothing of edges before they are thinned."""
SURE = 1.5
"""A line needs one place that is this many times as strong as the least strength."""
VALIDATION_STRENGTH = 0.3
"""Least strength of the lines that validation draws."""
MOST_PIXELS = 2_000_000
"""Pixels that HED sees at once, for which it needs about 1.5 GB; it was trained on 0.15 million, and draws texture where there are many more."""
_loading = Lock()


def find_edges(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return HED's probability of an edge at each pixel of a grey or RGB image, (height, width, 1), of 255.

    Images of more than 2 million pixels are reduced for it, and their edges enlarged.

    Raises:
        PixlateError: HED's weights are missing.
    """
    import torch

    network = require_hed()
    height, width = pixels.shape[:2]
    share = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    image = np.broadcast_to(pixels, (height, width, 3))
    if share < 1:
        image = cv2.resize(image, (max(1, int(width * share)), max(1, int(height * share))), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    images = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    with torch.inference_mode():
        edges: NDArray[np.float32] = network(images.float() / 255)[0, 0].numpy()
    if share < 1:
        edges = cv2.resize(edges, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return np.rint(edges * 255).astype(np.uint8)[:, :, None]


def draw_edges(edges: NDArray[np.uint8], strength: float, thickness: float = 1.0) -> NDArray[np.uint8]:
    """Return dark lines on white, (height, width), along the ridges of a map of edges.

    A pixel is on a ridge where its edge is no weaker than on both sides across it; ridges below ``strength`` are left out, and so are lines that are nowhere 1.5 times as strong
    or are too short.

    Args:
        edges: What :func:`find_edges` returns, or a part of it, (height, width, 1).
        strength: Least probability of an edge, 0 to 1; a larger one leaves out more.
        thickness: About half the width of a line, in pixels.
    """
    strong: Plane = cv2.GaussianBlur(edges[:, :, 0].astype(np.float32) / 255, (0, 0), SMOOTH)  # type: ignore[assignment]
    across = across_edges(strong, SMOOTH)
    x, y = grid(strong)
    sides = [at_places(strong, x + np.float32(step) * across[0], y + np.float32(step) * across[1]) for step in (-1, 1)]
    ridge = (strong >= np.maximum(*sides)) & (strong >= strength)
    _, labels, figures, _ = cv2.connectedComponentsWithStats(ridge.astype(np.uint8), connectivity=8)
    strongest = np.zeros(len(figures), np.float32)
    places: NDArray[np.intp] = labels.ravel().astype(np.intp)
    np.maximum.at(strongest, places, strong.ravel())
    kept = (np.maximum(figures[:, cv2.CC_STAT_WIDTH], figures[:, cv2.CC_STAT_HEIGHT]) >= SPECK / 2) & (strongest >= min(1.0, SURE * strength))
    kept[0] = False
    lines: Plane = cv2.GaussianBlur(kept[labels].astype(np.float32), (0, 0), thickness)
    middle = 1 / (thickness * (2 * np.pi) ** 0.5)  # of a straight line one pixel wide
    ink = np.clip(1.5 * lines / middle - 0.25, 0, 1)
    drawn: NDArray[np.uint8] = np.rint(255 * (1 - ink)).astype(np.uint8)
    return drawn


def random_edges(edges: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return a drawing, (height, width), of random density and thickness, so that a model works with several drawing styles."""
    strength = float(np.exp(generator.uniform(np.log(0.1), np.log(0.6))))
    return draw_edges(edges, strength, float(generator.uniform(0.6, 1.6)))


def require_hed() -> Any:
    """Return HED, loaded once a process.

    Raises:
        PixlateError: Its weights are missing.
    """
    with _loading:
        return _hed()


@cache
def _hed() -> Any:
    from pixlate.losses import load_hed

    return load_hed()
