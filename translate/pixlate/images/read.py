"""Files, or their bytes, to pictures: by content, upright, at full depth, within a limit, and whole or not at all."""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from pixlate.errors import PixlateError
from pixlate.images import colour, decode, exif, png, tiff, xmp
from pixlate.images.failures import check_size, explained
from pixlate.images.formats import SNIFFED, SUFFIXES, TITLES, sniff
from pixlate.images.picture import ImageFormat, Metadata, Picture
from pixlate.images.samples import turned

_NO_FORMATS: Mapping[str, ImageFormat] = MappingProxyType({})


def probe(path: Path, max_pixels: int, *, formats: Mapping[str, ImageFormat] = _NO_FORMATS) -> tuple[int, int]:
    """Return width and height of the upright picture from the header of a file; a plugin's format is read whole.

    Raises:
        PixlateError: As :func:`read_picture`, as far as the header tells.
    """
    if path.suffix.lower() in formats:
        picture = _from_plugin(path, formats[path.suffix.lower()], max_pixels)
        return picture.pixels.shape[1], picture.pixels.shape[0]
    with explained(), path.open("rb") as stream:
        return _size(stream, path.suffix, max_pixels)


def probe_bytes(data: bytes, max_pixels: int) -> tuple[int, int]:
    """Return width and height of the upright picture from the first bytes of a file.

    Raises:
        PixlateError: As :func:`decode_picture`, as far as the header tells.
    """
    with explained():
        return _size(BytesIO(data), "", max_pixels)


def read_picture(path: Path, *, max_pixels: int, channels: int = 0, formats: Mapping[str, ImageFormat] = _NO_FORMATS) -> Picture:
    """Read the first picture of a file, upright, 8 or 16 bits, grey or RGB, with alpha and metadata.

    Args:
        path: The file; its content tells the format, the suffix only where a plugin has claimed it.
        max_pixels: Most pixels the header may tell; more is refused before decoding.
        channels: How many are wanted: for 1 or 3 a TIFF is read as a picture, whose further channels are left out with a note, for any other number as
            a stack of channels, opacity and pages among them; 0 takes a TIFF for what its tags say.
        formats: Suffix -> format of a plugin.

    Raises:
        PixlateError: The file cannot be opened, is no image, is truncated or damaged, is too large or has samples of more than 16 bits.
            One sentence without the path.
    """
    if path.suffix.lower() in formats:
        return _from_plugin(path, formats[path.suffix.lower()], max_pixels)
    with explained():
        with path.open("rb") as stream:
            format, _, _, orientation = _header(stream, path.suffix, max_pixels)
            stream.seek(0)
            data = stream.read()
        return _decoded(data, format, orientation, path.suffix, max_pixels, channels)


def decode_picture(data: bytes, *, max_pixels: int) -> Picture:
    """Read the first picture of a file's bytes; see :func:`read_picture`. No plugin's format is known here, since nothing has a suffix.

    Raises:
        PixlateError: The bytes are no image, truncated or damaged, too large, or have samples of more than 16 bits.
    """
    with explained():
        format, _, _, orientation = _header(BytesIO(data), "", max_pixels)
        return _decoded(data, format, orientation, "", max_pixels)


def _size(stream: BinaryIO, suffix: str, max_pixels: int) -> tuple[int, int]:
    """Return width and height of the upright picture."""
    _, width, height, orientation = _header(stream, suffix, max_pixels)
    return (height, width) if orientation >= 5 else (width, height)


def _decoded(data: bytes, format: str, orientation: int, suffix: str, max_pixels: int, channels: int = 0) -> Picture:
    if format == "tiff":
        picture, orientation = tiff.read(data, orientation, max_pixels, channels)
    elif format == "png":
        png.check(data)
        picture = png.read_deep(data) if png.depth(data) == 16 else decode.decoded(data, "png")
    else:
        picture = decode.decoded(data, format)
    return _finished(picture, orientation, _remarks(suffix, format, data))


def _header(stream: BinaryIO, suffix: str, max_pixels: int) -> tuple[str, int, int, int]:
    """Return format, width and height as stored, and orientation."""
    head = stream.read(SNIFFED)
    if not head:
        raise PixlateError("the file is empty; copy it again from its source")
    format = sniff(head)
    if format is None:
        expected = TITLES.get(SUFFIXES.get(suffix.lower(), ""), "an image")
        raise PixlateError(f"expected {expected}, got a file that is none of {', '.join(TITLES.values())}; leave it out or convert it first")
    if format == "tiff":
        width, height = tiff.size_of(stream)
        check_size(width, height, max_pixels)
        return format, width, height, tiff.orientation_of(stream)
    with decode.opened(stream, format) as image:
        width, height = image.size
        check_size(width, height, max_pixels)
        metadata = decode.metadata_of(image)
    return format, width, height, exif.orientation(metadata.exif) or xmp.orientation(metadata.xmp) or 1


def _finished(picture: Picture, orientation: int, remarks: tuple[str, ...]) -> Picture:
    """Turn pixels and alpha upright, and make the metadata say so."""
    metadata, notes = picture.metadata, remarks + picture.notes
    if metadata.icc and colour.fits(metadata.icc, 1):
        picture = _grey_again(picture)
    if metadata.icc and not colour.fits(metadata.icc, picture.pixels.shape[2]):
        metadata = replace(metadata, icc=b"")
        notes += ("the ICC profile is for another kind of colours and was left out",)
    dpi = metadata.dpi[::-1] if metadata.dpi is not None and orientation >= 5 else metadata.dpi
    return Picture(
        pixels=turned(picture.pixels, orientation),
        alpha=None if picture.alpha is None else turned(picture.alpha, orientation),
        metadata=Metadata(exif=exif.upright(metadata.exif), icc=metadata.icc, xmp=xmp.upright(metadata.xmp), dpi=dpi),
        notes=notes,
    )


def _grey_again(picture: Picture) -> Picture:
    """Return one channel of grey pixels that a decoder has given as RGB, so that their grey profile stays right."""
    grey = picture.pixels[:, :, :1]
    return replace(picture, pixels=np.ascontiguousarray(grey)) if (picture.pixels == grey).all() else picture


def _remarks(suffix: str, format: str, data: bytes) -> tuple[str, ...]:
    remarks: tuple[str, ...] = ()
    if SUFFIXES.get(suffix.lower(), format) != format:
        remarks += (f"the file is {TITLES[format]} inside, whatever its name says",)
    if format == "avif" and 0 <= (box := data.find(b"av1C")) < len(data) - 6 and data[box + 6] & 0x40:
        remarks += ("10- or 12-bit AVIF read with 8 bits",)
    return remarks


def _from_plugin(path: Path, format: ImageFormat, max_pixels: int) -> Picture:
    with explained(f"{format.name} file"):
        picture = format.read(path)
    if not isinstance(picture, Picture):
        raise PixlateError(f"expected a Picture from the plugin that reads {format.name}, got {type(picture).__name__}; report it to the plugin's author")
    height, width = picture.pixels.shape[:2]
    check_size(width, height, max_pixels)
    return picture
