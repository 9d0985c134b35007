"""Photoshop documents, PSD and PSB: the flattened picture that they hold beside their layers (Adobe Photoshop File Formats Specification, 2019).

Read here, without a library: the flattened picture is the last section, its samples plain, run lengths (PackBits, through libtiff) or deflate. 8, 16 and 32 bits
a sample; 32 are scene-linear light.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
from PIL import Image

from pixlate.errors import Unsupported
from pixlate.images.codecs import segments
from pixlate.images.codecs.decode import as_stored, bounded, upright
from pixlate.images.limits import BLOCK_BYTES, SEGMENTS
from pixlate.images.metadata import exif, iptc
from pixlate.images.picture import Metadata, Picture, Pixels, check_size, full_scale, to_8_bits
from pixlate.images.scene import of_light
from pixlate.plugin.image_format import Frame, Header, Opened

MAGIC = b"8BPS"
_BITMAP, _GREY, _INDEXED, _RGB, _CMYK, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 8, 9
_COLOURS = {_BITMAP: 1, _GREY: 1, _INDEXED: 1, _RGB: 3, _CMYK: 4, _DUOTONE: 1, _LAB: 3}
"""Mode -> channels that are its colours."""
_PLAIN, _RUNS, _DEFLATE, _DIFFERENCES = 0, 1, 2, 3
_RESOLUTION, _IPTC, _ICC, _EXIF, _XMP, _VERSION, _TRANSPARENT = 1005, 1028, 1039, 1058, 1060, 1057, 1047
_WANTED = (_RESOLUTION, _IPTC, _ICC, _EXIF, _XMP, _VERSION, _TRANSPARENT)
_LONG = (b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2", b"FEid", b"FXid", b"PxSD")
"""Blocks whose length has eight bytes in a PSB file."""
_MERGED_TRANSPARENCY = (b"Mtrn", b"Mt16", b"Mt32")
_STRIP = 256
"""Rows that are unpacked at once."""


@dataclass(frozen=True, eq=False)
class Document:
    """What comes before the flattened picture."""

    width: int
    height: int
    channels: int
    bits: int
    mode: int
    large: bool
    """Whether it is a PSB file, of longer numbers."""
    palette: bytes
    resources: Mapping[int, bytes]
    layers: int
    transparent: bool
    """Whether the first channel beside the colours is the opacity of the flattened picture."""
    start: int = field(default=0)
    """Where the section of the flattened picture begins."""


def sniff(head: bytes) -> bool:
    """Return whether a file is a PSD or PSB document."""
    return head.startswith(MAGIC)


def probe(stream: BinaryIO) -> Header:
    """Read what comes before the flattened picture."""
    document = _document(stream)
    colours = _COLOURS[document.mode] if document.mode != _INDEXED else 3
    return Header(document.width, document.height, max(colours, document.channels), max(1, document.bits // 8), document)


def _document(stream: BinaryIO) -> Document:
    version, channels, height, width, bits, mode = struct.unpack(">4xH6xHIIHH", _read(stream, 26))
    if version not in (1, 2):
        raise ValueError(f"version {version}")
    if mode not in _COLOURS:
        raise Unsupported("a Photoshop document of multichannel colours is unsupported; export it as PNG or TIFF first")
    if bits not in (1, 8, 16, 32) or (bits == 1) != (mode == _BITMAP) or channels < _COLOURS[mode]:
        raise ValueError(f"{channels} channels of {bits} bits in mode {mode}")
    if bits == 32 and mode not in (_GREY, _RGB):
        raise Unsupported("a Photoshop document of 32 bits that is neither grey nor RGB is unsupported; export it as TIFF first")
    palette = _block(stream, 4)
    resources = _resources(_block(stream, 4, most=64 << 20))
    length = int.from_bytes(_read(stream, 8 if version == 2 else 4), "big")
    begin = stream.tell()
    layers = _layers(stream, version == 2, length)
    stream.seek(begin + length)
    if resources.get(_VERSION, b"\0\0\0\0\1")[4:5] == b"\0":
        raise Unsupported("a Photoshop document without its flattened picture is unsupported; save it with Maximize Compatibility, or export it as PNG or TIFF")
    start = stream.tell()
    return Document(width, height, channels, bits, mode, version == 2, palette, resources, abs(layers), layers < 0, start)


def _read(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise ValueError("it ends too soon")
    return data


def _block(stream: BinaryIO, size: int, most: int = BLOCK_BYTES) -> bytes:
    """Return a section after its length."""
    length = int.from_bytes(_read(stream, size), "big")
    if length > most:
        raise ValueError(f"a section of {length:,} bytes before the picture")
    return _read(stream, length)


def _resources(data: bytes) -> dict[int, bytes]:
    """Return the image resources that are wanted."""
    found: dict[int, bytes] = {}
    position = 0
    for _ in range(SEGMENTS):
        if position + 12 > len(data) or data[position : position + 4] not in (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"):
            return found
        number, name = struct.unpack(">HB", data[position + 4 : position + 7])
        position += 6 + (name + 2 & ~1)
        length = int.from_bytes(data[position : position + 4], "big")
        if number in _WANTED:
            found.setdefault(number, data[position + 4 : position + 4 + length])
        position += 4 + (length + 1 & ~1)
    raise ValueError(f"more than {SEGMENTS:,} image resources")


def _layers(stream: BinaryIO, large: bool, length: int) -> int:
    """Return the number of layers, below 0 where the flattened picture has an opacity; 0 where there are none."""
    wide = 8 if large else 4
    if length < wide + 2:
        return 0
    own = int.from_bytes(_read(stream, wide), "big")
    if own:
        count: int = struct.unpack(">h", _read(stream, 2))[0]
        return count
    mask = int.from_bytes(_read(stream, 4), "big") if length >= wide + 4 else 0
    stream.seek(mask, 1)
    return _layers_behind(stream, large, length - wide - 4 - mask)


def _layers_behind(stream: BinaryIO, large: bool, left: int) -> int:
    """Return the number of layers, as ``_layers`` does, from blocks of additional information, where documents of 16 and 32 bits have it."""
    transparent = False
    for _ in range(SEGMENTS):
        if left < 14:
            break
        key = _read(stream, 8)[4:]
        wide = 8 if large and key in _LONG else 4
        size = int.from_bytes(_read(stream, wide), "big")
        if key in (b"Lr16", b"Lr32", b"Layr") and size >= 2:
            count: int = struct.unpack(">h", _read(stream, 2))[0]
            return -abs(count) if transparent else count
        transparent |= key in _MERGED_TRANSPARENCY
        stream.seek(size + 3 & ~3, 1)
        left -= 8 + wide + (size + 3 & ~3)
    return -1 if transparent else 0


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the flattened picture."""
    document: Document = opened.header.parsed
    check_size(document.width, document.height, opened.max_pixels, document.channels)
    opened.stream.seek(document.start)
    compression = int.from_bytes(_read(opened.stream, 2), "big")
    planes = _planes(document, compression, opened.stream.read())
    picture = _picture(document, planes)
    metadata, notes = bounded(replace(_metadata(document), icc=picture.metadata.icc))
    if document.layers > 1:
        notes += (f"the flattened picture of {document.layers} layers",)
    yield Frame(upright(replace(picture, metadata=metadata, notes=(*notes, *picture.notes)), 1))


def _planes(document: Document, compression: int, data: bytes) -> Pixels:
    """Return the samples, (channels, height, width)."""
    count, height, width = document.channels, document.height, document.width
    row = -(-width * document.bits // 8)
    size = count * height * row
    if compression == _PLAIN:
        packed = data[:size]
    elif compression == _RUNS:
        packed = _unpacked(document, data, row)
    elif compression in (_DEFLATE, _DIFFERENCES):
        packed = zlib.decompressobj().decompress(data, size)
    else:
        raise ValueError(f"compression {compression}")
    if len(packed) < size:
        raise ValueError("its picture ends too soon")
    rows = np.frombuffer(packed, np.uint8, size).reshape(count, height, row)
    if compression == _DIFFERENCES:
        return _summed(rows, document.bits)
    if document.bits == 1:
        return ((1 - np.unpackbits(rows, axis=2)[:, :, :width]) * np.uint8(255)).astype(np.uint8)
    kind = {8: "u1", 16: ">u2", 32: ">f4"}[document.bits]
    return rows.view(kind).astype(kind.replace(">", "="), copy=False)


def _unpacked(document: Document, data: bytes, row: int) -> bytes:
    """Return rows from run lengths: libtiff decodes them as rows of grey samples, many in one strip."""
    size, kind = (4, ">u4") if document.large else (2, ">u2")
    rows = document.channels * document.height
    if len(data) < rows * size:
        raise ValueError("the lengths of its rows end too soon")
    lengths = np.frombuffer(data, kind, rows).astype(np.int64)
    ends = (rows * size + np.concatenate([[0], np.cumsum(lengths)])).tolist()
    if ends[-1] > len(data):
        raise ValueError("its picture ends too soon")
    return segments.unpacked((data[ends[top] : ends[min(top + _STRIP, rows)]] for top in range(0, rows, _STRIP)), row, rows, _STRIP)


def _summed(rows: Pixels, bits: int) -> Pixels:
    """Return samples that are stored as differences from their left neighbour; of 32 bits by the bytes' places."""
    if bits == 32:
        count, height, row = rows.shape
        sums = np.add.accumulate(rows, axis=2, dtype=np.uint8)
        places = sums.reshape(count, height, 4, row // 4).transpose(0, 1, 3, 2)
        return np.ascontiguousarray(places).view(">f4")[..., 0].astype(np.float32)
    kind = np.dtype("u1" if bits == 8 else ">u2")
    whole: Pixels = np.add.accumulate(rows.view(kind), axis=2, dtype=kind.newbyteorder("="))
    return whole


def _picture(document: Document, planes: Pixels) -> Picture:
    """Return samples as grey or RGB with an opacity."""
    colours = _COLOURS[document.mode]
    spare = document.channels - colours
    opaque = planes[colours] if document.transparent and spare else None
    samples = np.ascontiguousarray(np.moveaxis(planes[:colours], 0, 2))
    metadata = Metadata(icc=document.resources.get(_ICC, b""))
    left = spare - (opaque is not None)
    notes = (f"{left} further channel{'s' if left > 1 else ''} left out",) if left else ()
    if document.mode in (_CMYK, _LAB):
        picture = _converted(document, samples, metadata)
        pixels = picture.pixels
        opaque = None if opaque is None else (to_8_bits(opaque))
        metadata, notes = picture.metadata, (*picture.notes, *notes)
    elif document.mode == _INDEXED:
        pixels, opaque = _looked_up(document, samples)
    else:
        pixels = samples
    if opaque is not None and opaque.min() == full_scale(opaque):
        opaque = None
    if opaque is not None:
        opaque = np.ascontiguousarray(opaque)
        pixels = _without_white(pixels, opaque) if document.mode != _INDEXED else pixels
    picture = Picture(pixels, opaque, metadata, notes, lossless=True)
    return of_light(picture) if document.bits == 32 else picture


def _looked_up(document: Document, samples: Pixels) -> tuple[Pixels, Pixels | None]:
    """Return the colours of a palette, and the opacity where one of them is transparent."""
    if len(document.palette) < 768:
        raise ValueError("its palette ends too soon")
    table = np.frombuffer(document.palette, np.uint8, 768).reshape(3, 256).T
    pixels: Pixels = table[samples[:, :, 0]]
    place = document.resources.get(_TRANSPARENT, b"")
    if len(place) < 2 or (index := int.from_bytes(place[:2], "big")) > 255:
        return pixels, None
    return pixels, np.where(samples[:, :, 0] == index, 0, 255).astype(np.uint8)


def _converted(document: Document, samples: Pixels, metadata: Metadata) -> Picture:
    """Return CMYK or Lab samples as 8 bits of RGB, through the profile where there is one."""
    notes: tuple[str, ...] = ()
    if document.bits == 16:
        samples, notes = to_8_bits(samples), ("16 bits of CMYK or Lab read with 8",)
    if document.mode == _LAB:
        samples = np.concatenate([samples[:, :, :1], samples[:, :, 1:] + np.uint8(128)], axis=2)  # Pillow counts a and b from 0
        image = Image.frombytes("LAB", (document.width, document.height), samples.tobytes())
    else:
        image = Image.frombytes("CMYK", (document.width, document.height), (255 - samples).tobytes())
    picture = as_stored(image, metadata)
    return replace(picture, notes=(*notes, *picture.notes))


def _without_white(pixels: Pixels, opaque: Pixels) -> Pixels:
    """Return the colours under an opacity: Photoshop lays the flattened picture on white."""
    full = full_scale(pixels)
    if pixels.dtype == np.float32:
        share = np.where(opaque > 0, opaque, 1)[:, :, None]
        bare: Pixels = np.where(opaque[:, :, None] > 0, np.maximum((pixels - (1 - share)) / share, 0), pixels).astype(np.float32)
        return bare
    share = np.maximum(opaque, 1)[:, :, None].astype(np.int64)
    laid = (pixels.astype(np.int64) - (full - share)) * full
    whole: Pixels = np.clip((laid + share // 2) // share, 0, full).astype(pixels.dtype)
    return whole


def _metadata(document: Document) -> Metadata:
    """Return what the image resources say."""
    held = document.resources
    dpi = None
    if len(resolution := held.get(_RESOLUTION, b"")) >= 16:
        across, down = struct.unpack(">I", resolution[:4])[0] / 65536, struct.unpack(">I", resolution[8:12])[0] / 65536
        dpi = (across, down) if 0 < across < 1e9 and 0 < down < 1e9 else None
    captions = held.get(_IPTC, b"")
    return Metadata(exif.bare(held.get(_EXIF, b"")), b"", held.get(_XMP, b""), dpi, iptc.datasets(captions) if captions else b"")
