"""Encoding through Pillow: pictures that a format holds to its bytes, with notes on what of their metadata it does not take."""

from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixlate.images import colour
from pixlate.images.metadata import exif, iptc, xmp
from pixlate.images.picture import Metadata, Picture

Encoded = tuple[bytes, tuple[str, ...]]
LEVEL = 1
"""Level of libdeflate. PNG on one core, a photograph of 1924 x 1284 that was enlarged 4 times, and one of 256 x 256; Pillow 13 at level 2 took 233 ms for 2.00 MB
and 7.9 ms for 112 kB. 1: 56 ms, 1.82 MB and 1.6 ms, 116 kB; 2: 69 ms, 1.77 MB and 2.6 ms, 115 kB; 4: 80 ms, 1.72 MB and 2.9 ms, 114 kB. TIFF, the large
one; zlib at level 4 took 213 ms for 2.53 MB. 1: 58 ms, 2.61 MB; 2: 98 ms, 2.52 MB; 4: 127 ms, 2.46 MB."""
_SEGMENT = 65533
"""Bytes that fit in one segment of a JPEG file."""
_ROWS = 64
"""Rows of a picture whose colours are looked up at once."""
_EFFORT = 70
"""How hard libwebp tries to make a lossless file small, 0 to 100."""


def jpeg(picture: Picture, quality: int) -> Encoded:
    """Return a JPEG file of grey or RGB pixels."""
    metadata, notes = picture.metadata, []
    for name, most in (("exif", _SEGMENT - 6), ("icc", 255 * (_SEGMENT - 14)), ("xmp", _SEGMENT - 29)):
        length = len(getattr(metadata, name))
        if length > most:
            notes.append(f"the {name.upper()} block of {length:,} bytes is too long for JPEG and was left out")
            metadata = Metadata(**vars(metadata) | {name: b""})
    resources, texts = iptc.resources(metadata.iptc) if metadata.iptc else b"", [comment.encode() for comment in metadata.comments]
    parts = [(0xED, iptc.PHOTOSHOP + part) for part in _parts(resources, _SEGMENT - len(iptc.PHOTOSHOP))]
    parts += [(0xFE, part) for comment in texts for part in _parts(comment, _SEGMENT)]
    segments = b"".join(b"\xff" + bytes((mark,)) + (len(body) + 2).to_bytes(2, "big") + body for mark, body in parts)
    more = {"extra": segments} if segments else {}
    return saved(as_image(picture), "JPEG", metadata, quality=quality, subsampling=_subsampling_at(quality), **more), tuple(notes)


def _parts(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def bmp(picture: Picture, quality: int) -> Encoded:
    """Return a BMP file of grey or RGB pixels."""
    return saved(as_image(picture), "BMP", picture.metadata), ()


def webp(picture: Picture, quality: int) -> Encoded:
    """Return a WebP file, which is always RGB."""
    metadata, notes = colour.fitting(picture.metadata, 3)
    how = {"lossless": True, "exact": True, "quality": _EFFORT} if picture.lossless else {"quality": quality}  # exact keeps what transparency hides
    return saved(as_image(picture), "WEBP", with_resolution(metadata), **how), notes


def avif(picture: Picture, quality: int) -> Encoded:
    """Return an AVIF file, which is RGB where there is an opacity."""
    metadata, notes = colour.fitting(picture.metadata, 3) if picture.alpha is not None else (picture.metadata, ())
    metadata = with_resolution(metadata)
    # Pillow writes the whole block again if it finds an orientation in it
    metadata = replace(metadata, exif=exif.without_orientation(metadata.exif))
    # speed 8 instead of Pillow's 6: 6 million pixels in 1.0 s instead of 5.5 s, at 48.1 dB instead of 48.3 and an eighth more bytes
    return saved(as_image(picture), "AVIF", metadata, quality=quality, subsampling=_subsampling_at(quality), speed=8), notes


def text_xmp(metadata: Metadata, title: str) -> tuple[Metadata, tuple[str, ...]]:
    """Return metadata whose XMP is text, as some formats ask for, with a note where it was not."""
    with suppress(UnicodeDecodeError):
        if "\0" not in metadata.xmp.decode("utf-8"):
            return metadata, ()
    return replace(metadata, xmp=b""), (f"the XMP packet is not UTF-8 text, which {title} asks for, and was left out",)


def gif_file(picture: Picture, quality: int) -> Encoded:
    """Return a GIF file of at most 256 colours."""
    metadata, notes = text_xmp(picture.metadata, "GIF")
    image = as_image(picture)
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
    comment = {"comment": "\n".join(metadata.comments).encode()} if metadata.comments else {}
    data = saved(image, "GIF", Metadata(), optimize=False, **transparency, **comment)
    return xmp.gif_with(data, metadata.xmp) if metadata.xmp else data, notes


def deflated(data: bytes | NDArray[np.uint8]) -> bytes:
    """Return bytes packed as PNG and TIFF hold them: deflate with the frame of zlib."""
    return bytes(imagecodecs.deflate_encode(cast(bytes, data), level=LEVEL))  # it takes any buffer


def with_resolution(metadata: Metadata) -> Metadata:
    """Return metadata whose EXIF block says the resolution, for formats that have no other place for it."""
    if metadata.dpi is None or exif.dpi_of(metadata.exif) is not None:
        return metadata
    return replace(metadata, exif=exif.with_resolution(metadata.exif, metadata.dpi))


def _subsampling_at(quality: int) -> str:
    """Return how the colours of JPEG and AVIF are stored at a quality."""
    return "4:4:4" if quality >= 90 else "4:2:0"


def as_image(picture: Picture) -> Image.Image:
    """Return 8-bit samples as an image of Pillow."""
    samples = picture.samples
    return Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)


def _indexed(image: Image.Image, colours: int) -> tuple[Image.Image, bool]:
    """Return an image with a palette of that many colours, and whether it shows exactly the same picture."""
    found = image.getcolors(colours)
    if found is None:
        return image.quantize(colours), False
    pixels, place = np.asarray(image), np.array([1 << 16, 1 << 8, 1], np.uint32)  # that of each channel in one number for a colour
    palette = np.array(sorted(colour for _, colour in found), np.uint8)
    indices = np.empty(pixels.shape[:2], np.uint8)
    for top in range(0, len(pixels), _ROWS):
        indices[top : top + _ROWS] = np.searchsorted(palette @ place, pixels[top : top + _ROWS] @ place)
    indexed = Image.fromarray(indices, "P")
    indexed.putpalette(palette.tobytes())
    return indexed, True


def saved(image: Image.Image, format: str, metadata: Metadata, **options: Any) -> bytes:
    """Return the file that Pillow writes with metadata."""
    exif_block = b"Exif\0\0" + metadata.exif if metadata.exif else b""
    blocks = {"exif": exif_block, "icc_profile": metadata.icc, "xmp": metadata.xmp, "dpi": metadata.dpi}
    stream = BytesIO()
    image.save(stream, format, **options, **{name: block for name, block in blocks.items() if block})
    return stream.getvalue()
