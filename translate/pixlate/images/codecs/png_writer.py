"""PNG files are written here, 8 and 16 bits alike: rows filtered by NumPy, packed by libdeflate, and Pillow's chunks for the metadata.

Each row is stored as its differences to the row above (the filter Up of PNG 3, 9.2). libdeflate packs that as small as zlib packs rows of which each
has the filter that libpng's heuristic chose, in a quarter of the time.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from pixlate.images.codecs.encode import LEVEL, Encoded, deflated, saved, text_xmp
from pixlate.images.codecs.png import COMMENT, MARK, PROFILE, XMP, chunk_of, chunks
from pixlate.images.metadata import iptc
from pixlate.images.picture import Metadata, Picture, Pixels

_UP = 2
"""The filter, as each row states it."""
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Samples of a pixel -> colour type (PNG 3, table 12)."""
_LONG = 1024
"""Characters from which a text is compressed."""
_MOST = 1 << 30
"""Bytes of one chunk of pixels; a chunk has fewer than 2 ** 31."""


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return a PNG file of 8 or 16 bits."""
    metadata, notes = text_xmp(picture.metadata, "PNG")
    samples = picture.samples
    height, width, channels = samples.shape
    packed = deflated(filtered(rows_of(samples)))
    pixels = (chunk_of(b"IDAT", packed[start : start + _MOST]) for start in range(0, len(packed), _MOST))
    return b"".join(
        [MARK, file_header(width, height, channels, samples.dtype), *metadata_chunks(metadata, grey=channels < 3), *pixels, chunk_of(b"IEND", b"")]
    ), notes


def write_rows(picture: Picture, quality: int, rows: Iterable[Pixels], stream: BinaryIO) -> tuple[str, ...]:
    """Write a PNG file; see :class:`pixlate.plugin.image_format.ImageFormat`. libdeflate packs no parts, so zlib does."""
    metadata, notes = text_xmp(picture.metadata, "PNG")
    height, width, channels = picture.pixels.shape
    stream.write(b"".join([MARK, file_header(width, height, channels + (picture.alpha is not None), picture.pixels.dtype)]))
    for block in metadata_chunks(metadata, grey=channels < 3):
        stream.write(block)
    packer, above = zlib.compressobj(LEVEL), None
    for piece in rows:
        plain = rows_of(piece)
        if packed := packer.compress(filtered(plain, above).data):
            stream.write(chunk_of(b"IDAT", packed))
        above = plain[-1].copy()
    stream.write(chunk_of(b"IDAT", packer.flush()) + chunk_of(b"IEND", b""))
    return notes


def file_header(width: int, height: int, samples: int, kind: np.dtype[Any]) -> bytes:
    """Return the header chunk."""
    return chunk_of(b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * kind.itemsize, _COLOUR_TYPES[samples], 0, 0, 0))


def rows_of(samples: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return samples (height, width, channels) as the bytes of their rows, (height, bytes), the highest byte of each first."""
    ordered = np.ascontiguousarray(samples, samples.dtype.newbyteorder(">"))
    return np.frombuffer(ordered.data, np.uint8).reshape(len(samples), -1)


def filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Return rows (height, bytes) as they are packed, (height, 1 + bytes); ``above`` is the row above the first, None at the top of the picture."""
    result = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    result[:, 0] = _UP
    result[0, 1:] = rows[0] if above is None else rows[0] - above
    np.subtract(rows[1:], rows[:-1], out=result[1:, 1:])
    return result


def metadata_chunks(metadata: Metadata, grey: bool) -> Iterator[memoryview]:
    """Yield the chunks in which Pillow stores metadata, taken out of a file of one pixel."""
    text = PngImagePlugin.PngInfo()
    if metadata.xmp:
        text.add_itxt(XMP, metadata.xmp.decode("utf-8"))
    if metadata.iptc:
        block = iptc.resources(metadata.iptc)
        text.add_text(f"{PROFILE}iptc", f"\niptc\n{len(block):8}\n{block.hex()}\n", zip=True)
    for keyword, value in (*((COMMENT, comment) for comment in metadata.comments), *metadata.text):
        text.add_text(keyword, value, zip=len(value) > _LONG)
    carrier = saved(Image.new("L" if grey else "RGB", (1, 1)), "PNG", replace(metadata, xmp=b""), pnginfo=text)
    return (block for name, block in chunks(carrier) if name not in (b"IHDR", b"IDAT", b"IEND"))
