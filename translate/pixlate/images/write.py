"""Pictures to files, or their bytes: everything a format can hold is kept, and a note says what it cannot."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.images import colour, exif
from pixlate.images.formats import BUILT_IN, writable
from pixlate.images.picture import Metadata, Picture, on_white, to_8_bits, to_16_bits
from pixlate.plugin.image_format import ImageFormat
from pixlate.system.locking import sync

_NAMES = {"exif": "EXIF", "icc": "the ICC profile", "xmp": "XMP", "dpi": "the resolution"}


def write_picture(picture: Picture, path: Path, format: str, *, quality: int = 95, formats: Mapping[str, ImageFormat] = BUILT_IN) -> tuple[str, ...]:
    """Write a picture at exactly ``path``, whatever its suffix or what is there, and sync it to the disk; see :func:`encode_picture`."""
    data, notes = encode_picture(picture, format, quality=quality, formats=formats)
    try:
        with path.open("wb") as stream:
            stream.write(data)
            stream.flush()
            sync(stream.fileno())
    except OSError as error:
        raise PixlateError(f"the file could not be written ({error.strerror}); check the disk and its permissions") from error
    return notes


def encode_picture(picture: Picture, format: str, *, quality: int = 95, formats: Mapping[str, ImageFormat] = BUILT_IN) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a picture's file, and notes on what the format could not hold.

    Args:
        picture: Upright pixels with what is to go along.
        format: Name of one of ``formats``.
        quality: 1 to 100, for JPEG, WebP and AVIF; from 90 on, colours keep their full resolution.
        formats: Suffix -> format.

    Raises:
        PixlateError: Unknown format or quality, or a picture that the format does not hold: the sentence names formats that do.
    """
    chosen = writable(format, formats)
    if not 1 <= quality <= 100:
        raise PixlateError(f"expected a quality of 1 to 100, got {quality}; 95 is a good start")
    height, width, channels = picture.pixels.shape
    require_held(chosen, channels, picture.pixels.dtype, (width, height), formats)
    fitting, notes = _fitting(picture, chosen)
    assert chosen.write is not None
    try:
        data, more = chosen.write(fitting, quality)
    except MemoryError as error:
        raise PixlateError("the picture does not fit in memory while it is written; close other programs or write smaller pictures") from error
    except (OSError, ValueError, RuntimeError) as error:
        other = "tiff" if format == "png" else "png"
        raise PixlateError(f"{chosen.title} could not take the picture of {width} x {height} pixels ({error}); use --format {other}") from error
    return data, notes + more


def require_held(format: ImageFormat, channels: int, dtype: object, size: tuple[int, int], formats: Mapping[str, ImageFormat] = BUILT_IN) -> None:
    """Refuse a picture of that many channels, a type of samples and (width, height) that a format does not hold, and name formats that do."""
    if format.holds(channels, dtype, size):
        return
    if format.longest_side and max(size) > format.longest_side:
        raise PixlateError(f"expected sides of at most {format.longest_side} pixels in {format.title}, got {size[0]} x {size[1]}; use --format png")
    others = " or ".join(dict.fromkeys(other.name for other in formats.values() if other.holds(channels, dtype, size)))
    held = f"{' or '.join(map(str, format.channels)) or 'any number of'} channels of {' or '.join(format.dtypes)}"
    raise PixlateError(f"expected a picture of {held} in {format.title}, got {channels} of {dtype}; use --format {others}")


def _fitting(picture: Picture, format: ImageFormat) -> tuple[Picture, tuple[str, ...]]:
    """Return the picture as a format can hold it, its metadata up to date with the pixels, and notes on the rest."""
    metadata, title = picture.metadata, format.title
    height, width, channels = picture.pixels.shape
    notes: list[str] = []
    block = exif.bare(metadata.exif)
    if metadata.exif and not block:
        notes.append("the EXIF block is damaged and was left out")
    metadata, other = colour.fitting(replace(metadata, exif=exif.resized(block, width, height)), channels)
    notes += other
    kept = Metadata(**{name: getattr(metadata, name) for name in format.metadata})
    lost = [words for name, words in _NAMES.items() if getattr(metadata, name) != getattr(kept, name)]
    if lost:
        notes.append(f"{title} cannot hold {_listed(lost)}")
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and not format.alpha:
        pixels, alpha = on_white(pixels, alpha), None
        notes.append(f"{title} holds no transparency; laid on white")
    if str(pixels.dtype) == "uint16" and "uint16" not in format.dtypes:
        pixels, alpha = to_8_bits(pixels), None if alpha is None else to_8_bits(alpha)
        notes.append(f"{title} holds 8 bits; rounded from 16")
    if str(pixels.dtype) == "uint8" and "uint8" not in format.dtypes:
        pixels, alpha = to_16_bits(pixels), None if alpha is None else to_16_bits(alpha)
    return Picture(pixels, alpha, kept), tuple(notes)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
