"""One image in tiles: cuts it, and puts the translated tiles together by rows, side by side where they are exact, blended where they are not."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixlate.images.picture import Pixels
from pixlate.inference.sizes import Samples, Span, padding_indices, ramps, round_up, spans
from pixlate.plugin.spec import ModelSpec

Place = tuple[int, int]
"""Row and column of a tile."""


class Tiles:
    """The tiles of an image of a size; those of an exact model lie on the grid of its multiple, as the image would, padded to it.

    Where it is not ``padded``, the last ones end where the image does, and may be smaller than the others.
    """

    def __init__(self, height: int, width: int, tile: tuple[int, int], spec: ModelSpec, padded: bool = True) -> None:
        grid = spec.multiple if spec.tiling_exact else 1
        sides = [round_up(side, grid) if padded else side for side in (height, width)]
        self.rows, self.columns = (spans(side, most, spec.halo, grid) for side, most in zip(sides, tile, strict=True))
        self._shown = [padding_indices(side, long, spec.padding) for side, long in zip((height, width), sides, strict=True)]

    def places(self) -> Iterator[Place]:
        """Yield the place of each tile, row by row."""
        return ((row, column) for row in range(len(self.rows)) for column in range(len(self.columns)))

    def batches(self, most: int) -> Iterator[list[Place]]:
        """Yield the places of at most so many tiles of one size, in order."""
        for _, alike in groupby(self.places(), self._size):
            places = list(alike)
            yield from (places[first : first + most] for first in range(0, len(places), most))

    def _size(self, place: Place) -> tuple[int, int]:
        y, x = self.rows[place[0]], self.columns[place[1]]
        return y.stop - y.start, x.stop - x.start

    def cut(self, image: NDArray[Samples], place: Place) -> NDArray[Samples]:
        """Return the tile at a place of an image (height, width, channels)."""
        y, x = self.rows[place[0]], self.columns[place[1]]
        if y.stop <= image.shape[0] and x.stop <= image.shape[1]:
            return image[y.start : y.stop, x.start : x.stop]
        return image[self._shown[0][y.start : y.stop, None], self._shown[1][x.start : x.stop]]

    def area(self, place: Place, height: int, width: int) -> int:
        """Return how many of the pixels of an image of a size are taken from a tile alone; those of all tiles add up to the image."""
        return _overlap(self.rows[place[0]], height) * _overlap(self.columns[place[1]], width)


class Canvas:
    """Takes translated tiles, row by row, and gives the rows of the translated image that they complete, so that no more than a row of tiles is in memory.

    Args:
        tiles: Of the source.
        height: Of the source, which may be less than the tiles cover.
        width: Likewise.
        spec: Of the model.
        kind: uint8 or uint16.
    """

    def __init__(self, tiles: Tiles, height: int, width: int, spec: ModelSpec, kind: np.dtype[Any]) -> None:
        self._tiles, self._scale, self._exact, self._kind = tiles, spec.scale, spec.tiling_exact, kind
        self._height = height * spec.scale
        self._row_shape = width * spec.scale, spec.channels_out
        self._band: NDArray[Any]
        """Of exact tiles the rows that one row of tiles completes, of others the sums of all its rows."""
        if not self._exact:
            lengths = tiles.rows[-1].stop, tiles.columns[-1].stop
            self._down, self._across = (
                [np.repeat(ramp, spec.scale) for ramp in ramps(parts, length)] for parts, length in zip((tiles.rows, tiles.columns), lengths, strict=True)
            )
            self._band = np.empty((tiles.rows[0].stop * spec.scale, *self._row_shape), np.float32)

    def add(self, place: Place, output: Pixels) -> Pixels | None:
        """Put a translated tile, (height * scale, width * scale, channels_out), at its place.

        Return the next rows of the image, (rows, width * scale, channels_out), where it is the last tile of its row. They are not written to again.
        """
        row, column = place
        if column == 0:
            self._begin(row)
        (self._copy if self._exact else self._blend)(row, column, output)
        if column < len(self._tiles.columns) - 1:
            return None
        if self._exact:
            finished, self._band = self._band, self._band[:0]
            return finished
        rows = self._tiles.rows
        ended = rows[row + 1].start * self._scale if row + 1 < len(rows) else self._height
        return self._band[: ended - rows[row].start * self._scale].astype(self._kind)

    def _begin(self, row: int) -> None:
        """Make room for a row of tiles: those that are blended go on with the sums of the row above, so that no image is in floating point."""
        rows, scale = self._tiles.rows, self._scale
        if self._exact:
            self._band = np.empty((min(rows[row].until * scale, self._height) - rows[row].keep * scale, *self._row_shape), self._kind)
            return
        begun = 0
        if row > 0:
            step = (rows[row].start - rows[row - 1].start) * scale
            begun = len(self._band) - step
            self._band[:begun] = self._band[step:].copy()
        self._band[begun:] = 0.5  # rounds when the sum is cut to whole levels

    def _copy(self, row: int, column: int, output: Pixels) -> None:
        """Take from a tile what is its own."""
        scale, y, x = self._scale, self._tiles.rows[row], self._tiles.columns[column]
        part = self._band[:, x.keep * scale : x.until * scale]  # less where the image ends
        top, left = (y.keep - y.start) * scale, (x.keep - x.start) * scale
        part[:] = output[top : top + part.shape[0], left : left + part.shape[1]]

    def _blend(self, row: int, column: int, output: Pixels) -> None:
        """Add a tile to the sums."""
        left = self._tiles.columns[column].start * self._scale
        self._band[:, left : left + output.shape[1]] += output * (self._down[row][:, None, None] * self._across[column][None, :, None])


def _overlap(part: Span, length: int) -> int:
    """Return how many of the first ``length`` pixels of an axis are taken from a tile."""
    return max(0, min(part.until, length) - part.keep)
