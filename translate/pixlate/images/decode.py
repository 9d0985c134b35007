"""Decoding through Pillow: any mode to 8-bit grey or RGB with alpha."""

import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from pixlate.errors import PixlateError
from pixlate.images import colour, exif, gif
from pixlate.images.picture import Metadata, Picture

_OPENERS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "gif": GifImagePlugin.GifImageFile,
}
_GREY_MODES = {"1", "L"}
_COLOUR_MODES = {"CMYK", "LAB", "YCbCr"}
_ALPHA_MODES = {"LA": "LA", "La": "LA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA"}


def opened(stream: BinaryIO, format: str) -> ImageFile.ImageFile:
    """Read the header of an image.

    The reader of the format is called directly. ``Image.open`` would look at ``Image.MAX_IMAGE_PIXELS``, one number for the whole process,
    and Pixlate has a limit of its own.
    """
    stream.seek(0)
    return _OPENERS[format](stream)


def metadata_of(image: ImageFile.ImageFile) -> Metadata:
    """Return what the header and the ancillary blocks of an image say, as it stands."""
    info = image.info
    block = info.get("exif") or b""
    if not block and isinstance(raw := info.get("Raw profile type exif"), str | bytes):  # ImageMagick's way in PNG
        block = _unpacked(raw if isinstance(raw, str) else raw.decode("latin-1"))
    block = exif.bare(block)
    xmp = info.get("xmp") or b""
    dpi = _positive(info.get("dpi")) or exif.dpi_of(block)
    return Metadata(exif=block, icc=info.get("icc_profile") or b"", xmp=xmp.encode() if isinstance(xmp, str) else xmp, dpi=dpi)


def decoded(data: bytes, format: str) -> Picture:
    """Decode the first frame, as it lies in the file (TIFF: upright, which Pillow sees to), with a note for each further thing that was done.

    Args:
        data: The file.
        format: Of the file.
    """
    with opened(BytesIO(data), format) as image:
        metadata = metadata_of(image)
        header_size = image.fp.tell() if image.fp is not None else 0
        image.load()
        if format == "png" and image.mode == "L" and data[24] < 8 and isinstance(clear := image.info.get("transparency"), int):
            image.info["transparency"] = clear * 255 // (2 ** data[24] - 1)  # Pillow stretches the pixels to 8 bits, not this number
        if format == "jpeg" and data.find(b"\xff\xd9", header_size) < 0:  # zeros after a broken copy decode without complaint
            raise ValueError("no end mark")
        metadata = replace(metadata, xmp=gif.xmp_of(data)) if format == "gif" else metadata
        return _counted(_picture(image, metadata), image, format)


def _counted(picture: Picture, image: ImageFile.ImageFile, format: str) -> Picture:
    """Return the picture with a note where its file holds more of them."""
    count = _frames(image)
    return picture if count == 1 else replace(picture, notes=(f"first of {count} {'pictures' if format == 'jpeg' else 'frames'}", *picture.notes))


def _picture(image: Image.Image, metadata: Metadata) -> Picture:
    icc = metadata.icc
    notes: tuple[str, ...] = ()
    if image.mode in _COLOUR_MODES:
        image, icc, note = colour.rgb_from(image, icc)
        notes = (note,) if note else ()
    elif image.mode in _ALPHA_MODES or image.has_transparency_data:
        wanted = _ALPHA_MODES.get(image.mode) or ("LA" if image.mode in _GREY_MODES else "RGBA")
        image = image if image.mode == wanted else image.convert(wanted)
    elif image.mode in _GREY_MODES:
        image = image.convert("L")
    elif image.mode in ("P", "RGB", "RGBX"):
        image = image.convert("RGB")
    else:
        raise PixlateError(f"expected 8- or 16-bit samples, got Pillow mode {image.mode!r} (32-bit or floating point); convert the file to 16 bits")
    array: np.ndarray[Any, np.dtype[np.uint8]] = np.array(image)
    array = array[:, :, None] if array.ndim == 2 else array
    channels = array.shape[2] - (array.shape[2] + 1) % 2
    alpha = np.ascontiguousarray(array[:, :, channels]) if channels < array.shape[2] else None
    return Picture(np.ascontiguousarray(array[:, :, :channels]), alpha, replace(metadata, icc=icc), notes)


def _frames(image: ImageFile.ImageFile) -> int:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        try:
            index = image._getmp()
        except (SyntaxError, KeyError, ValueError):
            return 1
        return 1 if index is None else max(1, int(index.get(0xB001, 1)))
    return int(getattr(image, "n_frames", 1))


def _positive(dpi: tuple[float, ...] | None) -> tuple[float, float] | None:
    if dpi is None:
        return None
    try:
        x, y = float(dpi[0]), float(dpi[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e9 and 0 < y < 1e9 else None


def _unpacked(text: str) -> bytes:
    found = re.fullmatch(r"\s*exif\s+\d+\s+([0-9a-fA-F\s]+)", text)
    try:
        return bytes.fromhex(found[1]) if found else b""
    except ValueError:
        return b""
