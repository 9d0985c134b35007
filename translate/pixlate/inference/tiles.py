"""Cuts an axis into tiles of one size, with the part of each that is kept."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in source pixels."""

    start: int
    """First pixel given to the network."""
    stop: int
    """One past the last."""
    keep: int
    """First pixel taken from this tile."""
    until: int
    """One past the last."""


def spans(length: int, tile: int, halo: int, grid: int = 1) -> list[Span]:
    """Cover ``length`` pixels with tiles of ``tile`` pixels, each with at least ``halo`` pixels of context beside what is kept.

    The edges of the image are edges of tiles, so the network sees its own padding there and nowhere else. All tiles have one size. They begin
    at multiples of ``grid``, of which ``length`` and ``tile`` are multiples.

    Raises:
        ValueError: The tile is not larger than its context.
    """
    if length <= tile:
        return [Span(0, length, 0, length)]
    step = (tile - 2 * halo) // grid * grid
    if step < 1:
        raise ValueError(f"expected tiles larger than their context of 2 x {halo} pixels, got {tile}")
    starts = [*range(0, length - tile, step), length - tile]
    kept = [0, *(start + halo for start in starts[1:]), length]
    return [Span(start, start + tile, keep, until) for start, keep, until in zip(starts, kept[:-1], kept[1:], strict=True)]


def ramps(parts: list[Span], length: int) -> list[NDArray[np.float32]]:
    """Return a weight for each pixel of each tile, falling towards the edges it shares, that add up to 1 over the tiles."""
    raw = []
    for span in parts:
        size = span.stop - span.start
        weight = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)).astype(np.float32)
        raw.append(weight)
    total = np.zeros(length, np.float32)
    for span, weight in zip(parts, raw, strict=True):
        total[span.start : span.stop] += weight
    return [weight / total[span.start : span.stop] for span, weight in zip(parts, raw, strict=True)]
