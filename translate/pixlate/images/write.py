"""Pictures to files, or their bytes: everything a format can hold is kept, and a note tells what it cannot."""

import os
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pixlate.errors import PixlateError
from pixlate.images import colour, exif, gif, png, tiff
from pixlate.images.formats import FORMATS, TITLES
from pixlate.images.picture import Metadata, Picture
from pixlate.images.samples import on_white, to_8_bits

LONGEST_SIDES = {"jpeg": 65500, "webp": 16383, "gif": 65535, "avif": 65536}
"""Longest side. libjpeg stops at 65,500, a little before its format does."""
_SEGMENT = 65533
"""Bytes that fit in one segment of a JPEG file."""


def write_picture(picture: Picture, path: Path, format: str, *, quality: int = 95) -> tuple[str, ...]:
    """Write a picture at exactly ``path``, and see it onto the disk.

    Args:
        picture: Upright pixels with what is to go along.
        path: File to write; a file of that name is overwritten. The suffix does not matter.
        format: One of ``FORMATS``.
        quality: As for :func:`encode_picture`.

    Returns:
        Notes on what the format could not hold.

    Raises:
        PixlateError: As :func:`encode_picture`, or a disk that does not take the file.
    """
    data, notes = encode_picture(picture, format, quality=quality)
    try:
        with path.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise PixlateError(f"the file could not be written ({error.strerror}); check the disk and its permissions") from error
    return notes


def encode_picture(picture: Picture, format: str, *, quality: int = 95) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a picture's file, and notes on what the format could not hold.

    Args:
        picture: Upright pixels with what is to go along.
        format: One of ``FORMATS``.
        quality: 1 to 100, for JPEG, WebP and AVIF; from 90 on, colours keep their full resolution.

    Raises:
        PixlateError: Unknown format or quality, or a side too long for the format.
    """
    if format not in FORMATS:
        raise PixlateError(f"expected a format of {', '.join(FORMATS)}, got {format!r}; name one of them with --format")
    if not 1 <= quality <= 100:
        raise PixlateError(f"expected a quality of 1 to 100, got {quality}; 95 is a good start")
    height, width = picture.pixels.shape[:2]
    if max(height, width) > LONGEST_SIDES.get(format, max(height, width)):
        raise PixlateError(f"expected sides of at most {LONGEST_SIDES[format]} pixels in {TITLES[format]}, got {width} x {height}; use --format png")
    channels, kind = picture.pixels.shape[2], picture.pixels.dtype
    if kind == np.float32 or (channels not in (1, 3) and format != "tiff"):
        hint = "use --format tiff" if kind != np.float32 else "scale it to 8 or 16 bits first"
        raise PixlateError(f"expected a picture of 1 or 3 channels of 8 or 16 bits in {TITLES[format]}, got {channels} of {kind}; {hint}")
    metadata, notes = _holdable(picture, format)
    try:
        data, more = _ENCODERS[format](picture, metadata, quality)
    except MemoryError as error:
        raise PixlateError("the picture does not fit in memory while it is written; close other programs or write smaller pictures") from error
    except (OSError, ValueError, RuntimeError) as error:
        other = "tiff" if format == "png" else "png"
        raise PixlateError(f"{TITLES[format]} could not take the picture of {width} x {height} pixels ({error}); use --format {other}") from error
    return data, notes + more


def _holdable(picture: Picture, format: str) -> tuple[Metadata, tuple[str, ...]]:
    """Return the metadata a format can hold, up to date with the pixels, and notes on the rest."""
    metadata, title = picture.metadata, TITLES[format]
    height, width, channels = picture.pixels.shape
    notes: list[str] = []
    block = exif.bare(metadata.exif)
    if metadata.exif and not block:
        notes.append("the EXIF block is damaged and was left out")
    metadata = replace(metadata, exif=exif.resized(block, width, height))
    becomes_rgb = format == "webp" or (format == "avif" and picture.alpha is not None)
    if metadata.icc and not colour.fits(metadata.icc, 3 if becomes_rgb else channels):
        metadata = replace(metadata, icc=b"")
        notes.append("the ICC profile is for another kind of colours and was left out")
    if format in ("bmp", "gif"):
        kept = Metadata(dpi=metadata.dpi) if format == "bmp" else Metadata(xmp=metadata.xmp)
        named = {"EXIF": "exif", "the ICC profile": "icc", "XMP": "xmp", "the resolution": "dpi"}
        lost = [name for name, key in named.items() if getattr(metadata, key) != getattr(kept, key)]
        if lost:
            notes.append(f"{title} cannot hold {_listed(lost)}")
        metadata = kept
    if format in ("webp", "avif") and metadata.dpi is not None and exif.dpi_of(metadata.exif) is None:
        metadata = replace(metadata, exif=exif.with_resolution(metadata.exif, metadata.dpi))
    if format in ("png", "gif") and not _is_text(metadata.xmp):
        metadata = replace(metadata, xmp=b"")
        notes.append(f"the XMP packet is not UTF-8 text, which {title} asks for, and was left out")
    if format == "jpeg":
        fitting = Metadata(
            exif=metadata.exif if len(metadata.exif) <= _SEGMENT - 6 else b"",
            icc=metadata.icc if len(metadata.icc) <= 255 * (_SEGMENT - 14) else b"",
            xmp=metadata.xmp if len(metadata.xmp) <= _SEGMENT - 29 else b"",
            dpi=metadata.dpi,
        )
        for name in ("exif", "icc", "xmp"):
            if getattr(metadata, name) != getattr(fitting, name):
                notes.append(f"the {name.upper()} block of {len(getattr(metadata, name)):,} bytes is too long for JPEG and was left out")
        metadata = fitting
    return metadata, tuple(notes)


def _subsampling_at(quality: int) -> str:
    """Return how the colours of JPEG and AVIF are stored at a quality."""
    return "4:4:4" if quality >= 90 else "4:2:0"


def _jpeg(picture: Picture, metadata: Metadata, quality: int) -> tuple[bytes, tuple[str, ...]]:
    image, notes = _flat(picture, "JPEG")
    return _saved(image, "JPEG", metadata, quality=quality, subsampling=_subsampling_at(quality)), notes


def _bmp(picture: Picture, metadata: Metadata, quality: int) -> tuple[bytes, tuple[str, ...]]:
    image, notes = _flat(picture, "BMP")
    return _saved(image, "BMP", metadata), notes


def _webp(picture: Picture, metadata: Metadata, quality: int) -> tuple[bytes, tuple[str, ...]]:
    image, notes = _shallow(picture, "WebP")
    return _saved(image, "WEBP", metadata, quality=quality), notes


def _avif(picture: Picture, metadata: Metadata, quality: int) -> tuple[bytes, tuple[str, ...]]:
    image, notes = _shallow(picture, "AVIF")
    # Pillow writes the whole block anew if it finds an orientation in it
    metadata = replace(metadata, exif=exif.without_orientation(metadata.exif))
    # speed 8 instead of Pillow's 6: 6 million pixels in 1.0 s instead of 5.5 s, at 48.1 dB instead of 48.3 and an eighth more bytes
    return _saved(image, "AVIF", metadata, quality=quality, subsampling=_subsampling_at(quality), speed=8), notes


def _gif(picture: Picture, metadata: Metadata, quality: int) -> tuple[bytes, tuple[str, ...]]:
    image, notes = _shallow(picture, "GIF")
    transparency: dict[str, int] = {}
    if picture.alpha is None and image.mode == "RGB":
        image, exact = _indexed(image, 256)
        notes += () if exact else ("GIF holds 256 colours",)
    elif picture.alpha is not None:
        opaque = np.asarray(image)[:, :, -1]
        indexed, exact = _indexed(image.convert("RGB"), 255)
        indexed.paste(255, (0, 0), Image.fromarray(np.where(opaque < 128, 255, 0).astype(np.uint8)))
        image, transparency = indexed, {"transparency": 255}
        notes += () if exact else ("GIF holds 256 colours",)
        notes += ("GIF holds transparency as on or off",) if ((opaque > 0) & (opaque < 255)).any() else ()
    data = _saved(image, "GIF", Metadata(), optimize=False, **transparency)
    return gif.with_xmp(data, metadata.xmp) if metadata.xmp else data, notes


def _png(picture: Picture, metadata: Metadata, quality: int) -> tuple[bytes, tuple[str, ...]]:
    return png.encoded(picture, metadata), ()


def _tiff(picture: Picture, metadata: Metadata, quality: int) -> tuple[bytes, tuple[str, ...]]:
    return tiff.encoded(picture, metadata), ()


_ENCODERS: dict[str, Callable[[Picture, Metadata, int], tuple[bytes, tuple[str, ...]]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "tiff": _tiff,
    "bmp": _bmp,
    "avif": _avif,
    "gif": _gif,
}


def _flat(picture: Picture, title: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Return 8-bit pixels on white."""
    if picture.alpha is None:
        return _shallow(picture, title)
    flattened = replace(picture, pixels=on_white(picture.pixels, picture.alpha), alpha=None)
    image, notes = _shallow(flattened, title)
    return image, (f"{title} holds no transparency; laid on white", *notes)


def _shallow(picture: Picture, title: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Return 8-bit pixels with their alpha."""
    pixels = to_8_bits(picture.pixels)
    samples = pixels if picture.alpha is None else np.dstack([pixels, to_8_bits(picture.alpha)])
    notes = (f"{title} holds 8 bits; rounded from 16",) if picture.pixels.dtype == np.uint16 else ()
    return Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples), notes


def _indexed(image: Image.Image, colours: int) -> tuple[Image.Image, bool]:
    """Return an image with a palette of so many colours, and whether it shows the very same picture."""
    found = image.getcolors(colours)
    if found is None:
        return image.quantize(colours), False
    samples = np.asarray(image).astype(np.uint32)
    packed = (samples[:, :, 0] << 16) | (samples[:, :, 1] << 8) | samples[:, :, 2]
    values, indices = np.unique(packed, return_inverse=True)
    indexed = Image.fromarray(indices.reshape(packed.shape).astype(np.uint8), "P")
    indexed.putpalette(np.stack([values >> 16, (values >> 8) & 255, values & 255], axis=1).astype(np.uint8).tobytes())
    return indexed, True


def _saved(image: Image.Image, format: str, metadata: Metadata, **options: int | str | bytes | tuple[float, float]) -> bytes:
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.xmp:
        options["xmp"] = metadata.xmp
    if metadata.dpi is not None:
        options["dpi"] = metadata.dpi
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def _is_text(xmp: bytes) -> bool:
    try:
        return "\0" not in xmp.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
