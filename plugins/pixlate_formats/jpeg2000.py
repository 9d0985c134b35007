"""JPEG 2000 files, by OpenJPEG (imagecodecs): JP2, JPH and bare codestreams, up to 16 bits, grey or RGB with an opacity.

Decoded in another process. The boxes and the codestream's size marker (ISO/IEC 15444-1, annexes I and A.5.1) are read here, since imagecodecs returns samples
alone.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import imagecodecs
import numpy as np

from pixlate.errors import Unsupported
from pixlate.images.codecs.boxes import boxes
from pixlate.images.codecs.decode import bounded, upright
from pixlate.images.limits import BLOCK_BYTES
from pixlate.images.metadata import exif, iptc, xmp
from pixlate.images.picture import Metadata, Picture, Pixels, unmultiplied
from pixlate.plugin.image_format import Frame, Header, Opened
from pixlate_formats.apart import decoded
from pixlate_formats.wire import Message

BOXES, CODESTREAM = b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"
_SRGB, _GREY, _SYCC = 16, 17, 18
"""Enumerated colours."""
_XMP = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
_EXIF = b"JpgTiffExif->JP2"
_IPTC = bytes.fromhex("33C7A4D2B81D4723A0BAF1A3E097AD38")
_MOST_CHANNELS = 64


@dataclass
class Described:
    """What a file says beside its samples."""

    width: int = 0
    height: int = 0
    bits: list[int] = field(default_factory=list)
    """Of each component; below 0 where it is signed."""
    subsampled: bool = False
    colours: int = 0
    """Number of enumerated colours; 0 where none is stated."""
    channels: int = 0
    """Channels of a palette's colours, 0 without one."""
    kinds: Mapping[int, int] = field(default_factory=dict)
    """Channel -> 0 for a colour, 1 for an opacity, 2 for one that is premultiplied; empty where the file does not say."""
    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = 1


def sniff(head: bytes) -> bool:
    """Return whether a file is JPEG 2000, in boxes or bare."""
    return head.startswith((BOXES, CODESTREAM))


def probe(stream: BinaryIO) -> Header:
    """Read boxes and size marker."""
    found = _described(stream.read())
    if min(found.bits) < 0:
        raise Unsupported("a JPEG 2000 file of signed samples is unsupported; save it with unsigned ones")
    if len(set(found.bits)) > 1 or found.bits[0] > 16:
        raise Unsupported(f"unsupported samples of a JPEG 2000 file: of {' and '.join(map(str, sorted(set(found.bits))))} bits; save it with 8 or 16 bits")
    if found.subsampled and found.colours != _SYCC:
        raise Unsupported("a JPEG 2000 file of subsampled components is unsupported; save it as RGB")
    if found.colours not in (0, _SRGB, _GREY, _SYCC):
        raise Unsupported(f"unsupported colours of a JPEG 2000 file: number {found.colours}; save it as grey or RGB")
    width, height = (found.height, found.width) if found.orientation >= 5 else (found.width, found.height)
    return Header(width, height, found.channels or len(found.bits), 1 if found.bits[0] <= 8 else 2, found)


def _described(file: bytes) -> Described:
    found = Described()
    if file.startswith(CODESTREAM):
        _sized(found, memoryview(file))
        return found
    for name, body in boxes(memoryview(file)):
        if name == b"jp2h":
            for part, content in boxes(body):
                _header_box(found, part, content)
        elif name == b"jp2c" and not found.width:
            _sized(found, body)
        elif name == b"uuid" and len(body) <= BLOCK_BYTES + 16:
            _described_by(found, bytes(body[:16]), bytes(body[16:]))
    if not found.width:
        raise ValueError("there is no codestream")
    found.orientation = exif.orientation(found.metadata.exif) or xmp.orientation(found.metadata.xmp) or 1
    return found


def _sized(found: Described, codestream: memoryview) -> None:
    """Read the marker of sizes."""
    if bytes(codestream[:4]) != CODESTREAM or len(codestream) < 42:
        raise ValueError("its codestream does not begin as one")
    right, bottom, left, top = struct.unpack(">4I", codestream[8:24])
    count = int.from_bytes(codestream[40:42], "big")
    if not 1 <= count <= _MOST_CHANNELS or len(codestream) < 42 + 3 * count:
        raise ValueError(f"{count} components")
    parts = [struct.unpack("3B", codestream[42 + 3 * index : 45 + 3 * index]) for index in range(count)]
    found.width, found.height = max(0, right - left), max(0, bottom - top)
    found.bits = [-((depth & 127) + 1) if depth & 128 else depth + 1 for depth, _, _ in parts] if not found.channels else found.bits
    found.subsampled = any((across, down) != (1, 1) for _, across, down in parts)


def _header_box(found: Described, name: bytes, content: memoryview) -> None:
    """Read one of the boxes about the picture (I.5.3)."""
    data = bytes(content[: BLOCK_BYTES + 3])
    if name == b"colr" and len(data) >= 7 and data[0] == 1 and not found.colours:
        found.colours = int.from_bytes(data[3:7], "big")
    elif name == b"colr" and len(data) > 3 and data[0] in (2, 3) and not found.metadata.icc:
        found.metadata = replace(found.metadata, icc=data[3:])
    elif name == b"pclr" and len(data) > 3:
        found.channels = data[2]
        found.bits = [-((depth & 127) + 1) if depth & 128 else depth + 1 for depth in data[3 : 3 + data[2]]] or [0]
    elif name == b"cdef" and len(data) >= 2:
        entries = [struct.unpack(">3H", data[at : at + 6]) for at in range(2, len(data) - 5, 6)]
        found.kinds = {channel: kind for channel, kind, _ in entries}
    elif name == b"res ":
        for kind, body in boxes(content):
            if kind in (b"resc", b"resd") and len(body) >= 10 and (kind == b"resd" or found.metadata.dpi is None):
                found.metadata = replace(found.metadata, dpi=_dpi(bytes(body)))


def _dpi(body: bytes) -> tuple[float, float] | None:
    """Return pixels per inch of a resolution, which is in pixels a metre."""
    down, down_by, across, across_by, down_times, across_times = struct.unpack(">4H2b", body[:10])
    if not (down and across and down_by and across_by) or max(down_times, across_times) > 6:
        return None
    return across / across_by * 10.0**across_times * 0.0254, down / down_by * 10.0**down_times * 0.0254


def _described_by(found: Described, name: bytes, data: bytes) -> None:
    """Take the metadata of a box of somebody's own kind."""
    if name == _EXIF:
        block = exif.bare(data)
        found.metadata = replace(found.metadata, exif=block, dpi=found.metadata.dpi or exif.dpi_of(block))
    elif name == _XMP:
        found.metadata = replace(found.metadata, xmp=data)
    elif name == _IPTC:
        found.metadata = replace(found.metadata, iptc=iptc.datasets(data))


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the picture."""
    found: Described = opened.header.parsed
    answer = decoded("JPEG 2000", __name__, "samples_of", opened.data(), found.width * found.height * max(1, len(found.bits) // 4))
    samples = answer.array("samples")
    assert samples is not None
    if samples.shape[:2] != (found.height, found.width):
        raise ValueError("its components have other sizes than its header says")
    yield Frame(_picture(samples, found))


def samples_of(file: bytes) -> Message:
    """Decode all components; called in another process."""
    return Message({}, {"samples": np.atleast_3d(imagecodecs.jpeg2k_decode(file, numthreads=1))})


def _picture(samples: Pixels, found: Described) -> Picture:
    """Return components as grey or RGB with an opacity."""
    full, bits = (255, 8) if samples.dtype == np.uint8 else (65535, 16)
    if found.bits[0] < bits:
        own = (1 << found.bits[0]) - 1
        samples = ((np.minimum(samples, own).astype(np.uint32) * full + own // 2) // own).astype(samples.dtype)
    opacity = next((channel for channel, kind in found.kinds.items() if kind in (1, 2) and channel < samples.shape[2]), None)
    colours = [channel for channel in range(samples.shape[2]) if channel != opacity and found.kinds.get(channel, 0) == 0]
    colours = colours[: 3 if len(colours) >= 3 and found.colours != _GREY else 1]
    if not colours:
        raise ValueError("none of its components is a colour")
    pixels = np.ascontiguousarray(samples[:, :, colours])
    alpha = None if opacity is None else np.ascontiguousarray(samples[:, :, opacity])
    if alpha is not None and opacity is not None and found.kinds[opacity] == 2:
        pixels = unmultiplied(pixels, alpha)
    metadata, notes = bounded(found.metadata)
    left = samples.shape[2] - len(colours) - (alpha is not None)
    notes += (f"{left} further channel{'s' if left > 1 else ''} left out",) if left else ()
    return upright(Picture(pixels, alpha, metadata, notes), found.orientation)
