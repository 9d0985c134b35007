"""Decoding through Pillow: any mode to 8-bit grey or RGB with alpha."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from pixlate.errors import Unsupported
from pixlate.images import colour, limits
from pixlate.images.metadata import exif, stale, xmp
from pixlate.images.picture import Metadata, Picture, split, turned
from pixlate.plugin.image_format import Frame, Header, Opened

Opener = Callable[[BinaryIO], ImageFile.ImageFile]
DAMAGED_EXIF = "the EXIF block is damaged and was left out"
_STRIP = 256
"""Rows whose samples are copied at once."""
_GREY_MODES = {"1", "L"}
_COLOUR_MODES = {"CMYK", "LAB", "YCbCr"}
_ALPHA_MODES = {"LA": "LA", "La": "LA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA"}


@dataclass(frozen=True, eq=False)
class Unread:
    """What is known of an image whose decoder is made when it is to be decoded."""

    size: tuple[int, int]
    info: Mapping[str, Any]
    """Metadata under Pillow's names."""


@dataclass(frozen=True, eq=False)
class Parsed:
    """A decoder that has read the header."""

    image: ImageFile.ImageFile | Unread
    metadata: Metadata
    orientation: int
    notes: tuple[str, ...] = ()
    """What the header showed that the user should know."""
    rest: int = 0
    """Offset in the file at which what the decoder has not been given yet begins, where it is given the file in parts."""

    def picture(self) -> Picture:
        """Decode the picture that the decoder is at, upright."""
        assert isinstance(self.image, ImageFile.ImageFile)
        self.image.load()
        return upright(as_stored(self.image, self.metadata), self.orientation)


def probe(opener: Opener, stream: BinaryIO) -> Header:
    """Read the header of an image.

    The reader of the format is called directly. ``Image.open`` would look at ``Image.MAX_IMAGE_PIXELS``, one number for the whole process,
    and Pixlate has a limit of its own.
    """
    return header(opener(stream))


def header(image: ImageFile.ImageFile | Unread, notes: tuple[str, ...] = (), orientation: int = 0) -> Header:
    """Return what a decoder has read, with notes for the picture; an orientation of 1 to 8 overrules what the metadata say."""
    found = metadata_of(image)
    if image.info.get("exif") and not found.exif:
        notes += (DAMAGED_EXIF,)
    metadata, more = bounded(found)
    orientation = orientation or exif.orientation(metadata.exif) or xmp.orientation(metadata.xmp) or 1
    width, height = image.size[::-1] if orientation >= 5 else image.size
    return Header(width, height, _channels(image), parsed=Parsed(image, metadata, orientation, notes + more))


def _channels(image: ImageFile.ImageFile | Unread) -> int:
    """Return the samples of a decoded pixel; 4 where they are not known yet."""
    if isinstance(image, Unread):
        return 4
    colours = 1 if image.mode in (*_GREY_MODES, "LA", "La") or image.mode.startswith("I;16") else 3
    return colours + (image.mode in _ALPHA_MODES or image.has_transparency_data)


def bounded(metadata: Metadata) -> tuple[Metadata, tuple[str, ...]]:
    """Return metadata without the blocks that are too long, or an XMP packet of too many tags, and notes on them."""
    notes = []
    for name in ("exif", "icc", "xmp", "iptc"):
        if len(getattr(metadata, name)) > limits.BLOCK_BYTES:
            notes.append(f"the {name.upper()} block is longer than {limits.BLOCK_BYTES >> 20} MB and was left out")
            metadata = Metadata(**vars(metadata) | {name: b""})
    if sum(map(len, metadata.comments)) > limits.BLOCK_BYTES:
        notes.append(f"comments longer than {limits.BLOCK_BYTES >> 20} MB were left out")
        metadata = replace(metadata, comments=())
    if xmp.tags(metadata.xmp) > limits.XML_TAGS and (packet := xmp.without_ancestors(metadata.xmp)) != metadata.xmp:
        notes.append("the list of the documents that the picture was made from (DocumentAncestors) was left out of XMP")
        metadata = replace(metadata, xmp=packet)
    if xmp.tags(metadata.xmp) > limits.XML_TAGS:
        notes.append(f"the XMP packet has more than {limits.XML_TAGS:,} tags and was left out")
        metadata = replace(metadata, xmp=b"")
    return metadata, tuple(notes)


def metadata_of(image: ImageFile.ImageFile | Unread) -> Metadata:
    """Return what the header and the ancillary blocks of an image say, unchanged."""
    info = image.info
    block = info.get("exif") or b""
    if not block and isinstance(raw := info.get("Raw profile type exif"), str | bytes):
        block = raw_profile(raw if isinstance(raw, str) else raw.decode("latin-1"))
    block = exif.bare(block)
    xmp = info.get("xmp") or b""
    dpi = _positive(info.get("dpi")) or exif.dpi_of(block)
    comment = info.get("comment")
    comments = (text_of(comment),) if isinstance(comment, bytes) else ()
    return Metadata(block, info.get("icc_profile") or b"", xmp.encode() if isinstance(xmp, str) else xmp, dpi, comments=comments)


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the frames of an animation one after another, upright."""
    parsed: Parsed = opened.header.parsed
    count = int(getattr(parsed.image, "n_frames", 1))
    for index in range(count):
        yield frame(parsed, index, count)


def frame(parsed: Parsed, index: int, count: int) -> Frame:
    """Decode one of ``count`` frames; what the header showed is noted on each."""
    assert isinstance(parsed.image, ImageFile.ImageFile)
    parsed.image.seek(index)
    picture = parsed.picture()
    picture = replace(picture, notes=(*parsed.notes, *picture.notes)) if parsed.notes else picture
    return Frame(picture, float(parsed.image.info.get("duration") or 0), count)


def upright(picture: Picture, orientation: int) -> Picture:
    """Rotate pixels and alpha upright, and update the metadata."""
    grey = picture.pixels[:, :, :1]
    if colour.fits(picture.metadata.icc, 1) and (picture.pixels == grey).all():  # a decoder may give it as RGB, which its profile does not fit
        picture = replace(picture, pixels=grey)
    metadata, notes = colour.fitting(picture.metadata, picture.pixels.shape[2])
    dpi = metadata.dpi[::-1] if metadata.dpi is not None and orientation >= 5 else metadata.dpi
    packet, lost = (metadata.xmp, ()) if orientation == 1 else stale.turned(metadata.xmp)
    return replace(
        picture,
        pixels=turned(picture.pixels, orientation),
        alpha=None if picture.alpha is None else turned(picture.alpha, orientation),
        metadata=replace(metadata, exif=exif.upright(metadata.exif), xmp=xmp.upright(packet), dpi=dpi),
        notes=picture.notes + notes + lost,
    )


def as_stored(image: Image.Image, metadata: Metadata) -> Picture:
    """Return a decoded image as 8-bit grey or RGB with alpha, not turned yet."""
    icc = metadata.icc
    notes: tuple[str, ...] = ()
    if image.mode in _COLOUR_MODES:
        image, icc, note = colour.rgb_from(image, icc)
        notes = (note,) if note else ()
    elif image.mode in _ALPHA_MODES or image.has_transparency_data:
        wanted = _ALPHA_MODES.get(image.mode) or ("LA" if image.mode in _GREY_MODES else "RGBA")
        image = image if image.mode == wanted else image.convert(wanted)
    elif image.mode in _GREY_MODES or image.mode in ("P", "RGB", "RGBX"):
        wanted = "L" if image.mode in _GREY_MODES else "RGB"
        image = image if image.mode == wanted else image.convert(wanted)  # which would copy it
    else:
        raise Unsupported(f"expected 8- or 16-bit samples, got Pillow mode {image.mode!r} (32-bit or floating point); convert the file to 16 bits")
    return Picture(*split(samples_of(image)), replace(metadata, icc=icc), notes)


def samples_of(image: Image.Image) -> NDArray[np.uint8]:
    """Return the 8-bit samples (height, width, channels) of an image, strip by strip: NumPy would hold it three times at once."""
    width, height = image.size
    samples = np.empty((height, width, len(image.getbands())), np.uint8)
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        samples[top:bottom] = np.atleast_3d(np.asarray(image.crop((0, top, width, bottom))))
    return samples


def text_of(comment: bytes) -> str:
    """Return a comment, which is UTF-8 or, where it cannot be, Latin-1."""
    try:
        return comment.decode().rstrip("\0")
    except UnicodeDecodeError:
        return comment.decode("latin-1").rstrip("\0")


def _positive(dpi: tuple[float, ...] | None) -> tuple[float, float] | None:
    if dpi is None:
        return None
    try:
        x, y = float(dpi[0]), float(dpi[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e9 and 0 < y < 1e9 else None


def raw_profile(text: str) -> bytes:
    """Return the block that ImageMagick wrote into a text of PNG: its name, its length, and hexadecimal digits with white space among them."""
    match text.split(maxsplit=2):  # a regular expression could take more than linear time
        case [_, length, digits] if length.isdecimal():
            with suppress(ValueError):
                return bytes.fromhex(digits)
    return b""
