"""Sizes a network takes: multiple and minimum, padding up to them, and tiles with their context. The one place that computes these.

The graph of uint8 files computes the same (:mod:`pixlate_export.pixels`), and a test compares both.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pixlate.plugin.spec import ModelSpec, Padding

Samples = TypeVar("Samples", bound=np.generic)
LEAST_TILE = 32
"""Smallest side of a tile, in pixels."""
BLENDED_HALO = (32, 128)
"""Least and most context, in pixels, of tiles that are blended, since no context makes them exact."""


class Sized(Protocol):
    """A generator that knows its sizes, as those of :mod:`pixlate.networks` do."""

    multiple: int
    minimum: int
    halo: int
    exact: bool


def round_up(length: int, multiple: int) -> int:
    """Return the least multiple that is not below a length."""
    return -(-length // multiple) * multiple


def allowed_side(side: int, spec: ModelSpec) -> int:
    """Return the least side from this one on that a network takes, in pixels."""
    return round_up(max(side, spec.minimum), spec.multiple)


def allowed_size(height: int, width: int, spec: ModelSpec) -> tuple[int, int]:
    """Return the least height and width from these on that a network takes."""
    return allowed_side(height, spec), allowed_side(width, spec)


def blended_halo(halo: int) -> int:
    """Return the context of tiles of a model that sees the whole image and could see as far as ``halo``."""
    return min(max(halo, BLENDED_HALO[0]), BLENDED_HALO[1])


def spec_sizes(network: Sized) -> dict[str, Any]:
    """Return what a model spec says of a network's sizes and tiles: ``ModelSpec(method="mine", **spec_sizes(network))``."""
    reach = round_up(network.halo, network.multiple)  # tiles begin where the network's halvings do
    halo = reach if network.exact else blended_halo(reach)
    return {"multiple": network.multiple, "minimum": network.minimum, "tiling_exact": network.exact, "halo": halo}


def least_tile(spec: ModelSpec) -> int:
    """Return the side of the smallest tile that a model takes with its context on both sides."""
    return round_up(max(2 * spec.halo + spec.multiple, spec.minimum, LEAST_TILE), spec.multiple)


def padding_indices(side: int, padded: int, padding: Padding | Literal["symmetric"]) -> NDArray[np.int64]:
    """Return which of ``side`` rows of an image each of ``padded`` rows shows.

    After those of the image come with ``edge`` the last one again; with ``reflect`` those before the last one, backwards, and where the image ends the
    first one again; with ``symmetric`` what ``numpy.pad`` has.
    """
    rows = np.arange(padded)
    if padding == "symmetric":
        return np.pad(rows[:side], (0, max(padded - side, 0)), mode="symmetric")
    last = side - 1
    return np.minimum(rows, last) if padding == "edge" else np.maximum(np.minimum(rows, 2 * last - rows), 0)


def pad(images: NDArray[Samples], height: int, width: int, padding: Padding | Literal["symmetric"]) -> NDArray[Samples]:
    """Return (batch, height, width, channels) padded below and on the right; the same array where nothing is missing."""
    batch, rows, columns, channels = images.shape
    if rows >= height and columns >= width:
        return images
    padded = np.empty((batch, max(rows, height), max(columns, width), channels), images.dtype)
    fill(padded, images, padding)
    return padded


def fill(padded: NDArray[Samples], images: NDArray[Samples], padding: Padding | Literal["symmetric"]) -> None:
    """Write (batch, height, width, channels) into an array that is at least as high and wide, and pad it there."""
    rows, columns = images.shape[1:3]
    height, width = padded.shape[1:3]
    padded[:, :rows, :columns] = images
    padded[:, :rows, columns:] = images[:, :, padding_indices(columns, width, padding)[columns:]]
    padded[:, rows:] = padded[:, padding_indices(rows, height, padding)[rows:]]


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

    The edges of the image are edges of tiles, so the network sees its own padding there and nowhere else. They begin at multiples of ``grid``, of which
    ``tile`` is one. All tiles have one size where ``length`` is a multiple, too; else the last is smaller by less than ``grid``.

    Raises:
        ValueError: The tile is not larger than its context.
    """
    if length <= tile:
        return [Span(0, length, 0, length)]
    step = (tile - 2 * halo) // grid * grid
    if step < 1:
        raise ValueError(f"expected tiles larger than their context of 2 x {halo} pixels, got {tile}")
    starts = [*range(0, length - tile, step), round_up(length - tile, grid)]
    kept = [0, *(start + halo for start in starts[1:]), length]
    return [Span(start, min(start + tile, length), keep, until) for start, keep, until in zip(starts, kept[:-1], kept[1:], strict=True)]


def ramps(parts: list[Span], length: int) -> list[NDArray[np.float32]]:
    """Return a weight for each pixel of each tile, falling towards the edges it shares, that add up to 1 over the tiles."""
    size = parts[0].stop
    weight = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)).astype(np.float32)
    total = np.zeros(length, np.float32)
    for span in parts:
        total[span.start : span.stop] += weight
    return [weight / total[span.start : span.stop] for span in parts]
