"""Runs a translator on images of any size: whole, in batches or in tiles, and in smaller ones when memory runs out."""

from typing import Literal

import numpy as np

from pixlate.contracts import Translator
from pixlate.convert.tiles import ramps, spans
from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels

AUTO_TILE = {"cpu": 1024, "cuda": 2048}
"""Side of a tile, in source pixels, where the user names none: about 1.5 GB of features on the CPU."""
BATCH_PIXELS = {"cpu": 1, "cuda": 8_000_000}
"""Source pixels of an automatic batch; a batch gains nothing on the CPU."""
LEAST_TILE = 32


class Executor:
    """Translates (batch, height, width, channels), choosing batch and tile, and remembering what fits.

    Args:
        translator: The model.
        tile: Side of a tile in source pixels, ``auto``, or ``off`` for whole images always.
        batch: Most images or tiles at once, or ``auto``.

    Raises:
        PixlateError: The tile is too small for the context the model needs.
    """

    def __init__(self, translator: Translator, tile: Literal["auto", "off"] | int, batch: Literal["auto"] | int) -> None:
        self.translator = translator
        self.spec = translator.spec
        kind = translator.device.partition(":")[0]
        self._batch = batch
        self._batch_pixels = BATCH_PIXELS.get(kind, 1)
        self._least = max(2 * self.spec.halo + self.spec.multiple, self.spec.minimum, LEAST_TILE)
        if isinstance(tile, int) and tile < self._least:
            raise PixlateError(
                f"expected --tile of at least {self._least} pixels, since this model looks {self.spec.halo} pixels around, got {tile}; choose a larger one"
            )
        self._tile: int | None = None if tile == "off" else AUTO_TILE.get(kind, 1024) if tile == "auto" else tile
        if tile == "auto" and self._tile is not None:
            self._tile = max(self._tile, self._least)

    def batch_size(self, height: int, width: int) -> int:
        """Return how many images of a size run together."""
        if isinstance(self._batch, int):
            return self._batch
        return max(1, min(64, self._batch_pixels // (height * width)))

    def __call__(self, pixels: Pixels) -> Pixels:
        """Return the translated images, (batch, height * scale, width * scale, channels_out).

        Raises:
            PixlateError: Even one small tile does not fit into the device's memory.
        """
        height, width = pixels.shape[1:3]
        if self._tile is not None and max(height, width) > self._tile:
            return np.stack([self._tiled(image) for image in pixels])
        try:
            return self._batched(pixels)
        except OutOfDeviceMemory:
            self._shrink_tile(max(height, width))
            return self(pixels)

    def _batched(self, pixels: Pixels) -> Pixels:
        """Run at most ``batch_size`` images at once; where memory runs out, half as many from now on.

        Raises:
            OutOfDeviceMemory: A single one does not fit.
        """
        outputs: list[Pixels] = []
        done = 0
        while done < len(pixels):
            count = min(len(pixels) - done, self.batch_size(*pixels.shape[1:3]))
            try:
                outputs.append(self.translator(pixels[done : done + count]))
            except OutOfDeviceMemory:
                if count == 1:
                    raise
                self._batch = count // 2
                continue
            done += count
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _tiled(self, image: Pixels) -> Pixels:
        """Translate one image (height, width, channels) tile by tile."""
        assert self._tile is not None
        tile = max(self._tile // self.spec.multiple * self.spec.multiple, self._least)
        height, width = image.shape[:2]
        scale = self.spec.scale
        rows, columns = spans(height, tile, self.spec.halo), spans(width, tile, self.spec.halo)
        places = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
        exact = self.spec.tiling_exact
        result = np.empty((height * scale, width * scale, self.spec.channels_out), image.dtype if exact else np.float32)
        if not exact:
            result[:] = 0.5  # rounds when the sum is cut to whole levels
            across, down = ([np.repeat(ramp, scale) for ramp in ramps(parts, length)] for parts, length in ((columns, width), (rows, height)))
        step = self.batch_size(tile, tile)
        for first in range(0, len(places), step):
            chosen = places[first : first + step]
            stack = np.stack([image[rows[row].start : rows[row].stop, columns[column].start : columns[column].stop] for row, column in chosen])
            try:
                outputs = self._batched(stack)
            except OutOfDeviceMemory:
                self._shrink_tile(tile)
                return self._tiled(image)
            for (row, column), output in zip(chosen, outputs, strict=True):
                y, x = rows[row], columns[column]
                if exact:
                    kept = output[(y.keep - y.start) * scale : (y.until - y.start) * scale, (x.keep - x.start) * scale : (x.until - x.start) * scale]
                    result[y.keep * scale : y.until * scale, x.keep * scale : x.until * scale] = kept
                else:
                    weight = down[row][:, None, None] * across[column][None, :, None]
                    result[y.start * scale : y.stop * scale, x.start * scale : x.stop * scale] += output * weight
        return result.astype(image.dtype, copy=False)

    def _shrink_tile(self, failed: int) -> None:
        """Halve the tile after one of ``failed`` pixels did not fit."""
        if failed <= self._least:
            raise PixlateError(f"the memory of {self.translator.device} does not hold even a tile of {failed} pixels; free some or use --device cpu")
        self._tile = max(failed // 2, self._least)
