"""AVIF files: decoded by libavif through Pillow, 8 bits whatever they have."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import chain
from typing import BinaryIO

from PIL import AvifImagePlugin

from pixlate.errors import OverLimit, Unsupported
from pixlate.images import limits, unsupported
from pixlate.images.codecs import decode
from pixlate.images.codecs.av1 import frame_sizes
from pixlate.images.codecs.boxes import Coded, coded, without_exif
from pixlate.images.picture import SAMPLES_A_PIXEL, check_size
from pixlate.images.signalled import Signal
from pixlate.plugin.image_format import Frame, Header, Opened

BRANDS = (b"avif", b"avis")
_HIGHEST = 1 << 12
"""Bytes of the first box that are looked at; it names its kinds in four bytes each."""
_BOXES = 1 << 20
"""Bytes at the beginning within which the boxes that describe the pixels are looked for."""


class _Decoder(AvifImagePlugin.AvifImageFile):
    """Pillow's reader without its parsing of EXIF, which takes time and memory without limit."""

    orientation = 1
    """As the boxes of the file say, which overrule EXIF (ISO/IEC 23008-12, 6.5.10)."""

    def _open(self) -> None:
        assert self.fp is not None
        # libavif takes as many threads as there are cores, as in Pillow
        self._decoder = AvifImagePlugin._avif.AvifDecoder(self.fp.read(), "auto", AvifImagePlugin._get_default_max_threads())  # type: ignore[attr-defined]
        self._size, self.n_frames, self._mode, icc, exif, self.orientation, xmp = self._decoder.get_info()
        self.is_animated = self.n_frames > 1
        self.info |= {key: block for key, block in (("icc_profile", icc), ("exif", exif), ("xmp", xmp)) if block}
        self.seek(0)


def probe(stream: BinaryIO) -> Header:
    """Parse the boxes."""
    head = stream.read(_HIGHEST)
    length = int.from_bytes(head[:4], "big")
    names = [head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))]
    if not any(brand in names for brand in BRANDS):
        raise Unsupported(f"HEIC is unsupported; {unsupported.PHONE}")
    if not AvifImagePlugin.SUPPORTED:
        raise Unsupported("AVIF is unsupported by this build of Pillow; install Pillow's own wheel with pip")
    stream.seek(0)
    data = stream.read()
    coded(data)  # libavif would put together what items name
    image, notes = _opened(data)
    if image.n_frames > limits.FRAMES:
        raise OverLimit(f"expected at most {limits.FRAMES:,} frames in an AVIF file, got more; split the animation")
    return replace(decode.header(image, notes, image.orientation), frames=image.n_frames)


def _opened(data: bytes) -> tuple[_Decoder, tuple[str, ...]]:
    """Return the decoder of a file, and a note where libavif refuses it for its EXIF block alone."""
    try:
        return _Decoder(BytesIO(data)), ()
    except Exception:
        hidden = without_exif(data)
        if hidden == data:
            raise
        return _Decoder(BytesIO(hidden)), (decode.DAMAGED_EXIF,)


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the frames one after another."""
    data = opened.data()
    _check_coded(coded(data), opened.max_pixels)
    deep = 0 <= (box := data.find(b"av1C")) < len(data) - 6 and data[box + 6] & 0x40
    notes: tuple[str, ...] = ("10- or 12-bit AVIF read with 8 bits",) if deep else ()
    notes += ("the gain map was left out",) if b"tmap" in data[:_HIGHEST][8 : int.from_bytes(data[:4], "big")] else ()
    signal = _signal(data)
    for frame in decode.frames(opened):
        picture = replace(frame.picture, notes=(*notes, *frame.picture.notes))
        yield replace(frame, picture=picture if signal is None or picture.metadata.icc else signal.applied(picture))


def _check_coded(found: Coded, max_pixels: int) -> None:
    """Refuse frames of more pixels than are allowed, whatever size the boxes state, and tiles that together have several times as many."""
    total = 0
    for size in frame_sizes(found.items):
        check_size(*size, max_pixels)
        total += size[0] * size[1]
    if total > SAMPLES_A_PIXEL * max_pixels:
        raise OverLimit(f"expected tiles of at most {SAMPLES_A_PIXEL * max_pixels / 1e6:.6g} million pixels together, got {total / 1e6:.6g} million")
    for size in frame_sizes(chain.from_iterable(found.tracks)):
        check_size(*size, max_pixels)


def _signal(data: bytes) -> Signal | None:
    """Return the colours that the file describes by numbers (nclx, ISO 14496-12, 12.1.5), None where it does not; an ICC profile comes before them."""
    box = data.find(b"colrnclx", 0, _BOXES)
    if not 0 <= box <= len(data) - 14:
        return None
    primaries, transfer = struct.unpack(">HH", data[box + 8 : box + 12])
    return Signal.from_cicp(primaries, transfer, source="nclx")
