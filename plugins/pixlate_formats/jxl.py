"""JPEG XL files, by libjxl (imagecodecs): 8 and 16 bits and floating point read, 8 and 16 bits written.

Decoded in another process, as all that is decoded by C++ here. The header and the boxes are parsed in :mod:`pixlate_formats.jxl_header`, since imagecodecs
returns samples alone; an ICC profile, which a codestream holds compressed, is read by pillow-jxl-plugin.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from io import BytesIO
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from pixlate.errors import Unsupported
from pixlate.images.codecs.decode import bounded, upright
from pixlate.images.codecs.encode import Encoded, with_resolution
from pixlate.images.metadata import exif
from pixlate.images.picture import Metadata, Picture, Pixels, split, unmultiplied
from pixlate.images.scene import of_light, of_primaries
from pixlate.images.signalled import Chromaticities, Signal, srgb_light
from pixlate.plugin.image_format import Frame, Header, Opened
from pixlate.system.extras import install
from pixlate_formats import jxl_header
from pixlate_formats.apart import decoded
from pixlate_formats.jxl_header import ALPHA, CODESTREAM, CONTAINER, GREY, Found, JXLHeader
from pixlate_formats.wire import Message

_WHITES: dict[int, tuple[float, float]] = {10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}
"""Number of JPEG XL -> chromaticities, but for D65."""
_CICP = {1: 1, 9: 9, 11: 12}
"""Primaries of JPEG XL -> those of ITU-T H.273 beside D65."""
_LINEAR, _SRGB = 8, 13
_LOSSLESS_EFFORT, _EFFORT = 3, 4
"""How hard libjxl tries, 1 to 9. Of a picture of 1600 x 1200, 3 is eight times as fast as 5 for a third more bytes where every pixel is kept; 4 five times as
fast as 7 for a quarter more bytes otherwise."""


def sniff(head: bytes) -> bool:
    """Return whether a file is a codestream or a container of JPEG XL."""
    return head.startswith((CODESTREAM, CONTAINER))


def probe(stream: BinaryIO) -> Header:
    """Parse the header."""
    found = jxl_header.found_in(stream.read())
    header = jxl_header.header_of(found.codestream)
    width, height = (header.height, header.width) if header.orientation >= 5 else (header.width, header.height)
    itemsize = 4 if header.floating else 2 if header.bits > 8 else 1
    return Header(width, height, _channels(header), itemsize, (found, header), 0 if header.animated else 1)


def _channels(header: JXLHeader) -> int:
    return (1 if header.space == GREY else 3) + any(extra.kind == ALPHA for extra in header.extras)


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the picture, or the first frame of an animation, of which libjxl's decoder here tells no durations."""
    found, header = opened.header.parsed
    if header.animated and opened.whole:
        raise Unsupported(
            "expected a single picture in a JPEG XL file, got an animation, which is not converted whole; convert it to APNG first, or use --frames first"
        )
    data, pixels = opened.data(), opened.header.width * opened.header.height
    samples = decoded("JPEG XL", __name__, "samples_of", data, pixels, channels=_channels(header)).array("samples")
    assert samples is not None
    yield Frame(_picture(samples, _metadata(found, header, data, pixels), header, tuple(found.notes), lossless=not (header.transformed or found.jpeg)))


def samples_of(file: bytes, channels: int) -> Message:
    """Decode all samples of the first frame, upright; called in another process."""
    samples = np.atleast_3d(imagecodecs.jpegxl_decode(file, index=0, numthreads=1))
    if samples.ndim != 3 or samples.shape[2] != channels:
        raise Unsupported(f"unsupported channels of a JPEG XL file: {samples.shape}; save the picture as grey or RGB, with an opacity at most")
    return Message({}, {"samples": samples.astype(np.float32) if samples.dtype.kind == "f" else samples})


def profile_of(file: bytes) -> Message:
    """Return the ICC profile; called in another process."""
    import pillow_jxl

    restored, _, data, icc, *_ = pillow_jxl.Decoder(num_threads=1)(file)
    if restored:  # the JPEG file that was packed
        with Image.open(BytesIO(data)) as image:
            icc = image.info.get("icc_profile", icc)
    return Message({}, {"icc": bytes(icc or b"")})


def _metadata(found: Found, header: JXLHeader, data: bytes, pixels: int) -> Metadata:
    icc = b""
    if header.profile and not header.transformed:
        if find_spec("pillow_jxl") is None:
            raise Unsupported(f"reading the ICC profile of a JPEG XL file needs pillow-jxl-plugin, which is missing; run: {install('formats')}")
        icc = decoded("JPEG XL", __name__, "profile_of", data, pixels).data("icc")
    block = exif.bare(found.exif)
    return Metadata(block, icc, found.xmp, exif.dpi_of(block))


def _picture(samples: Pixels, metadata: Metadata, header: JXLHeader, notes: tuple[str, ...], *, lossless: bool) -> Picture:
    """Return samples as a picture of sRGB's curve."""
    if samples.dtype == np.uint16 and header.bits < 16:
        full = (1 << header.bits) - 1
        samples = ((samples.astype(np.uint32) * 65535 + full // 2) // full).astype(np.uint16)
    pixels, alpha = split(samples)
    if alpha is not None and any(extra.kind == ALPHA and extra.premultiplied for extra in header.extras):
        pixels = unmultiplied(pixels, alpha)
    metadata, more = bounded(metadata)
    notes += more + (("first frame of an animation",) if header.animated else ())
    notes += ("the channels that are neither colour nor opacity were left out",) if any(extra.kind != ALPHA for extra in header.extras) else ()
    picture = Picture(pixels, alpha, metadata, notes, lossless=lossless)
    if not header.profile:
        picture = _signalled(picture, header)
    return upright(picture, 1)


def _signalled(picture: Picture, header: JXLHeader) -> Picture:
    """Return a picture with sRGB's curve, or of light, as the header states its colours."""
    signal = _signal(header)
    if not header.floating:
        return signal.applied(picture)
    if header.transfer == _LINEAR:
        return of_light(of_primaries(picture, signal.primaries, "JPEG XL") if header.space != GREY else picture)
    if signal.light is not None:
        raise Unsupported(f"unsupported curve of a floating point JPEG XL file: {signal.curve}; save it in linear light or with 16 bits")
    return signal.applied(picture)


def _signal(header: JXLHeader) -> Signal:
    """Return the colours that the header states by numbers."""
    known = header.primaries if isinstance(header.primaries, int) else 2
    colours: Chromaticities = Signal.from_cicp(_CICP.get(known, 2), _SRGB, source="JPEG XL").primaries
    white = _WHITES.get(header.white, colours[:2]) if isinstance(header.white, int) else header.white
    points = (*white, *(colours[2:] if isinstance(header.primaries, int) else header.primaries))
    gamut = Signal.from_gamma(0, points if header.space != GREY else (), source="JPEG XL")
    curve = Signal.from_gamma(1 / header.gamma, (), source="JPEG XL") if header.gamma else Signal.from_cicp(2, header.transfer, source="JPEG XL")
    return replace(curve, gamut=gamut.gamut, primaries=gamut.primaries, notes=curve.notes + gamut.notes)


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return a JPEG XL file of grey or RGB pixels, of 8 or 16 bits."""
    deep, lossless = picture.pixels.dtype == np.uint16, picture.lossless or quality == 100
    samples = (_linear(picture) if deep and not lossless else picture).samples
    how = {"lossless": True, "effort": _LOSSLESS_EFFORT} if lossless else {"distance": _distance(quality), "effort": _EFFORT}
    data = bytes(imagecodecs.jpegxl_encode(samples[:, :, 0] if samples.shape[2] == 1 else samples, numthreads=1, **how))
    codestream = jxl_header.found_in(data).codestream
    metadata = with_resolution(picture.metadata)
    block = exif.without_orientation(metadata.exif)
    return jxl_header.boxed(jxl_header.as_srgb(codestream) if deep else codestream, block, metadata.xmp, deep), ()


def _linear(picture: Picture) -> Picture:
    """Return a picture of 16 bits in linear light, for which imagecodecs has libjxl take them; its own number for the curve is set afterwards."""
    table = np.rint(srgb_light(np.arange(65536) / 65535) * 65535).astype(np.uint16)
    return replace(picture, pixels=table[picture.pixels])


def _distance(quality: int) -> float:
    """Return the distance of libjxl, in just noticeable differences, for a quality of 1 to 99, as its own cjxl has it."""
    return 0.1 + (100 - quality) * 0.09 if quality >= 30 else 53 / 3000 * quality**2 - 23 / 20 * quality + 25
