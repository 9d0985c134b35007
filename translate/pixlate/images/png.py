"""PNG files: 8 bits through Pillow, 16 bits through imagecodecs, one way for the metadata of both."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin

from pixlate.images.encode import Encoded, as_image, saved, text_xmp
from pixlate.images.picture import Metadata, Picture, Pixels, split

LEVEL = 2
"""Level of compression: past 2, a tenth of the size costs half as much time again or more. A photograph of 1924 x 1284 through Pillow 13 on one core:
1: 0.22 s, 2.35 MB; 2: 0.25 s, 2.27 MB; 3: 0.37 s, 2.19 MB; 4: 0.40 s, 2.03 MB; 6: 0.88 s, 1.96 MB."""


def depth(data: bytes) -> int:
    """Return the bits a sample that the header states."""
    return data[24] if len(data) > 24 and data[12:16] == b"IHDR" else 0


def check(data: bytes) -> None:
    """Raise ValueError where a chunk of pixels does not have the checksum it should; Pillow does not look at all of them."""
    for name, chunk in chunks(data):
        if name in (b"PLTE", b"IDAT") and zlib.crc32(chunk[4:-4]).to_bytes(4, "big") != chunk[-4:]:
            raise ValueError(f"wrong checksum of {name.decode()}")


def deep_samples(data: bytes, size: tuple[int, int], transparent: int | tuple[int, ...] | None) -> tuple[Pixels, Pixels | None]:
    """Decode a 16-bit PNG of (width, height) at full depth: pixels, and alpha where it has one or a transparent colour."""
    pixels, alpha = split(imagecodecs.png_decode(data).reshape((*size[::-1], -1)))
    if alpha is None and transparent is not None:
        alpha = np.where((pixels == np.array(transparent, dtype=np.uint16)).all(axis=2), 0, 65535).astype(np.uint16)
    return pixels, alpha


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return a PNG file of 8 or 16 bits."""
    metadata, notes = text_xmp(picture.metadata, "PNG")
    if picture.pixels.dtype == np.uint8:
        return _through_pillow(as_image(picture), metadata), notes
    samples = picture.samples
    plain: Pixels = np.ndarray(samples.shape, samples.dtype, np.ascontiguousarray(samples).data)  # imagecodecs cannot handle odd strides of axes of length 1
    deep = bytes(imagecodecs.png_encode(plain, level=LEVEL))
    carrier = _through_pillow(Image.new("L" if picture.pixels.shape[2] == 1 else "RGB", (1, 1)), metadata)
    blocks = b"".join(block for name, block in chunks(carrier) if name not in (b"IHDR", b"IDAT", b"IEND"))
    header = 8 + 25
    return deep[:header] + blocks + b"".join(block for name, block in chunks(deep) if name in (b"IDAT", b"IEND")), notes


def chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and bytes of each chunk, length and checksum included."""
    view, position = memoryview(data), 8
    while position + 12 <= len(data):
        length, name = struct.unpack(">I4s", view[position : position + 8])
        yield name, view[position : position + 12 + length]
        position += 12 + length


def _through_pillow(image: Image.Image, metadata: Metadata) -> bytes:
    text = PngImagePlugin.PngInfo()
    if metadata.xmp:
        text.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8"))
    return saved(image, "PNG", replace(metadata, xmp=b""), compress_level=LEVEL, pnginfo=text)
