"""The memory a picture takes on its way through the server, so that ``--memory`` counts what is really held."""

from collections.abc import Mapping
from types import MappingProxyType

from pixlate.images.picture import Picture
from pixlate.plugin.image_format import Header
from pixlate.plugin.spec import ModelSpec
from pixlate_serve.translation import FORMATS

SOURCE = 8
"""Bytes that a source pixel takes besides twice its samples: what the decoder and the model's input hold."""
COPIES = 3
"""How often the samples of the answer are in memory while it is encoded: picture, the encoder's order of them, file."""
PACKED = 2
"""How often the samples of 16 bits are in memory besides, in PNG: filtered, and the file in parts."""
ENCODER: Mapping[str, int] = MappingProxyType({"avif": 44, "bmp": 6, "gif": 12, "jpeg": 4, "png": 4, "tiff": 4, "webp": 12})
"""Format -> bytes its encoder takes for each pixel, measured with noise."""
TRANSPARENT: Mapping[str, int] = MappingProxyType({"webp": 36, "gif": 6})
"""Format -> bytes its encoder takes besides where there is an opacity, measured."""
ON_WHITE = 30
"""Bytes a pixel takes while it is laid on white, for formats without transparency."""
ROUNDED = 20
"""Bytes a pixel takes while it is rounded to 8 bits, for formats of no more."""


def footprint(width: int, height: int, channels: int, itemsize: int, spec: ModelSpec, format: str) -> int:
    """Return the most bytes a picture takes at once from its decoding to its answer, without the model's own work on a tile.

    Args:
        width: Of the source.
        height: Of the source.
        channels: Samples of a source pixel; with 2 or 4, the last is an opacity.
        itemsize: Bytes of a source sample; floating point is rounded to two bytes.
        spec: Of the model.
        format: Of the answer.
    """
    known = next(each for each in FORMATS.values() if each.name == format)
    deep, transparent = min(itemsize, 2), channels in (2, 4)
    reduced = [ROUNDED if deep > 1 and "uint16" not in known.dtypes else 0, (TRANSPARENT.get(format, 0) if known.alpha else ON_WHITE) if transparent else 0]
    copies = COPIES + (PACKED if format == "png" and deep > 1 else 0)
    encoding = copies * (spec.channels_out + transparent) * deep + ENCODER[format] + max(reduced)
    source = 2 * max(4, channels * itemsize) + SOURCE
    return width * height * (source + spec.scale**2 * encoding)


def of_header(header: Header, spec: ModelSpec, format: str) -> int:
    """Return the footprint of a file that is not decoded yet."""
    return footprint(header.width, header.height, header.channels, header.itemsize, spec, format)


def of_picture(picture: Picture, spec: ModelSpec, format: str) -> int:
    """Return the footprint of a decoded picture."""
    height, width, channels = picture.pixels.shape
    return footprint(width, height, channels + (picture.alpha is not None), picture.pixels.itemsize, spec, format)


def most_pixels(spec: ModelSpec, max_pixels: int, memory: int) -> int:
    """Return the largest picture a model is given: no larger than allowed, and than the memory holds with its upload where it is of 8 bits and PNG."""
    return min(max_pixels, int(0.9 * memory) // footprint(1, 1, 3, 1, spec, "png"))
