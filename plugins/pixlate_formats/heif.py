"""HEIC and HEIF files, by libheif (pillow-heif): 8, 10 and 12 bits read, 8 and 10 written.

Decoded in another process: libde265, which decodes HEVC, has had faults that damaged files find. libheif applies the file's rotations and mirrors; the
orientation that EXIF states beside them is not to be applied (ISO/IEC 23008-12, 6.5.10).
"""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from pixlate.errors import OverLimit, Unsupported
from pixlate.images import colour, limits
from pixlate.images.codecs.boxes import boxes
from pixlate.images.codecs.decode import bounded, upright
from pixlate.images.codecs.encode import Encoded, with_resolution
from pixlate.images.metadata import exif
from pixlate.images.picture import Metadata, Picture, Pixels, check_size, split, unmultiplied
from pixlate.images.signalled import Signal
from pixlate.plugin.image_format import Frame, Header, Opened
from pixlate_formats.apart import decoded
from pixlate_formats.wire import Message

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2")
"""Kinds of still pictures; mif1 is also that of AVIF."""
_SEQUENCES = (b"hevc", b"hevx", b"hevm", b"hevs", b"msf1")
_BITS = 10
"""Bits written of 16: what decoders of phones take."""
_TILED, _TILE = 8192 * 4320, 4096
"""Most pixels that HEVC codes at once at its highest level (ITU-T H.265, table A.8), and the side of the tiles of a larger picture."""
_PRESET = "ultrafast"
"""How hard x265 tries to make a file small. Of a picture of 1600 x 1200, ultrafast takes a sixth of the time of pillow-heif's own choice, for a quarter more
bytes at 1.8 dB more."""


def sniff(head: bytes) -> bool:
    """Return whether a file says that it is HEIF."""
    return head[4:8] == b"ftyp" and head[8:12] in (*BRANDS, *_SEQUENCES)


def probe(stream: BinaryIO) -> Header:
    """Let libheif parse the boxes, and read the first picture's size."""
    data = stream.read()
    name, body = next(boxes(memoryview(data)), (b"", memoryview(b"")))
    kinds = [bytes(body[:4]), *(bytes(body[at : at + 4]) for at in range(8, min(len(body), 1 << 12), 4))]
    if name == b"ftyp" and not any(kind in kinds for kind in BRANDS):
        raise Unsupported("a HEIF file of a sequence alone is unsupported; save its pictures as single files first")
    info = decoded("HEIC", __name__, "described", data).fields
    if len(info["pictures"]) > limits.FRAMES:
        raise OverLimit(f"expected at most {limits.FRAMES:,} pictures in a HEIF file, got more; split the file")
    first = info["pictures"][0]
    return Header(first["width"], first["height"], first["channels"], 1 if first["bits"] == 8 else 2, info, len(info["pictures"]))


def described(file: bytes) -> Message:
    """Return size, channels and bits of each picture, the primary one first; called in another process."""
    opened = _opened(file)
    found = [_facts(opened[index]) for index in _order(opened)]
    kinds = [kind.lower() for kind in opened[opened.primary_index].info.get("aux", {})]
    return Message({"pictures": found, "gain map": any("gainmap" in kind for kind in kinds)})


def picture_of(file: bytes, index: int) -> Message:
    """Decode one of the pictures, counted as ``described`` does; called in another process."""
    opened = _opened(file)
    image = opened[_order(opened)[index]]
    facts = _facts(image)
    samples = np.atleast_3d(np.array(image))  # a copy: the memory is the image's
    if facts["bits"] not in (8, 16):
        full = (1 << facts["bits"]) - 1
        samples = ((samples.astype(np.uint32) * 65535 + full // 2) // full).astype(np.uint16)
    info = image.info
    nclx = info.get("nclx_profile") or {}
    facts |= {"primaries": int(nclx.get("color_primaries", 0)), "transfer": int(nclx.get("transfer_characteristics", 0))}
    blocks = {"exif": info.get("exif"), "icc": info.get("icc_profile"), "xmp": info.get("xmp")}
    return Message(facts | {"premultiplied": image.premultiplied_alpha}, {"samples": samples} | {name: bytes(block or b"") for name, block in blocks.items()})


def _opened(file: bytes) -> Any:
    import pillow_heif

    return pillow_heif.open_heif(file, convert_hdr_to_8bit=False, hdr_to_16bit=False)


def _order(opened: Any) -> list[int]:
    """Return the indices of the pictures, that of the primary one first."""
    return sorted(range(len(opened)), key=lambda index: (index != opened.primary_index, index))


def _facts(image: Any) -> dict[str, Any]:
    bands = image.mode.partition(";")[0]
    channels = {"L": 1, "I": 1, "LA": 2, "RGB": 3}.get(bands, 4)
    return {"width": image.size[0], "height": image.size[1], "channels": channels, "bits": image.info["bit_depth"]}


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the pictures one after another."""
    info, data = opened.header.parsed, opened.data()
    notes = ("the gain map was left out",) if info["gain map"] else ()
    for index, facts in enumerate(info["pictures"]):
        check_size(facts["width"], facts["height"], opened.max_pixels, facts["channels"])
        picture = _picture(decoded("HEIC", __name__, "picture_of", data, facts["width"] * facts["height"], index=index))
        yield Frame(replace(picture, notes=(*notes, *picture.notes)), count=len(info["pictures"]))


def _picture(found: Message) -> Picture:
    """Return what was decoded as a picture."""
    samples = found.array("samples")
    assert samples is not None
    pixels, alpha = split(samples)
    if alpha is not None and found.fields["premultiplied"]:
        pixels = unmultiplied(pixels, alpha)
    block = found.data("exif")
    metadata, notes = bounded(Metadata(exif.bare(block), found.data("icc"), found.data("xmp"), exif.dpi_of(exif.bare(block))))
    if block and not metadata.exif and not notes:
        notes += ("the EXIF block is damaged and was left out",)
    picture = Picture(pixels, alpha, metadata, notes)
    if not metadata.icc:
        picture = Signal.from_cicp(found.fields["primaries"], found.fields["transfer"], source="nclx").applied(picture)
    return upright(picture, 1)


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return a HEIC file of grey or RGB pixels, of 8 bits or 10."""
    import pillow_heif

    notes: tuple[str, ...] = ()
    samples = picture.samples
    if samples.dtype == np.uint16:
        full = (1 << _BITS) - 1
        samples = ((samples.astype(np.uint32) * full + 32767) // 65535).astype(np.uint16)
        notes = (f"HEIC holds {_BITS} bits; rounded from 16",)
    metadata, more = colour.fitting(picture.metadata, picture.pixels.shape[2])
    metadata = with_resolution(metadata)
    block = exif.without_orientation(metadata.exif)
    height, width, _ = samples.shape
    file: Any = pillow_heif.from_bytes(_mode(samples), (width, height), samples.tobytes())
    if metadata.icc:
        file[0].info |= {"icc_profile": metadata.icc, "icc_profile_type": "prof"}
    how: dict[str, Any] = {"quality": -1, "chroma": 444, "matrix_coefficients": 0} if picture.lossless else {"quality": quality, "matrix_coefficients": 6}
    if not picture.lossless:
        how["chroma"] = 444 if quality >= 90 else 420
    if height * width > _TILED and picture.alpha is None:
        how["tile_size"] = _TILE
    stream = BytesIO()
    file.save(
        stream,
        exif=b"Exif\0\0" + block if block else None,
        xmp=metadata.xmp or None,
        enc_params={"preset": _PRESET},
        color_primaries=1,
        transfer_characteristics=13,
        full_range_flag=1,
        **how,
    )
    return stream.getvalue(), notes + more


def _mode(samples: Pixels) -> str:
    """Return pillow-heif's name of samples."""
    bands = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]
    return bands if samples.dtype == np.uint8 else f"{'I' if bands == 'L' else bands};{_BITS}"
