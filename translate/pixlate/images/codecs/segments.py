"""The strips and tiles of a page of TIFF: found, checked against the file and the limits before memory is taken, and decoded.

No decoder here can be crashed by its bytes: zlib and lzma of Python, and libtiff through Pillow. Layout: TIFF 6.0, sections 3, 7, 9, 13 to 15;
predictor 3: Adobe Photoshop TIFF Technical Note 3.
"""

import ctypes
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from io import BytesIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from pixlate.errors import OverLimit
from pixlate.images.limits import LZMA_BYTES, STRIPS, TILE_PIXELS
from pixlate.images.metadata.tags import Directory, Field, Order, append, first_directory, long, rewritten, short
from pixlate.images.picture import SAMPLES_A_PIXEL, check_size


class Tag(IntEnum):
    """Tags that say how a page stores its pixels."""

    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    SAMPLES = 277
    ROWS = 278
    STRIP_COUNTS = 279
    PLANAR = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_COUNTS = 325
    EXTRA = 338
    SAMPLE_FORMAT = 339


NONE, LZW, DEFLATE, OLD_DEFLATE, PACK_BITS, LZMA, ZSTANDARD = 1, 5, 8, 32946, 32773, 34925, 50000
DIFFERENCES, FLOATING_DIFFERENCES = 2, 3
"""Predictors."""
UNSIGNED, SIGNED, FLOATING, UNDEFINED = 1, 2, 3, 4
"""Sample formats."""
_BATCH_BYTES = 16 << 20
"""Bytes that libtiff decodes in one call, so that a large picture is never in memory twice."""
_UNPACKED = 1 << 20
"""Samples that are unpacked at once."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, eq=False)
class Page:
    """How a page stores its pixels, in strips or tiles, both called segments."""

    width: int
    height: int
    samples: int
    """Samples of a pixel."""
    bits: tuple[int, ...]
    """Of each sample, or one number for all."""
    kind: int
    """Sample format; 0 where the samples differ in it."""
    photometric: int
    compression: int
    predictor: int
    order: Order
    reversed: bool
    """Whether the first bit of a byte is its lowest."""
    planar: bool
    """Whether each sample has a plane of its own."""
    tiled: bool
    rows: int
    """Of a segment; the last strip may have fewer."""
    columns: int
    """Of a segment."""
    sizes: NDArray[np.int64]
    """Bytes of each segment, decoded; by plane, row and column."""
    offsets: NDArray[np.int64]
    """Offset of each segment; all of them are inside the file."""
    counts: NDArray[np.int64]
    """Bytes of each segment in the file."""

    @property
    def in_segment(self) -> int:
        """Samples that a segment has of a pixel."""
        return 1 if self.planar else self.samples

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a decoded segment."""
        return -(-self.columns * self.in_segment * max(self.bits) // 8)

    def segment(self, data: bytes, index: int) -> bytes:
        """Return the bytes of a segment as the file has them."""
        return data[self.offsets[index] : self.offsets[index] + self.counts[index]]


def page_of(main: Directory, max_pixels: int) -> Page:
    """Return what the tags of a page say of its pixels.

    Raises:
        OverLimit: The picture, or a tile, is larger than ``max_pixels`` allows.
        ValueError: The tags contradict each other or the size of the file.
    """
    width, height, samples = main.number(Tag.WIDTH), main.number(Tag.HEIGHT), max(1, main.number(Tag.SAMPLES, 1))
    check_size(width, height, max_pixels, samples)
    bits = tuple(main.table(Tag.BITS, samples).tolist()) or (1,)
    kinds = set(main.table(Tag.SAMPLE_FORMAT, samples).tolist()) or {UNSIGNED}
    compression, planar, tiled = main.number(Tag.COMPRESSION, NONE), main.number(Tag.PLANAR, 1) == 2, Tag.TILE_WIDTH in main.entries
    columns = main.number(Tag.TILE_WIDTH) if tiled else width
    rows = main.number(Tag.TILE_HEIGHT) if tiled else min(main.number(Tag.ROWS) or height, height)
    if min(rows, columns, *bits) < 1 or max(bits) > 64:
        raise ValueError(f"strips or tiles of {columns} x {rows} pixels of {min(bits)} to {max(bits)} bits")
    in_segment = 1 if planar else samples
    allowed = SAMPLES_A_PIXEL * max(max_pixels, TILE_PIXELS)
    if rows * columns * in_segment > allowed:
        raise OverLimit(
            f"expected tiles of at most {allowed / 1e6:.6g} million samples, got {columns} x {rows} of {in_segment} channels; save the file with smaller tiles"
        )
    down = -(-height // rows)
    count = -(-width // columns) * down * (samples if planar else 1)
    if count > STRIPS:
        raise OverLimit(f"expected at most {STRIPS} strips or tiles in a TIFF, got {count}; save the file with larger ones")
    row_bytes = -(-columns * in_segment * max(bits) // 8)
    sizes = np.full(count, rows * row_bytes, np.int64)
    if not tiled:
        sizes[down - 1 :: down] = (height - (down - 1) * rows) * row_bytes
    offsets, counts = _located(main, tiled, compression == NONE, sizes)
    return Page(
        width=width,
        height=height,
        samples=samples,
        bits=bits,
        kind=kinds.pop() if len(kinds) == 1 else 0,
        photometric=main.number(Tag.PHOTOMETRIC),
        compression=compression,
        predictor=main.number(Tag.PREDICTOR, 1),
        order=main.order,
        reversed=main.number(Tag.FILL_ORDER, 1) == 2,
        planar=planar,
        tiled=tiled,
        rows=rows,
        columns=columns,
        sizes=sizes,
        offsets=offsets,
        counts=counts,
    )


def _located(main: Directory, tiled: bool, plain: bool, sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return offset and length of each segment, all of them inside the file."""
    own = tiled and Tag.TILE_OFFSETS in main.entries
    offsets = main.table(Tag.TILE_OFFSETS if own else Tag.STRIP_OFFSETS, len(sizes))
    counts = main.table(Tag.TILE_COUNTS if own else Tag.STRIP_COUNTS, len(sizes))
    end = np.uint64(main.stream.seek(0, 2))
    if not counts.size:  # as very old programs write it
        counts = sizes.astype(np.uint64) if plain else end - np.minimum(offsets, end)
    if min(len(offsets), len(counts)) < len(sizes):
        raise ValueError(f"{min(len(offsets), len(counts))} of {len(sizes)} strips")
    if (offsets == 0).any() or (offsets > end).any() or (counts > end - offsets).any():
        raise ValueError("its pixels lie behind the end of the file")
    if counts.sum() > end:
        raise ValueError("its strips name the same bytes many times")
    return offsets.astype(np.int64), counts.astype(np.int64)


def decoded(data: bytes, page: Page) -> NDArray[np.generic]:
    """Return the samples of a page as they are stored, (height, width, samples), in native byte order; those of 9 to 15 bits spread over 16.

    The page has one of COMPRESSIONS, and samples of 8 to 16 bits, or of 16, 32 or 64 in floating point.

    Raises:
        ValueError, OSError, zlib.error, lzma.LZMAError: A segment is damaged, or holds less than it should.
    """
    samples = np.empty((page.height, page.width, page.samples), f"{'f' if page.kind == FLOATING else 'u'}{-(-page.bits[0] // 8)}")
    wide, high = -(-page.width // page.columns), -(-page.height // page.rows)
    for index, segment in enumerate(_segments(data, page)):
        rows = np.frombuffer(segment, np.uint8, int(page.sizes[index])).reshape(-1, page.row_bytes)
        plane, position = divmod(index, wide * high)
        top, left = position // wide * page.rows, position % wide * page.columns
        room = samples[top : top + len(rows), left : left + page.columns, slice(plane, plane + 1) if page.planar else slice(None)]
        room[...] = _values(rows, page).reshape(len(rows), page.columns, -1)[: room.shape[0], : room.shape[1]]
    return samples


def _segments(data: bytes, page: Page) -> Iterator[bytes | memoryview]:
    """Yield the decoded bytes of each segment, as many as it should have or more."""
    if page.compression in _THROUGH_LIBTIFF:
        yield from _through_libtiff(data, page)
        return
    decode = _DECODERS[page.compression]
    for index, size in enumerate(page.sizes.tolist()):
        stored = page.segment(data, index)
        segment = decode(stored.translate(_REVERSED) if page.reversed else stored, size)
        if len(segment) < size:
            raise ValueError(f"{len(segment)} of {size} bytes in a strip")
        yield segment


def _through_libtiff(data: bytes, page: Page) -> Iterator[memoryview]:
    """Decode segments as rows of grey 8-bit samples, whatever they hold, several in one call."""
    length = page.row_bytes
    in_plane = len(page.sizes) // (page.samples if page.planar else 1)
    together = max(1, _BATCH_BYTES // (page.rows * length))
    for plane in range(0, len(page.sizes), in_plane):
        for first in range(plane, plane + in_plane, together):
            last = min(first + together, plane + in_plane)
            fields: dict[int, Field] = {
                Tag.WIDTH: long("<", length),
                Tag.HEIGHT: long("<", int(page.sizes[first:last].sum()) // length),
                Tag.BITS: short("<", 8),
            }
            fields |= {Tag.COMPRESSION: short("<", page.compression), Tag.PHOTOMETRIC: short("<", 1), Tag.FILL_ORDER: short("<", 2 if page.reversed else 1)}
            stored = (page.segment(data, index) for index in range(first, last))
            rows = memoryview(_grey(file_of("<", fields | {Tag.ROWS: long("<", page.rows)}, stored)))
            for start in range(0, len(rows), page.rows * length):
                yield rows[start : start + page.rows * length]


def unpacked(strips: Iterable[bytes], row: int, rows: int, in_strip: int) -> bytes:
    """Return rows of that many bytes from strips of so many rows, run lengths as PackBits has them (TIFF 6.0, section 9)."""
    fields: dict[int, Field] = {Tag.WIDTH: long("<", row), Tag.HEIGHT: long("<", rows), Tag.ROWS: long("<", in_strip)}
    fields |= {Tag.BITS: short("<", 8), Tag.COMPRESSION: short("<", PACK_BITS), Tag.PHOTOMETRIC: short("<", 1)}
    return _grey(file_of("<", fields, strips))


def _grey(file: bytes) -> bytes:
    """Return the samples of a grey 8-bit TIFF file."""
    with image_of(file) as image:
        try:
            image.load()
        except OSError as error:
            raise ValueError("libtiff cannot decode its strips") from error
        return image.tobytes()


@cache
def _silence() -> None:
    """Keep libtiff from printing what it finds to standard error by itself; its failures are raised all the same.

    Where Pillow brings libtiff without its symbols, as on Windows, it goes on printing.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)  # type: ignore[attr-defined]  # of a library that Pillow has loaded


def image_of(file: bytes) -> Image.Image:
    """Return an image of Pillow that is ready to be decoded, without the limit of pixels that Pillow has for the whole process; raises SyntaxError."""
    _silence()
    image = TiffImagePlugin.TiffImageFile(BytesIO(file))
    image.im = Image.new(image.mode, image.size, None).im  # where the memory is there, Pillow does not ask how much it is
    return image


def file_of(order: Order, fields: Mapping[int, Field], segments: Iterable[bytes], *, tiled: bool = False) -> bytes:
    """Return a TIFF file of one page: these tags, and these segments in their order."""
    block = bytearray((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHI", 8, 0, 0))
    offsets, counts = [], []
    for segment in segments:
        offsets.append(append(block, segment))
        counts.append(len(segment))
    places: dict[int, Field] = {
        Tag.TILE_OFFSETS if tiled else Tag.STRIP_OFFSETS: long(order, *offsets),
        Tag.TILE_COUNTS if tiled else Tag.STRIP_COUNTS: long(order, *counts),
    }
    return rewritten(block, first_directory(BytesIO(block)), {**fields, **places})


def _values(rows: NDArray[np.uint8], page: Page) -> NDArray[np.generic]:
    """Return the samples of decoded rows, (rows, columns x samples), in native byte order, as packing and predictor say."""
    bits, length = page.bits[0], page.columns * page.in_segment
    if bits % 8:
        return _unpacked(rows, length, bits)
    size, kind = bits // 8, "f" if page.kind == FLOATING else "u"
    predictor = 1 if page.compression == NONE else page.predictor
    if predictor == FLOATING_DIFFERENCES:  # the bytes of a row by their place, most significant first, as differences
        sums = np.add.accumulate(rows.reshape(len(rows), -1, page.in_segment), axis=1, dtype=np.uint8)
        places = sums.reshape(len(rows), size, length).transpose(0, 2, 1)
        return np.ascontiguousarray(places).reshape(len(rows), -1).view(f">{kind}{size}")
    whole: NDArray[np.generic] = rows.view(f"{page.order}u{size}").astype(f"=u{size}", copy=False)
    if predictor == DIFFERENCES:
        whole = imagecodecs.delta_decode(whole.reshape(len(rows), page.columns, page.in_segment), axis=1).reshape(len(rows), length)
    return whole.view(f"={kind}{size}")


def _unpacked(rows: NDArray[np.uint8], length: int, bits: int) -> NDArray[np.uint16]:
    """Return samples of 9 to 15 bits, most significant bit first, spread over 16, a few rows at a time."""
    values = np.empty((len(rows), length), np.uint16)
    first, full = np.arange(length) * bits, np.uint32(2**bits - 1)
    step = max(1, _UNPACKED // length)
    for top in range(0, len(rows), step):
        part = rows[top : top + step]
        window: NDArray[np.uint32] = np.zeros((len(part), length), np.uint32)
        for byte in range(3):
            window = window << np.uint32(8) | part[:, np.minimum(first // 8 + byte, part.shape[1] - 1)]
        stored = window >> (24 - bits - first % 8).astype(np.uint32) & full
        values[top : top + step] = (stored * np.uint32(65535) + full // np.uint32(2)) // full
    return values


def _inflated(data: bytes, size: int) -> bytes:
    """Decode deflate to ``size`` bytes at most; the checksum is compared where nothing more comes."""
    decoder = zlib.decompressobj()
    segment = decoder.decompress(data, size)
    decoder.decompress(decoder.unconsumed_tail, 1)
    return segment


def _from_lzma(data: bytes, size: int) -> bytes:
    import lzma  # not every Python has it

    return lzma.LZMADecompressor(memlimit=LZMA_BYTES).decompress(data, size)


_DECODERS: Mapping[int, Callable[[bytes, int], bytes]] = {NONE: lambda data, size: data[:size], DEFLATE: _inflated, OLD_DEFLATE: _inflated, LZMA: _from_lzma}
_THROUGH_LIBTIFF = (LZW, PACK_BITS, ZSTANDARD)
COMPRESSIONS = (*_DECODERS, *_THROUGH_LIBTIFF)
"""Compressions that are decoded here."""
