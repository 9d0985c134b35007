"""Mutated files of all formats, each the same for its seed and number."""

import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 2**63, 2**64 - 1)


def _array(seed: int = 0, channels: int = 3) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:24, 0:40]
    waves = [128 + 90 * np.sin(x / (5 + channel) + seed) * np.cos(y / (6 + channel)) for channel in range(channels)]
    return np.stack(waves, 2).astype(np.uint8)


def _saved(image: Image.Image, format: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def _tiff(array: NDArray[np.generic], **options: object) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, array, **options)  # type: ignore[arg-type]
    return stream.getvalue()


@cache
def whole() -> dict[str, list[bytes]]:
    """Return files of each format as programs write them."""
    rgb, exif = Image.fromarray(_array()), Image.Exif()
    exif[274], exif[271], exif[34665] = 6, "Camera works", {40962: 40, 40963: 24, 37500: b"maker" * 9}
    others = [Image.fromarray(_array(seed)) for seed in (1, 2)]
    rgba, grey, palette = Image.fromarray(_array(channels=4)), rgb.convert("L"), rgb.quantize(16)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description/></rdf:RDF></x:xmpmeta>'
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a harbour", zip=True)
    text.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
    deep = _array().astype(np.uint16) * 257
    animated = {"save_all": True, "append_images": others, "duration": 40}
    array = BytesIO()
    np.save(array, _array())
    rows = b"".join(bytes((20, row, 20, 3)) + b"\0\0" for row in range(24)) + b"\0\1"
    run_length = b"BM" + struct.pack("<IHHI", 54 + 64 + len(rows), 0, 0, 54 + 64) + struct.pack("<IiiHHIIiiII", 40, 40, 24, 1, 8, 1, len(rows), 0, 0, 16, 0)
    return {
        "jpeg": [
            _saved(rgb, "JPEG", exif=exif, dpi=(72, 72)),
            _saved(rgb, "JPEG", progressive=True, xmp=xmp),
            _saved(grey, "JPEG", icc_profile=b"\0" * 200),
            _saved(rgb.convert("CMYK"), "JPEG"),
            _saved(rgb, "MPO", save_all=True, append_images=others),
        ],
        "png": [
            _saved(rgb, "PNG", exif=exif, pnginfo=text, dpi=(72, 72)),
            _saved(rgba, "PNG"),
            _saved(palette, "PNG", transparency=b"\0\x80\xff"),
            _saved(grey.convert("1"), "PNG"),
            _saved(Image.fromarray(deep[:, :, 0]), "PNG", transparency=5),
            _saved(rgb, "PNG", **animated),
        ],
        "webp": [
            _saved(rgb, "WEBP", exif=exif, xmp=xmp),
            _saved(rgba, "WEBP", lossless=True),
            _saved(rgba, "WEBP"),
            _saved(rgb, "WEBP", **animated),
        ],
        "gif": [_saved(palette, "GIF", comment=b"hello"), _saved(palette, "GIF", transparency=3), _saved(rgb, "GIF", **animated)],
        "bmp": [_saved(rgb, "BMP"), _saved(palette, "BMP"), _saved(grey.convert("1"), "BMP"), run_length + bytes(range(64)) + rows],
        "avif": [_saved(rgb, "AVIF", exif=exif, xmp=xmp), _saved(rgba, "AVIF"), _saved(rgb, "AVIF", **animated)],
        "tiff": [
            _tiff(_array(), photometric="rgb"),
            _tiff(deep, photometric="rgb", compression="deflate", predictor=True),
            _tiff(deep, photometric="rgb", compression="lzw", tile=(16, 16)),
            _tiff(_array(), photometric="rgb", compression="lzw"),
            _tiff(deep, photometric="rgb", compression="zstd"),
            _tiff(_array(), photometric="rgb", compression="packbits", planarconfig="separate"),
            _tiff(deep[:, :, :1].repeat(7, 2), planarconfig="contig"),
            _tiff(np.stack([_array()[:, :, 0]] * 3)),
            _tiff(_array(), photometric="rgb", bigtiff=True),
            _saved(rgb, "TIFF", compression="jpeg"),
            _saved(grey.convert("1"), "TIFF", compression="group4"),
            _saved(palette, "TIFF"),
        ],
        "npy": [array.getvalue()],
    }


def mutated(seed: int, number: int) -> bytes:
    """Return a file with one to four kinds of damage."""
    draw = random.Random(f"{seed} {number}")
    formats = whole()
    files = formats[draw.choice([*formats])]
    data = bytearray(draw.choice(files))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        draw.choice(_DAMAGES)(draw, data, files)
    return _checked(bytes(data)) if draw.random() < 0.7 else bytes(data)


def _place(draw: random.Random, data: bytearray) -> int:
    """Return an offset, the first 300 bytes as likely as all others."""
    return draw.randrange(min(len(data), 300) if draw.random() < 0.5 else len(data)) if data else 0


def _flip(draw: random.Random, data: bytearray, files: list[bytes]) -> None:
    for _ in range(draw.choice((1, 2, 5, 20)) if data else 0):
        data[_place(draw, data)] ^= 1 << draw.randrange(8)


def _cut(draw: random.Random, data: bytearray, files: list[bytes]) -> None:
    del data[_place(draw, data) :]


def _remove(draw: random.Random, data: bytearray, files: list[bytes]) -> None:
    begin = _place(draw, data)
    del data[begin : begin + draw.choice((1, 2, 4, 12, 100))]


def _splice(draw: random.Random, data: bytearray, files: list[bytes]) -> None:
    other = draw.choice(files)
    begin = draw.randrange(len(other))
    at = _place(draw, data)
    data[at : at + draw.choice((0, 8, 50, 10**6))] = other[begin : begin + draw.choice((8, 50, 10**6))]


def _extreme(draw: random.Random, data: bytearray, files: list[bytes]) -> None:
    """Set a number, of one of the lengths and byte orders that fields have, to an extreme."""
    size, at = draw.choice((1, 2, 4, 8)), _place(draw, data)
    data[at : at + size] = (draw.choice(EXTREMES) % 256**size).to_bytes(size, draw.choice(("little", "big")))


def _repeat(draw: random.Random, data: bytearray, files: list[bytes]) -> None:
    begin = _place(draw, data)
    part = bytes(data[begin : begin + draw.choice((1, 2, 12, 26, 60, 300))])
    data[begin:begin] = part * draw.choice((1, 3, 50, 2000))


_DAMAGES: tuple[Callable[[random.Random, bytearray, list[bytes]], None], ...] = (_flip, _flip, _cut, _remove, _splice, _extreme, _extreme, _extreme, _repeat)


def _checked(data: bytes) -> bytes:
    """Return a PNG file with checksums that are right, so that the damage gets past them; any other as it is."""
    if not data.startswith(b"\x89PNG"):
        return data
    fixed, position = bytearray(data[:8]), 8
    while position + 12 <= len(data):
        length = min(int.from_bytes(data[position : position + 4], "big"), len(data) - position - 12)
        body = data[position + 4 : position + 8 + length]
        fixed += data[position : position + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        position += 12 + length
    return bytes(fixed) + data[position:]
