"""Runs a translator on images of any size: whole, in batches or in tiles, and in smaller ones when memory runs out."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.chain import Chain
from pixlate.inference.conditions import NONE, Arrays, stacked
from pixlate.inference.sizes import Samples, fill, least_tile, pad, round_up, spans
from pixlate.inference.statistics import MOST_MEASURED, measured_pixels, measures, shared
from pixlate.inference.tiles import Canvas, Tiles
from pixlate.plugin.translator import Computing, FixedSize, Interruptible, Translator

AUTO_TILE = {"cpu": 1024, "gpu": 2048}
"""Side of a tile, in source pixels, where the user names none: about 1.5 GB of features on the CPU."""
BATCH_PIXELS = {"cpu": 1, "gpu": 8_000_000}
"""Source pixels of an automatic batch; a batch gains nothing on the CPU."""
AUTO_BUCKET = {"cpu": 1, "gpu": 64}
"""Sides are padded to a multiple of this, where the user names none: each new shape costs a GPU a search for its fastest kernels and a batch of its own."""
MOST_IMAGES = 64
"""Most images of an automatic batch."""
Tiled = Literal["auto", "off"] | int
Batched = Literal["auto"] | int
OnTile = Callable[[int], None]
"""Called after each tile, or image without tiles, with the number of source pixels done; what it raises ends the translation. The numbers add up to the
pixels of the images: where memory has run out and an image begins again in smaller tiles, it is called with what was done of it, below zero."""

MEASURED_NOTE = "cut into tiles that share the statistics of the whole picture, measured on reduced copies of it, which changes it a little"
OWN_NOTE = "cut into tiles with statistics of their own, so that light and contrast may differ from those of the whole picture"
BLENDED_NOTE = "cut into tiles that do not see all that the model looks at, which changes it a little"


class Executor:
    """Translates (batch, height, width, channels), choosing batch and tile, and remembering what fits.

    Args:
        translator: The model.
        tile: Side of a tile in source pixels, ``auto``, or ``off`` for whole images always.
        batch: Most images or tiles at once, or ``auto``.
        bucket: Sides are padded to a multiple of this by mirroring, and the output is cropped, so that images of many sizes meet few shapes; or
            ``auto``, or ``off``.

    Raises:
        PixlateError: The tile is too small for the context the model needs.
    """

    def __init__(
        self,
        translator: Translator,
        tile: Tiled,
        batch: Batched,
        bucket: Tiled = "off",
    ) -> None:
        self.translator = translator
        self.asked = tile, batch, bucket
        self.spec = translator.spec
        kind = "cpu" if translator.device == "cpu" else "gpu"
        self._masks = {each.name for each in self.spec.conditions if each.kind == "mask"}
        self._batch = batch
        self._batch_pixels = BATCH_PIXELS[kind]
        self._bucket = AUTO_BUCKET[kind] if bucket == "auto" else 1 if bucket == "off" else bucket
        self._fitting_pixels = math.inf
        self._least = least_tile(self.spec)
        self.fixed_size = translator.fixed_size if isinstance(translator, FixedSize) else None
        """Height and width, where the model takes images of one size alone."""
        if self.fixed_size is not None:
            if tile != "auto":
                size = f"{self.fixed_size[1]}x{self.fixed_size[0]}"
                raise PixlateError(f"expected --tile auto for a model that takes images of {size} alone, got {tile}; leave it out")
            tile, self._bucket = "off", 1
        if self.spec.whole:
            for option, value in (("--tile", tile), ("--bucket", bucket)):
                if isinstance(value, int):
                    raise PixlateError(f"expected {option} auto or off for a model that must see the whole picture, got {value}; leave it out")
            tile, self._bucket = "off", 1
        if isinstance(tile, int) and tile < self._least:
            raise PixlateError(
                f"expected --tile of at least {self._least} pixels, since this model looks {self.spec.halo} pixels around, got {tile}; choose a larger one"
            )
        self._tile: int | None = None if tile == "off" else max(AUTO_TILE[kind], self._least) if tile == "auto" else tile

    def running(self, translator: Translator) -> Self:
        """Return an executor of the same sizes for another translator of the same spec."""
        found = copy.copy(self)
        found.translator = translator
        return found

    @property
    def most_at_once(self) -> int:
        """Most images of any size that run together."""
        return self._batch if isinstance(self._batch, int) else min(MOST_IMAGES, self._batch_pixels)

    def batch_size(self, height: int, width: int) -> int:
        """Return how many images of a size run together."""
        wanted = self._batch if isinstance(self._batch, int) else min(MOST_IMAGES, self._batch_pixels // (height * width))
        return int(max(1, min(wanted, self._fitting_pixels // (height * width))))

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which an image is run: sides that are not cut into tiles are padded to the bucket."""
        if self.fixed_size is not None:
            return max(height, self.fixed_size[0]), max(width, self.fixed_size[1])
        most = math.inf if self._tile is None else self._tile
        raised = [min(round_up(side, self._bucket), most) if side <= most else side for side in (height, width)]
        return int(raised[0]), int(raised[1])

    def work(self, height: int, width: int) -> int:
        """Return how many pixels go through the model for an image of a size: more than it has where tiles overlap."""
        tile, (height, width) = self._tile_of(height, width), self.shape(height, width)
        if tile is None:
            return height * width
        rows, columns = (spans(side, most, self.spec.halo) for side, most in zip((height, width), tile, strict=True))
        own = sum(row.stop - row.start for row in rows) * sum(column.stop - column.start for column in columns)
        return own + (measured_pixels(height * width, self._most_measured) if self._measures else 0)

    @property
    def _measures(self) -> bool:
        return measures(self.translator)

    @property
    def _most_measured(self) -> int:
        """Pixels of the largest copy of an image whose statistics are measured, at least that of a tile."""
        assert self._tile is not None
        most = max(self._tile**2, MOST_MEASURED)
        return most // self.translator.measured_scale**2 if isinstance(self.translator, Chain) else most

    def terminate(self) -> None:
        """End what runs, where the runtime can; its outputs are lost."""
        if isinstance(self.translator, Interruptible):
            self.translator.terminate()

    def notes(self, height: int, width: int) -> tuple[str, ...]:
        """Return what the user should know of how an image of a size is run: that it is cut into tiles which are not exact."""
        if self.fixed_size is not None and (height, width) != self.fixed_size:
            how = "cut into tiles of" if self._tile_of(height, width) else "padded to"
            return (f"{how} {self.fixed_size[1]}x{self.fixed_size[0]} pixels, the one size that the model takes; export it with free sides for any other",)
        if self._tile_of(height, width) is None or self.spec.tiling_exact:
            return ()
        how = MEASURED_NOTE if self._measures else OWN_NOTE if self.spec.norm == "per-image" else BLENDED_NOTE
        return (f"{how}; --tile off runs it whole",)

    def arithmetic(self, kind: "np.dtype[Any]") -> str:
        """Return what images of a type are computed in, such as ``float32``."""
        return self.translator.arithmetic(kind) if isinstance(self.translator, Computing) else self.spec.precision

    def limit_tile(self, side: int) -> None:
        """Cut large images into tiles of at most about that side from now on, where they are cut at all."""
        if self._tile is not None:
            self._tile = min(self._tile, max(side, self._least))

    def _tile_of(self, height: int, width: int) -> tuple[int, int] | None:
        """Return height and width of the tiles into which an image of a size is cut, or None where it runs whole."""
        if self.fixed_size is not None:
            return self.fixed_size if height > self.fixed_size[0] or width > self.fixed_size[1] else None
        if self._tile is None or max(height, width) <= self._tile:
            return None
        side = max(self._tile // self.spec.multiple * self.spec.multiple, self._least)  # one that a model of this multiple and context takes
        return side, side

    def translate(
        self, images: Sequence[Pixels], before_each: Callable[[], None] = lambda: None, conditions: Sequence[Arrays] = (), on_tile: OnTile | None = None
    ) -> list[Pixels]:
        """Return the translations of images (height, width, channels_in) of one :meth:`shape`, each at its own size; conditions have no batch axis."""
        sizes = [image.shape[:2] for image in images]
        shapes = [self.shape(*size) for size in sizes]  # they differ where the tile has shrunk since the images were grouped
        height, width = max(rows for rows, _ in shapes), max(columns for _, columns in shapes)
        fitting = [{name: _mirrored([value], height, width)[0] if name in self._masks else value for name, value in each.items()} for each in conditions]
        outputs = self._outputs(_mirrored(images, height, width), sizes, before_each, stacked(fitting), on_tile or (lambda _: None))
        scale = self.spec.scale
        if all(size == (height, width) for size in sizes):
            return list(outputs)
        return [np.ascontiguousarray(output[: rows * scale, : columns * scale]) for output, (rows, columns) in zip(outputs, sizes, strict=True)]

    def cuts(self, height: int, width: int) -> bool:
        """Return whether an image of a size is cut into tiles."""
        return self._tile_of(*self.shape(height, width)) is not None

    def strips(
        self, image: Pixels, before_each: Callable[[], None] = lambda: None, conditions: Arrays = NONE, on_tile: OnTile | None = None
    ) -> Iterator[Pixels]:
        """Yield the rows of what :meth:`translate` returns for an image (height, width, channels_in), as they are finished: of one in tiles never all at once.

        Where memory runs out below rows that have been yielded, the rest is in smaller tiles.
        """
        size = image.shape[:2]
        if not self.cuts(*size):
            yield self.translate([image], before_each, [conditions], on_tile)[0]
            return
        shape = self.shape(*size)
        fitting = {name: _mirrored([value], *shape)[0] if name in self._masks else value for name, value in conditions.items()}
        (height, width), top = (side * self.spec.scale for side in size), 0
        for rows in self._rows(_mirrored([image], *shape)[0], size, before_each, fitting, on_tile or (lambda _: None)):
            if top < height:
                yield rows[: height - top, :width]
            top += len(rows)
            del rows

    def __call__(self, pixels: Pixels, before_each: Callable[[], None] = lambda: None, conditions: Arrays = NONE, on_tile: OnTile | None = None) -> Pixels:
        """Return the translated images, (batch, height * scale, width * scale, channels_out).

        Args:
            pixels: (batch, height, width, channels_in).
            before_each: Called before each run of the model; what it raises ends the translation.
            conditions: Inputs of the model besides the image, by name, one entry for each image.
            on_tile: See :data:`OnTile`.

        Raises:
            PixlateError: Even one small tile, or with ``off`` the whole image, does not fit into the device's memory.
        """
        if self.fixed_size is not None:
            given = [{name: value[index] for name, value in conditions.items()} for index in range(len(pixels))]
            return np.stack(self.translate(list(pixels), before_each, given, on_tile))
        return self._outputs(pixels, [pixels.shape[1:3]] * len(pixels), before_each, conditions, on_tile or (lambda _: None))

    def _outputs(self, pixels: Pixels, sizes: Sequence[tuple[int, ...]], before_each: Callable[[], None], conditions: Arrays, on_tile: OnTile) -> Pixels:
        """Run images whole, or in tiles where they are larger than one; ``sizes`` are those without what they were padded with."""
        height, width = pixels.shape[1:3]
        if self._tile_of(height, width) is not None:
            given = [{name: value[index] for name, value in conditions.items()} for index in range(len(pixels))]
            tiled = [self._tiled(image, size, before_each, each, on_tile) for image, size, each in zip(pixels, sizes, given, strict=True)]
            return _concatenated([image[None] for image in tiled])
        counted = _Counted(on_tile)
        try:
            return self._batched(pixels, [math.prod(size) for size in sizes], before_each, conditions, counted, self.translator)
        except OutOfDeviceMemory as error:
            if self.fixed_size is not None:
                raise PixlateError(f"the memory of {self.translator.device} does not hold the model's {width}x{height}; use --device cpu") from error
            if self._tile is None:
                raise PixlateError(
                    f"the memory of {self.translator.device} does not hold the whole image of {width}x{height}; leave out --tile off or use --device cpu"
                ) from error
            self._shrink_tile(max(height, width), error)
            counted.take_back()
            return self._outputs(pixels, sizes, before_each, conditions, on_tile)

    def _batched(
        self, pixels: Pixels, areas: Sequence[int], before_each: Callable[[], None], conditions: Arrays, on_tile: OnTile, translator: Translator
    ) -> Pixels:
        """Run at most ``batch_size`` images at once; where memory runs out, half as many pixels from now on.

        Args:
            pixels: (batch, height, width, channels_in).
            areas: What each of them counts for ``on_tile``, in source pixels.
            before_each: See :meth:`__call__`.
            conditions: See :meth:`__call__`.
            on_tile: See :data:`OnTile`.
            translator: The model, or with the statistics of the whole image.

        Raises:
            OutOfDeviceMemory: A single one does not fit.
        """
        outputs: list[Pixels] = []
        done = 0
        height, width = pixels.shape[1:3]
        while done < len(pixels):
            count = min(len(pixels) - done, self.batch_size(height, width))
            before_each()
            try:
                chosen = slice(done, done + count)
                outputs.append(self._translated(translator, pixels[chosen], {name: value[chosen] for name, value in conditions.items()}))
            except OutOfDeviceMemory:
                if count == 1:
                    raise
                self._fitting_pixels = count // 2 * height * width
                continue
            for area in areas[chosen]:
                on_tile(area)
            done += count
        return _concatenated(outputs)

    def _translated(self, translator: Translator, pixels: Pixels, conditions: Arrays) -> Pixels:
        """Call the translator, which may be anybody's; refuse what is not of the shape and type that its spec says."""
        try:
            output = translator(pixels, **conditions)
        except (PixlateError, OutOfDeviceMemory, MemoryError):
            raise
        except Exception as error:
            raise PixlateError(f"the model failed on this picture ({type(error).__name__}: {error}); report it to whoever made the model") from error
        batch, height, width, _ = pixels.shape
        expected = (batch, height * self.spec.scale, width * self.spec.scale, self.spec.channels_out)
        if not isinstance(output, np.ndarray) or output.shape != expected or output.dtype != pixels.dtype:
            came = f"{output.dtype} {output.shape}" if isinstance(output, np.ndarray) else type(output).__name__
            raise PixlateError(f"expected {pixels.dtype} {expected} of the model, as its spec says, got {came}; report it to whoever made the model")
        return output

    def _tiled(self, image: Pixels, size: tuple[int, ...], before_each: Callable[[], None], conditions: Arrays, on_tile: OnTile) -> Pixels:
        """Translate one image (height, width, channels) tile by tile."""
        height, width = image.shape[:2]
        whole: Pixels = np.empty((height * self.spec.scale, width * self.spec.scale, self.spec.channels_out), image.dtype)
        top = 0
        for rows in self._rows(image, size, before_each, conditions, on_tile):
            whole[top : top + len(rows)] = rows
            top += len(rows)
        return whole

    def _rows(
        self, image: Pixels, size: tuple[int, ...], before_each: Callable[[], None], conditions: Arrays, on_tile: OnTile, done: int = 0
    ) -> Iterator[Pixels]:
        """Translate one image tile by tile and yield its rows below the first ``done`` as they are finished.

        Masks are cut alike, other conditions are the same for every tile. Where memory runs out it begins again in smaller tiles; what has been yielded stays.
        """
        height, width = image.shape[:2]
        tile = self._tile_of(height, width)
        assert tile is not None
        tiles = Tiles(height, width, tile, self.spec, padded=not isinstance(self.translator, Chain))
        canvas = Canvas(tiles, height, width, self.spec, image.dtype)
        translator = self.translator
        if self._measures:
            translator = shared(translator, image[: size[0], : size[1]], self._most_measured, conditions, before_each)
        step, counted = self.batch_size(*tile), _Counted(on_tile)
        top = 0
        for chosen in tiles.batches(step):
            stack = np.stack([tiles.cut(image, place) for place in chosen])
            given = [{name: tiles.cut(value, place) if name in self._masks else value for name, value in conditions.items()} for place in chosen]
            try:
                outputs = self._batched(stack, [tiles.area(place, *size) for place in chosen], before_each, stacked(given), counted, translator)
            except OutOfDeviceMemory as error:
                self._shrink_tile(max(stack.shape[1:3]), error)
                counted.take_back()
                del canvas
                yield from self._rows(image, size, before_each, conditions, on_tile, done)
                return
            for place, output in zip(chosen, outputs, strict=True):
                if (rows := canvas.add(place, output)) is not None:
                    top += len(rows)
                    if top > done:
                        yield rows[len(rows) - (top - done) :]
                        done = top
                    del rows  # or it would stay in memory while the next are translated

    def _shrink_tile(self, failed: int, error: OutOfDeviceMemory) -> None:
        """Halve the tile after one of ``failed`` pixels did not fit."""
        if failed <= self._least or self.fixed_size is not None:
            raise PixlateError(f"the memory of {self.translator.device} does not hold even a tile of {failed} pixels; free some or use --device cpu") from error
        self._tile = max(failed // 2, self._least)


class _Counted:
    """Counts what it reports, so that it can be taken back."""

    def __init__(self, on_tile: OnTile) -> None:
        self._on_tile, self._sum = on_tile, 0

    def __call__(self, pixels: int) -> None:
        self._sum += pixels
        self._on_tile(pixels)

    def take_back(self) -> None:
        """Report what was counted, below zero."""
        if self._sum:
            self._on_tile(-self._sum)
        self._sum = 0


def _mirrored(images: Sequence[NDArray[Samples]], height: int, width: int) -> NDArray[Samples]:
    """Return images as one array (batch, height, width, channels), mirrored below and on the right up to that size; a single one that has it is not copied.

    Mirroring keeps the statistics that per-image norms see nearest to those of the image itself.
    """
    if len(images) == 1:
        return pad(images[0][None], height, width, "symmetric")
    batch = np.empty((len(images), height, width, images[0].shape[2]), images[0].dtype)
    for place, image in zip(batch, images, strict=True):
        fill(place[None], image[None], "symmetric")
    return batch


def _concatenated(batches: Sequence[Pixels]) -> Pixels:
    """Return batches as one; a single one is not copied."""
    return batches[0] if len(batches) == 1 else np.concatenate(batches)
