"""TIFF files are read here, at full depth, with every EXIF tag.

Grey and RGB of 8 bits and more are decoded in :mod:`pixlate.images.codecs.segments`; the rest goes through Pillow, which receives a file made of the tags
that were checked, so that no second reader can take them for something else.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from PIL import Image

from pixlate.errors import PixlateError, Unsupported
from pixlate.images.codecs import jpeg, segments
from pixlate.images.codecs.decode import as_stored, bounded, samples_of, upright
from pixlate.images.codecs.segments import Page, Tag
from pixlate.images.limits import BLOCK_BYTES
from pixlate.images.metadata import exif, iptc, xmp
from pixlate.images.metadata.tags import ICC, IPTC, XMP, Directory, first_directory, long, short
from pixlate.images.picture import NO_NUMBERS, Metadata, Picture, Pixels, as_pixels, beyond_unit, check_size, full_scale, unmultiplied
from pixlate.images.scene import of_light
from pixlate.images.signalled import SRGB, Signal
from pixlate.plugin.image_format import DamagedFrames, Frame, Header, Opened
from pixlate.system.extras import install

DESCRIPTION, _SUBFILE, _SUB_DIRECTORIES = 270, 254, 330
_RAW = (32803, 34892)
"""Photometric interpretations of what a sensor gave (DNG 1.4)."""
_RAW_REFUSED = f"a RAW photograph (DNG, NEF, ARW and the like) is not read as TIFF; give the file its own suffix, such as .dng, and run: {install('formats')}"
_TRANSFER, _WHITE, _PRIMARIES = 301, 318, 319
_JPEG, _FAX = 7, (2, 3, 4, 32771)
_THROUGH_PILLOW = {*segments.COMPRESSIONS, *_FAX, _JPEG} - {segments.LZMA}
"""Compressions that libtiff, through Pillow, decodes within bounds."""
_COLOUR_TAGS = (292, 293, 320, 332, Tag.EXTRA, 347, 529, 530, 531, 532)
"""Options of fax, palette, inks, extra samples, tables of JPEG, and YCbCr: what libtiff looks at besides what a Page has."""
_COLOUR_BYTES = 1 << 20
"""Most bytes of one of them; a palette of 16 bits has 393,216."""
_NAMES = {6: "old-style JPEG", 9: "JBIG", 10: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000"} | {
    33007: "JPEG", 34661: "JBIG", 34676: "SGI Log", 34677: "SGI Log", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG", 34925: "LZMA", 34926: "Zstandard"
} | {34927: "WebP", 34933: "PNG", 34934: "JPEG XR", 22610: "JPEG XR", 34713: "Nikon NEF", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"}  # fmt: skip
_COLOURS = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3}
"""Samples of a pixel by photometric interpretation (TIFF 6.0, tag 262): RGB, CMYK, YCbCr, CIELab and ICCLab; the others have one."""
_IMAGEJ = re.compile(rb"^images=(\d{1,9})\s*$", re.MULTILINE)


def probe(stream: BinaryIO) -> Header:
    """Read the first directory."""
    main = first_directory(stream)
    _refuse_unsupported(main)
    size = main.number(Tag.WIDTH), main.number(Tag.HEIGHT)
    width, height = size[::-1] if _orientation(main) >= 5 else size
    return Header(width, height, main.number(Tag.SAMPLES, 1), -(-int(max(main.numbers(Tag.BITS, (1,)))) // 8), main, frames=0 if main.next else 1)


def _metadata_of(main: Directory) -> tuple[Metadata, tuple[str, ...]]:
    """Return EXIF, ICC profile, XMP, IPTC and resolution as they are, and notes on what was left out."""
    captions = main.data(IPTC)
    captions = iptc.datasets(captions) if len(captions) <= BLOCK_BYTES else captions  # which bounded drops
    return bounded(Metadata(exif.from_tiff(main), main.data(ICC), main.data(XMP).rstrip(b"\0"), exif.resolution(main), captions))


def _orientation(main: Directory) -> int:
    """Return the orientation, 1 to 8; where the tags have none, that of the XMP packet."""
    value = main.number(exif.ORIENTATION)
    return value if 1 <= value <= 8 else xmp.orientation(main.data(XMP)) or 1


def is_stack(main: Directory, channels: int) -> bool:
    """Return whether the samples of a file are channels that are no picture of grey or RGB with an opacity, for a reader that takes that many (0: any).

    Of two samples the second is an opacity only where the file says so.
    """
    if channels:
        return channels not in (1, 3)
    samples = main.number(Tag.SAMPLES, 1)
    return samples - _COLOURS.get(main.number(Tag.PHOTOMETRIC), 1) > 1 or (samples == 2 and not any(main.numbers(Tag.EXTRA)))


def read_stack(main: Directory, data: bytes, max_pixels: int) -> Pixels:
    """Return all channels, as stored, whether they are samples of a pixel, planes or pages like the first: (height, width, channels)."""
    directories = [directory for directory in map(main.at, main.chain()) if _kind(directory) == _kind(main)]
    first = _supported(main, max_pixels)
    if len(directories) > 1 and first.samples > 1:
        raise Unsupported(f"expected a TIFF of height, width and channels, got {len(directories)} pages of {first.samples} channels; save one image a file")
    if len(directories) == 1 and (count := _images_behind(main, first)) > 1:
        check_size(first.width, first.height, max_pixels, count)
        shape, kind = (count, first.height, first.width), f"{first.order}{'f' if first.kind == segments.FLOATING else 'u'}{first.bits[0] // 8}"
        return as_pixels(np.moveaxis(np.frombuffer(data, kind, count * first.height * first.width, first.offsets[0]).reshape(shape), 0, 2))
    check_size(first.width, first.height, max_pixels, len(directories) * first.samples)
    planes = [_stored(data, directory, _supported(directory, max_pixels)) for directory in directories]
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def frames(opened: Opened) -> Iterator[Frame | DamagedFrames]:
    """Decode the pages, or all channels of a stack as one picture. Where all pages are taken, those that cannot be read are left out."""
    main: Directory = opened.header.parsed
    data = opened.data()
    if is_stack(main, opened.channels):
        yield Frame(upright(Picture(read_stack(main, data, opened.max_pixels), None, *_metadata_of(main)), _orientation(main)))
        return
    offsets = main.chain()
    for index, offset in enumerate(offsets):
        try:
            frame: Frame | DamagedFrames = Frame(_picture(data, main.at(offset), opened.max_pixels), count=len(offsets))
        except MemoryError:
            raise
        except Exception as error:
            if not opened.whole or len(offsets) == 1:
                raise
            frame = DamagedFrames(f"page {index + 1}", str(error) if isinstance(error, PixlateError) else f"it is damaged ({error})")
        yield frame


def _picture(data: bytes, main: Directory, max_pixels: int) -> Picture:
    """Decode one page."""
    page = _supported(main, max_pixels)
    metadata, notes = _metadata_of(main)
    picture = _page(data, main, page, metadata)
    picture = replace(picture, notes=notes + exif.lost_from_tiff(main) + picture.notes)
    for signal in () if picture.metadata.icc or picture.peak else _signals(main):
        picture = signal.applied(picture)
    return upright(picture, _orientation(main))


def _signals(main: Directory) -> Iterator[Signal]:
    """Yield how tags describe colours: transfer function, and chromaticities of primaries and white (TIFF 6.0, section 20)."""
    if _TRANSFER in main.entries:
        small = main.size(_TRANSFER) <= 3 * 2 * 65536
        yield Signal.from_table(main.numbers(_TRANSFER, most=3 * 65536) if small else (), source="TransferFunction")
    if main.size(_PRIMARIES) == 48:
        white = main.numbers(_WHITE) if main.size(_WHITE) == 16 else SRGB[:2]
        yield Signal.from_gamma(0, (*white, *main.numbers(_PRIMARIES)), source="PrimaryChromaticities")


def _page(data: bytes, main: Directory, page: Page, metadata: Metadata) -> Picture:
    """Decode the pixels of a page as they are stored."""
    if page.photometric in (0, 1, 2) and min(page.bits) >= 8 and (max(page.bits) > 8 or page.compression in segments.COMPRESSIONS):
        samples = _stored(data, main, page)
        if (beyond := beyond_unit(samples)) == NO_NUMBERS:
            raise Unsupported(beyond)
        picture = _grey_or_rgb(samples, main, page, bright=bool(beyond))
        return replace(of_light(picture) if beyond_unit(picture.pixels) else picture, metadata=metadata)
    if max(page.bits) > 8 and page.photometric != 5:
        raise Unsupported(f"unsupported colours in a 16-bit TIFF: photometric interpretation {page.photometric}; convert the file to 16-bit RGB")
    with _image(data, main, page) as image:
        image.load()
        picture = as_stored(image, metadata)
    return replace(picture, notes=("16-bit CMYK read with 8 bits", *picture.notes)) if max(page.bits) > 8 else picture


def _grey_or_rgb(samples: Pixels, main: Directory, page: Page, *, bright: bool) -> Picture:
    """Return all samples of a page as pixels and opacity; they may be ``bright``er than white."""
    count, channels = page.samples, 3 if page.photometric == 2 else 1
    if count < channels:
        raise ValueError(f"{count} samples a pixel")
    extras = main.numbers(Tag.EXTRA) if Tag.EXTRA in main.entries else (2,) * (count - channels)
    pixels: Pixels = np.ascontiguousarray(samples[:, :, :channels])
    if page.photometric == 0:
        pixels = full_scale(pixels) - pixels
    position = next((index for index, kind in enumerate(extras) if kind in (1, 2) and channels + index < count), None)
    alpha = None if position is None else np.ascontiguousarray(samples[:, :, channels + position])
    left_out = count - channels - (alpha is not None)
    notes = (f"{left_out} further channel{'s' if left_out > 1 else ''} left out",) if left_out else ()
    if alpha is not None and position is not None and extras[position] == 1:
        pixels = unmultiplied(pixels, alpha, bright=bright)
    return Picture(pixels, alpha, notes=notes)


def _stored(data: bytes, main: Directory, page: Page) -> Pixels:
    """Return all samples of a page, (height, width, samples); those of 9 to 15 bits spread over 16."""
    bits = page.bits[0]
    if len(set(page.bits)) > 1 or bits < 8 or page.compression not in segments.COMPRESSIONS:
        with _image(data, main, page) as image:
            if image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
                raise _unsupported(page)
            return samples_of(image)
    return as_pixels(segments.decoded(data, page))


def _image(data: bytes, main: Directory, page: Page) -> Image.Image:
    """Return an image of Pillow for what is not decoded here, opened on a file of the tags that were checked."""
    if page.compression == _JPEG:
        for index in range(len(page.sizes)):
            jpeg.check_strip(page.segment(data, index), (page.width, page.height))
    if any(main.size(tag) > _COLOUR_BYTES for tag in _COLOUR_TAGS):
        raise ValueError("the tag of a palette or of a table of more than a megabyte")
    order = page.order
    fields = {tag: field for tag in _COLOUR_TAGS if (field := main.field(tag)) is not None}
    fields |= {
        Tag.WIDTH: long(order, page.width),
        Tag.HEIGHT: long(order, page.height),
        Tag.BITS: short(order, *page.bits),
        Tag.COMPRESSION: short(order, page.compression),
    }
    fields |= {
        Tag.PHOTOMETRIC: short(order, page.photometric),
        Tag.FILL_ORDER: short(order, 2 if page.reversed else 1),
        Tag.SAMPLES: short(order, page.samples),
    }
    fields |= {
        Tag.PLANAR: short(order, 2 if page.planar else 1),
        Tag.PREDICTOR: short(order, page.predictor),
        Tag.SAMPLE_FORMAT: short(order, *[page.kind] * page.samples),
    }
    fields |= {Tag.TILE_WIDTH: long(order, page.columns), Tag.TILE_HEIGHT: long(order, page.rows)} if page.tiled else {Tag.ROWS: long(order, page.rows)}
    stored = (page.segment(data, index) for index in range(len(page.sizes)))
    try:
        return segments.image_of(segments.file_of(order, fields, stored, tiled=page.tiled))
    except SyntaxError as error:
        raise _unsupported(page) from error


def _unsupported(page: Page) -> Unsupported:
    bits = " and ".join(str(bits) for bits in sorted(set(page.bits)))
    kind = f"{page.samples} samples of {bits} bits with photometric interpretation {page.photometric} and compression {page.compression}"
    return Unsupported(f"unsupported kind of TIFF: {kind}; convert the file to grey or RGB of 8 or 16 bits")


def _supported(main: Directory, max_pixels: int) -> Page:
    """Return what the tags of a page say, of a kind that is read; see :func:`pixlate.images.codecs.segments.page_of`."""
    _refuse_unsupported(main)
    return segments.page_of(main, max_pixels)


def _refuse_unsupported(main: Directory) -> None:
    """Refuse by name compressions, samples and colours that are not read."""
    if (main.number(_SUBFILE) & 1 and _SUB_DIRECTORIES in main.entries) or main.number(Tag.PHOTOMETRIC) in _RAW:
        raise Unsupported(_RAW_REFUSED)
    samples = max(1, main.number(Tag.SAMPLES, 1))
    compression, predictor, bits = (
        main.number(Tag.COMPRESSION, segments.NONE),
        main.number(Tag.PREDICTOR, 1),
        set(main.table(Tag.BITS, samples).tolist()) or {1},
    )
    if compression not in _THROUGH_PILLOW and compression != segments.LZMA:
        name = _NAMES.get(compression, f"number {compression}")
        raise Unsupported(f"unsupported compression of a TIFF: {name}; save the file with deflate, LZW or none")
    kinds = set(main.table(Tag.SAMPLE_FORMAT, samples).tolist()) or {1}
    most = max(bits)
    if kinds == {segments.FLOATING} and bits <= {16, 32, 64}:
        pass
    elif not kinds <= {1, 4} or most > 16:
        word = (
            "floating point"
            if segments.FLOATING in kinds
            else "signed whole numbers"
            if kinds == {segments.SIGNED}
            else "whole numbers"
            if kinds <= {1, 4}
            else "complex or mixed numbers"
        )
        raise Unsupported(f"unsupported samples of a TIFF: {most}-bit {word}; convert the file to {'unsigned ' if kinds == {segments.SIGNED} else ''}16 bits")
    if predictor not in (1, segments.DIFFERENCES, segments.FLOATING_DIFFERENCES) or (
        predictor == segments.FLOATING_DIFFERENCES and kinds != {segments.FLOATING}
    ):
        raise Unsupported(f"unsupported predictor of a TIFF: number {predictor}; save the file with predictor 2 or none")


def _kind(main: Directory) -> tuple[int, ...]:
    """Return what the pages of a stack have in common: size, samples, their bits and format."""
    return tuple(main.number(tag, 1) for tag in (Tag.WIDTH, Tag.HEIGHT, Tag.SAMPLES, Tag.BITS, Tag.SAMPLE_FORMAT))


def _images_behind(main: Directory, page: Page) -> int:
    """Return how many images ImageJ stored one behind the other for this page, 0 where it is a page like any other."""
    if page.samples > 1 or page.compression != segments.NONE or page.tiled or page.bits[0] % 8 or main.size(DESCRIPTION) > _COLOUR_BYTES:
        return 0
    text = main.data(DESCRIPTION)
    found = _IMAGEJ.search(text) if text.startswith(b"ImageJ=") else None
    return int(found[1]) if found else 0
