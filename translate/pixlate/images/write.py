"""Pictures to files, or their bytes: everything a format can hold is kept, and a note says what it cannot."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from pixlate.errors import PixlateError
from pixlate.images import colour
from pixlate.images.formats import BUILT_IN, writable
from pixlate.images.metadata import exif, stale
from pixlate.images.picture import Metadata, Picture, Pixels, on_white, to_8_bits, to_16_bits
from pixlate.images.scene import displayed, lit
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.place import FULL
from pixlate.system.locking import sync

_NAMES = {"exif": "EXIF", "icc": "the ICC profile", "xmp": "XMP", "dpi": "the resolution", "iptc": "IPTC", "comments": "the comment", "text": "the text"}
_KEYWORDS = 4
"""Most keywords of texts that a note names."""
_SIZES = {"exif:ExifImageWidth": 0, "exif:ExifImageLength": 1, "exif:PixelXDimension": 0, "exif:PixelYDimension": 1}
_SIZES |= {"exif:ImageWidth": 0, "exif:ImageLength": 1, "tiff:ImageWidth": 0, "tiff:ImageLength": 1, "Thumb::Image::Width": 0, "Thumb::Image::Height": 1}
"""Keyword of a size in pixels -> 0 for the width, 1 for the height."""


def write_picture(
    picture: Picture, path: Path, format: str, *, quality: int = 95, lossless: bool = False, formats: Mapping[str, ImageFormat] = BUILT_IN
) -> tuple[str, ...]:
    """Write a picture at exactly ``path``, whatever its suffix or what is there, and sync it to the disk; see :func:`encode_picture`."""
    data, notes = encode_picture(picture, format, quality=quality, lossless=lossless, formats=formats)
    try:
        with path.open("wb") as stream:
            stream.write(data)
            stream.flush()
            sync(stream.fileno())
    except OSError as error:
        raise PixlateError(f"the file could not be written ({error.strerror}); check the disk and its permissions") from error
    return notes


def write_strips(
    strips: Iterator[Picture], height: int, path: Path, format: str, *, quality: int = 95, formats: Mapping[str, ImageFormat] = BUILT_IN
) -> tuple[str, ...]:
    """Write a picture of so many rows, which comes in strips from the top, as :func:`write_picture` does; its metadata are those of the first strip.

    The format must have ``write_rows``. What the iterator raises is raised here.
    """
    chosen = writable(format, formats)
    assert chosen.write_rows is not None
    first = next(strips)
    _, width, channels = first.pixels.shape
    require_held(chosen, channels, _stored_as(first), (width, height), formats)
    metadata, notes = _described(first.metadata, chosen, (width, height), channels)
    fitting, more = _held(replace(first, metadata=metadata), chosen)
    shape = replace(fitting, pixels=_shaped(fitting.pixels, height), alpha=None if fitting.alpha is None else _shaped(fitting.alpha, height))
    held = [fitting.samples]
    del first, fitting

    def rows() -> Iterator[Pixels]:
        yield held.pop()
        for strip in strips:
            yield _held(replace(strip, metadata=metadata), chosen)[0].samples

    with explained(chosen, (width, height)):
        try:
            with path.open("wb") as stream:
                notes += more + chosen.write_rows(shape, quality, rows(), stream)
                stream.flush()
                sync(stream.fileno())
        except OSError as error:
            if error.errno is None:
                raise
            raise PixlateError(f"the file could not be written ({error.strerror}); check the disk and its permissions") from error
    return notes


def _shaped(samples: Pixels, height: int) -> Pixels:
    """Return zeros, of which one is in memory, of the width, channels and type of samples."""
    return np.broadcast_to(np.zeros(1, samples.dtype), (height, *samples.shape[1:]))


@contextmanager
def explained(format: ImageFormat, size: tuple[int, int]) -> Iterator[None]:
    """Turn what an encoder raises into PixlateError."""
    try:
        yield
    except MemoryError as error:
        raise PixlateError("the picture does not fit in memory while it is written; close other programs or write smaller pictures") from error
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise PixlateError(f"the file could not be written ({error.strerror}); check the disk and its permissions") from error
        other = "tiff" if format.name == "png" else "png"
        raise PixlateError(f"{format.title} could not take the picture of {size[0]} x {size[1]} pixels ({error}); use --format {other}") from error


def encode_picture(
    picture: Picture, format: str, *, quality: int = 95, lossless: bool = False, formats: Mapping[str, ImageFormat] = BUILT_IN
) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a picture's file, and notes on what the format could not hold.

    Args:
        picture: Upright pixels with what is to go along.
        format: Name of one of ``formats``.
        quality: 1 to 100, for JPEG, WebP and AVIF; from 90 on, colours keep their full resolution.
        lossless: Keep every pixel, whatever the quality; also done for a picture whose own file was lossless and whose format can be either.
        formats: Suffix -> format.

    Raises:
        PixlateError: Unknown format or quality, a format that cannot be lossless where that is asked, or a picture that the format does not hold: the sentence names formats that do.
    """
    chosen = writable(format, formats)
    if not 1 <= quality <= 100:
        raise PixlateError(f"expected a quality of 1 to 100, got {quality}; 95 is a good start")
    if lossless:
        require_lossless(chosen, formats)
    height, width, channels = picture.pixels.shape
    require_held(chosen, channels, _stored_as(picture), (width, height), formats)
    held, notes = fitting(replace(picture, lossless=lossless or picture.lossless), chosen)
    if chosen.write is None:
        raise PixlateError(f"expected a film or an animation for {chosen.title}, got a single picture; use another --format, such as png")
    with explained(chosen, (width, height)):
        data, more = chosen.write(held, quality)
    return data, notes + more


def _stored_as(picture: Picture) -> str:
    """Return the type of samples that a format must hold at least; light can be made whole."""
    return "uint16" if picture.peak else str(picture.pixels.dtype)


def require_held(format: ImageFormat, channels: int, dtype: object, size: tuple[int, int], formats: Mapping[str, ImageFormat] = BUILT_IN) -> None:
    """Refuse a picture of that many channels, a type of samples and (width, height) that a format does not hold, and name formats that do."""
    if format.holds(channels, dtype, size):
        return
    require_sides(format, size)
    others = " or ".join(dict.fromkeys(other.name for other in formats.values() if other.holds(channels, dtype, size)))
    held = f"{' or '.join(map(str, format.channels)) or 'any number of'} channels of {' or '.join(format.dtypes)}"
    raise PixlateError(f"expected a picture of {held} in {format.title}, got {channels} of {dtype}; use --format {others}")


def require_sides(format: ImageFormat, size: tuple[int, int]) -> None:
    """Refuse (width, height) that a format does not hold."""
    if format.longest_side and max(size) > format.longest_side:
        raise PixlateError(f"expected sides of at most {format.longest_side} pixels in {format.title}, got {size[0]} x {size[1]}; use --format png")


def require_lossless(format: ImageFormat, formats: Mapping[str, ImageFormat] = BUILT_IN) -> None:
    """Refuse a format that cannot keep every pixel, and name those that can."""
    if format.lossless == "never":
        others = ", ".join(dict.fromkeys(other.name for other in formats.values() if other.write is not None and other.lossless != "never"))
        raise PixlateError(f"expected a format that keeps every pixel ({others}) with --lossless, got {format.title}; use --format png")


def fitting(picture: Picture, format: ImageFormat) -> tuple[Picture, tuple[str, ...]]:
    """Return the picture as a format can hold it, its metadata up to date with the pixels, and notes on the rest."""
    height, width, channels = picture.pixels.shape
    metadata, notes = _described(picture.metadata, format, (width, height), channels)
    held, more = _held(replace(picture, metadata=metadata), format)
    return held, notes + more


def _described(metadata: Metadata, format: ImageFormat, size: tuple[int, int], channels: int) -> tuple[Metadata, tuple[str, ...]]:
    """Return metadata up to date with a picture of (width, height), and notes on what is wrong in it or cannot be held; :func:`_held` leaves that out."""
    notes: list[str] = []
    block = exif.bare(metadata.exif)
    if metadata.exif and not block:
        notes.append("the EXIF block is damaged and was left out")
    block, false = exif.without_layout(exif.resized(block, *size))
    notes += [f"the description for {', '.join(false)}, which says how the file's samples were stored, was left out"] if false else []
    packet, corrected = stale.corrected(metadata.xmp, *size)
    metadata, other = colour.fitting(replace(metadata, exif=block, xmp=packet, text=_resized(metadata.text, *size)), channels)
    notes += (*corrected, *other)
    lost = [words for name, words in _NAMES.items() if name not in format.metadata and getattr(metadata, name) != getattr(Metadata(), name)]
    if lost:
        if lost[-1] == _NAMES["text"]:
            keywords = list(dict.fromkeys(keyword for keyword, _ in metadata.text))
            lost[-1] += f" ({', '.join(keywords[:_KEYWORDS])}{' and others' if len(keywords) > _KEYWORDS else ''})"
        notes.append(f"{format.title} cannot hold {_listed(lost)}")
    return metadata, tuple(notes)


def _held(picture: Picture, format: ImageFormat) -> tuple[Picture, tuple[str, ...]]:
    """Return a picture, or some rows of one, with the samples and the metadata that a format can hold, and notes on what was done to the samples."""
    kept = Metadata(**{name: getattr(picture.metadata, name) for name in format.metadata})
    notes: list[str] = []
    if picture.peak and "float32" not in format.dtypes:
        notes += [f"{format.title} holds no light beyond white; highlights up to {picture.peak:.4g} were compressed"] if picture.peak > 1 else []
        picture = displayed(picture)
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and not format.alpha:
        pixels, alpha = on_white(pixels, alpha), None
        notes.append(f"{format.title} holds no transparency; laid on white")
    if str(pixels.dtype) == "uint16" and "uint16" not in format.dtypes and "uint8" in format.dtypes:
        pixels, alpha = to_8_bits(pixels), None if alpha is None else to_8_bits(alpha)
        notes.append(f"{format.title} holds 8 bits; rounded from 16")
    if picture.metadata.icc and not kept.icc:
        shown, note = colour.without_profile(pixels, picture.metadata.icc)
        notes += [note or "colours converted to sRGB"] if shown is not pixels or note else []
        pixels = shown
    if str(pixels.dtype) == "uint8" and "uint8" not in format.dtypes and "uint16" in format.dtypes:
        pixels, alpha = to_16_bits(pixels), None if alpha is None else to_16_bits(alpha)
    held = Picture(pixels, alpha, kept, lossless=picture.lossless, peak=picture.peak)
    return lit(held, 1) if str(pixels.dtype) not in format.dtypes else held, tuple(notes)


def _resized(text: tuple[tuple[str, str], ...], width: int, height: int) -> tuple[tuple[str, str], ...]:
    """Return texts with the sizes that ImageMagick and thumbnailers write among them set to that of the picture."""
    return tuple((keyword, str((width, height)[_SIZES[keyword]]) if keyword in _SIZES else value) for keyword, value in text)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
