"""TIFF files: full depth both ways, and every EXIF tag.

Pillow reads 16-bit colour as 8 bits and writes none. tifffile decodes here; the writer puts the strips behind the EXIF block, whose tags become
those of the file, so that every offset in it stays right.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from math import prod
from typing import BinaryIO

import imagecodecs
import numpy as np
import tifffile
from PIL import TiffImagePlugin

from pixlate.errors import PixlateError
from pixlate.images import exif, xmp
from pixlate.images.decode import as_stored, metadata_of, upright
from pixlate.images.encode import Encoded
from pixlate.images.picture import Metadata, Picture, Pixels, as_pixels, check_size, full_scale, unmultiplied
from pixlate.images.tags import UNDEFINED, Directory, Field, append, first_directory, long, rewritten, short
from pixlate.plugin.image_format import Frame, Header, Opened

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES, ROWS, COUNTS, PLANAR = 256, 257, 258, 259, 262, 273, 277, 278, 279, 284
PREDICTOR, TILES, TILE_COUNTS, EXTRA, SAMPLE_FORMAT, XMP, ICC = 317, 324, 325, 338, 339, 700, 34675
_GEOGRAPHIC = (33550, 33922, 34264, 34735)
_PLAIN_COMPRESSIONS = (1, 5, 8, 32946, 32773, 50000)
"""None, LZW, deflate (two numbers), PackBits, Zstandard."""
_STRIP_BYTES = 1 << 18
_COLOURS = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3}
"""Samples of a pixel by photometric interpretation (TIFF 6.0, tag 262): RGB, CMYK, YCbCr, CIELab and ICCLab; the others have one."""


def probe(stream: BinaryIO) -> Header:
    """Read the first directory."""
    main = first_directory(stream)
    size = main.number(WIDTH), main.number(HEIGHT)
    width, height = size[::-1] if _orientation(main) >= 5 else size
    return Header(width, height, main.number(SAMPLES, 1), -(-int(max(main.numbers(BITS, (1,)))) // 8), main)


def _metadata_of(main: Directory) -> Metadata:
    """Return EXIF, ICC profile, XMP and resolution as they are."""
    return Metadata(exif=exif.from_tiff(main), icc=main.data(ICC), xmp=main.data(XMP).rstrip(b"\0"), dpi=exif.resolution(main))


def _orientation(main: Directory) -> int:
    """Return the orientation, 1 to 8; where the tags have none, that of the XMP packet."""
    value = main.number(exif.ORIENTATION)
    return value if 1 <= value <= 8 else xmp.orientation(main.data(XMP)) or 1


def is_stack(main: Directory, channels: int) -> bool:
    """Return whether the samples of a file are channels that are no picture of grey or RGB with an opacity, for a reader that takes that many (0: any).

    Of two samples the second is an opacity only where the file says so.
    """
    if channels:
        return channels not in (1, 3)
    samples = main.number(SAMPLES, 1)
    return samples - _COLOURS.get(main.number(PHOTOMETRIC), 1) > 1 or (samples == 2 and not any(main.numbers(EXTRA)))


def read_stack(data: bytes, max_pixels: int) -> Pixels:
    """Return all channels, as stored, whether they are samples of a pixel, planes or pages: (height, width, channels)."""
    with tifffile.TiffFile(BytesIO(data)) as file:
        series = file.series[0]
        axes, shape = series.axes, series.shape
        width, height = series.keyframe.imagewidth, series.keyframe.imagelength
        check_size(width, height, max_pixels, prod(shape) // max(1, width * height))
        array = np.asarray(series.asarray(maxworkers=1))
    if axes in ("SYX", "CYX", "IYX", "QYX"):
        array = np.moveaxis(array, 0, 2)
    elif axes == "YX":
        array = array[:, :, None]
    elif axes not in ("YXS", "YXC"):
        raise PixlateError(f"expected a TIFF of height, width and channels, got the axes {axes} of {shape}; save one image a file")
    return as_pixels(array)


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the pages, or all channels of a stack as one picture."""
    main: Directory = opened.header.parsed
    data = opened.data()
    if is_stack(main, opened.channels):
        _check_whole(main, len(data))
        yield Frame(upright(Picture(read_stack(data, opened.max_pixels), None, _metadata_of(main)), _orientation(main)))
        return
    pages = _pages(main)
    for index, page in enumerate(pages):
        check_size(page.number(WIDTH), page.number(HEIGHT), opened.max_pixels)
        yield Frame(_page(data, page, index), count=len(pages))


def _page(data: bytes, main: Directory, index: int) -> Picture:
    bits, layout = main.numbers(BITS, (1,)), main.numbers(SAMPLE_FORMAT, (1,))
    photometric = main.number(PHOTOMETRIC)
    _check_kind(bits, layout)
    _check_whole(main, len(data))
    notes: tuple[str, ...] = ()
    if any(tag in main.entries for tag in _GEOGRAPHIC):
        notes += ("the geographic reference of the TIFF file was left out",)
    metadata = _metadata_of(main)
    grey_or_rgb = photometric in (0, 1, 2) and max(bits) >= 8 and len(set(bits)) == 1
    if max(bits) > 8 and not (grey_or_rgb or photometric == 5):
        raise PixlateError(f"expected grey or RGB samples in a 16-bit TIFF, got photometric interpretation {photometric}; convert the file to 16-bit RGB")
    if grey_or_rgb and (max(bits) > 8 or main.number(COMPRESSION, 1) in _PLAIN_COMPRESSIONS):
        pixels, alpha, more = _samples(data, main, index, int(bits[0]), photometric)
        return upright(Picture(pixels, alpha, metadata, notes + more), _orientation(main))
    with TiffImagePlugin.TiffImageFile(BytesIO(data)) as image:
        image.seek(index)
        found = metadata_of(image)
        image.load()
        picture = as_stored(image, found)
    if max(bits) > 8:
        notes += ("16-bit CMYK read with 8 bits",)
    metadata = replace(metadata, icc=picture.metadata.icc)
    return upright(replace(picture, metadata=metadata, notes=notes + picture.notes), 1)  # Pillow rotates TIFF pictures by itself


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return a TIFF file, deflate-compressed with differences between neighbours; EXIF, ICC profile, XMP and resolution go into its tags."""
    metadata = picture.metadata
    block = bytearray(metadata.exif or exif.empty("<"))
    main = first_directory(BytesIO(bytes(block)))
    order = main.order
    height, width, channels = picture.pixels.shape
    samples = picture.samples
    count, depth = samples.shape[2], samples.dtype.itemsize * 8
    extra = [2] if picture.alpha is not None else [0] * (channels - 1) if channels not in (1, 3) else []  # an opacity, or channels of no stated meaning
    rows = max(1, min(height, _STRIP_BYTES // (samples.strides[0] or 1)))
    offsets, lengths = [], []
    for top in range(0, height, rows):
        differences = imagecodecs.delta_encode(samples[top : top + rows], axis=1)
        strip = zlib.compress(differences.astype(samples.dtype.newbyteorder(order)).tobytes(), 4)
        offsets.append(append(block, strip))
        lengths.append(len(strip))
    fields: dict[int, Field | None] = {
        WIDTH: long(order, width),
        HEIGHT: long(order, height),
        BITS: short(order, *[depth] * count),
        COMPRESSION: short(order, 8),
        PHOTOMETRIC: short(order, 2 if channels == 3 else 1),
        STRIPS: long(order, *offsets),
        SAMPLES: short(order, count),
        ROWS: long(order, rows),
        COUNTS: long(order, *lengths),
        PLANAR: short(order, 1),
        PREDICTOR: short(order, 2),
        EXTRA: short(order, *extra) if extra else None,
        SAMPLE_FORMAT: short(order, *[1] * count),
        ICC: Field(UNDEFINED, len(metadata.icc), metadata.icc) if metadata.icc else None,
        XMP: Field(1, len(metadata.xmp), metadata.xmp) if metadata.xmp else None,
    }
    if metadata.dpi is not None:
        fields |= exif.resolution_fields(order, metadata.dpi)
    return rewritten(block, main, fields), ()


def _samples(data: bytes, main: Directory, index: int, bits: int, photometric: int) -> tuple[Pixels, Pixels | None, tuple[str, ...]]:
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages[index]
        array = page.asarray(maxworkers=1)
    count, width, height = main.number(SAMPLES, 1), main.number(WIDTH), main.number(HEIGHT)
    array = array.reshape((count, height, width)).transpose(1, 2, 0) if main.number(PLANAR, 1) == 2 else array.reshape((height, width, count))
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if 8 < bits < 16:
        full = 2**bits - 1
        array = ((array.astype(np.uint32) * 65535 + full // 2) // full).astype(np.uint16)
    channels = 3 if photometric == 2 else 1
    if count < channels:
        raise ValueError(f"{count} samples a pixel")
    extras = main.numbers(EXTRA) if EXTRA in main.entries else (2,) * (count - channels)
    pixels: Pixels = np.ascontiguousarray(array[:, :, :channels])
    if photometric == 0:
        pixels = full_scale(pixels) - pixels
    position = next((index for index, kind in enumerate(extras) if kind in (1, 2) and channels + index < count), None)
    alpha = None if position is None else np.ascontiguousarray(array[:, :, channels + position])
    left_out = count - channels - (alpha is not None)
    notes = (f"{left_out} further channel{'s' if left_out > 1 else ''} left out",) if left_out else ()
    if alpha is not None and position is not None and extras[position] == 1:
        pixels = unmultiplied(pixels, alpha)
    return pixels, alpha, notes


def _check_kind(bits: tuple[float, ...], layout: tuple[float, ...]) -> None:
    if any(kind == 3 for kind in layout):
        raise PixlateError(f"expected 8- or 16-bit whole numbers, got {bits[0]}-bit floating point; convert the file to 16 bits")
    if any(kind in (2, 5, 6) for kind in layout):
        raise PixlateError("expected unsigned samples, got signed or complex ones; convert the file to unsigned 16 bits")
    if max(bits) > 16:
        raise PixlateError(f"expected 8 or 16 bits a sample, got {max(bits)}; convert the file to 16 bits")


def _check_whole(main: Directory, size: int) -> None:
    """Refuse a file that ends before its pixels do: decoders may fill the rest with black."""
    for offsets_tag, counts_tag in ((STRIPS, COUNTS), (TILES, TILE_COUNTS)):
        offsets, counts = main.numbers(offsets_tag), main.numbers(counts_tag)
        if any(offset <= 0 or offset + count > size for offset, count in zip(offsets, counts, strict=False)):
            raise ValueError("its pixels lie behind the end of the file")


def _pages(main: Directory) -> list[Directory]:
    pages, seen = [main], {main.offset}
    while main.next and main.next not in seen:
        seen.add(main.next)
        try:
            main = Directory(main.stream, main.order, main.next, main.big)
        except (ValueError, struct.error):
            break
        pages.append(main)
    return pages
