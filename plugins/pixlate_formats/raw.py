"""Camera raw files, developed by LibRaw (rawpy): 16 bits of sRGB with the camera's white balance, as exposed.

Decoded in another process: LibRaw reads hundreds of formats that nobody has written down, and crashes on some damaged files. Nothing is brightened, so that
pictures of a series stay as they were to each other; what the sensor clipped is white. EXIF comes from the TIFF structure that most kinds have, or from the
preview of Fujifilm's.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from pixlate.errors import Unsupported
from pixlate.images.codecs import jpeg
from pixlate.images.codecs.decode import bounded, upright
from pixlate.images.metadata import exif
from pixlate.images.metadata.tags import XMP, first_directory
from pixlate.images.picture import Metadata, Picture, check_size
from pixlate.plugin.image_format import Frame, Header, Opened
from pixlate_formats.apart import decoded
from pixlate_formats.wire import Message

SUFFIXES: tuple[str, ...] = (
    ".dng",
    ".nef",
    ".nrw",
    ".cr2",
    ".cr3",
    ".crw",
    ".arw",
    ".sr2",
    ".srf",
    ".raf",
    ".orf",
    ".rw2",
    ".pef",
    ".srw",
    ".rwl",
    ".3fr",
    ".fff",
    ".iiq",
)
SUFFIXES += (".erf", ".kdc", ".dcr", ".mrw", ".mef", ".mos", ".x3f", ".gpr")
_OLYMPUS, _PANASONIC, _FUJIFILM = (b"IIRO", b"IIRS", b"MMOR"), b"IIU\0", b"FUJIFILMCCD-RAW"
_TIFF = (b"II*\0", b"MM\0*")
_OTHERS = (b"\0MRM", b"FOVb", b"II\x1a\0\0\0HEAPCCDR")
_TURNED = (5, 6)
"""LibRaw's numbers of rotations by a quarter."""


def sniff(head: bytes) -> bool:
    """Return whether a file may be a raw one; most kinds begin as TIFF does, which is asked before where the name does not say raw."""
    return head.startswith((*_TIFF, *_OLYMPUS, _PANASONIC, _FUJIFILM, *_OTHERS)) or head[4:12] == b"ftypcrx "


def probe(stream: BinaryIO) -> Header:
    """Let LibRaw read the header."""
    width, height = decoded("camera raw", __name__, "described", stream.read()).fields["size"]
    return Header(width, height, 3, 2)


def described(file: bytes) -> Message:
    """Return the size of the developed picture; called in another process."""
    with _explained(), _opened(file) as raw:
        sizes = raw.sizes
        width, height = (sizes.iwidth, sizes.iheight)
        return Message({"size": (height, width) if sizes.flip in _TURNED else (width, height)})


def developed(file: bytes) -> Message:
    """Return the developed picture, (height, width, 3) uint16; called in another process."""
    import rawpy

    with _explained(), _opened(file) as raw:
        samples = raw.postprocess(
            output_bps=16, output_color=rawpy.ColorSpace.sRGB, gamma=(2.4, 12.92), use_camera_wb=True, no_auto_bright=True, user_flip=None
        )
    return Message({"library": ".".join(map(str, rawpy.libraw_version))}, {"samples": samples})


def _opened(file: bytes) -> Any:
    import rawpy

    try:
        return rawpy.imread(BytesIO(file))
    except rawpy.LibRawFileUnsupportedError as error:
        version = ".".join(map(str, rawpy.libraw_version))
        raise Unsupported(
            f"unsupported by LibRaw {version}: a raw file of a camera that it does not know, or no raw file; convert it to DNG or TIFF first"
        ) from error


@contextmanager
def _explained() -> Iterator[None]:
    """Say what LibRaw says, which it does in bytes."""
    import rawpy

    try:
        yield
    except rawpy.LibRawError as error:
        said = error.args[0] if error.args else b""
        raise ValueError(said.decode("utf-8", "replace") if isinstance(said, bytes) else said) from error


def frames(opened: Opened) -> Iterator[Frame]:
    """Develop the picture."""
    data, header = opened.data(), opened.header
    found = decoded("camera raw", __name__, "developed", data, header.width * header.height)
    samples = found.array("samples")
    assert samples is not None
    check_size(samples.shape[1], samples.shape[0], opened.max_pixels, 3)
    metadata, notes = bounded(Metadata(exif=_exif_of(data)))
    notes = (f"developed by LibRaw {found.fields['library']} with the camera's white balance to 16 bits of sRGB, not brightened", *notes)
    notes += () if metadata.exif else ("EXIF of this kind of raw file is not read",)
    notes += ("XMP of the raw file, with the settings of other developers, was left out",) if _has_xmp(data) else ()
    picture = upright(Picture(samples.astype(np.uint16, copy=False), None, metadata), 1)
    yield Frame(replace(picture, notes=(*notes, *picture.notes)))


def _exif_of(file: bytes) -> bytes:
    """Return the EXIF block of a raw file, empty where there is none that can be read."""
    with suppress(ValueError, OSError, struct.error, IndexError, OverflowError):
        if file.startswith(_FUJIFILM):  # the positions of a preview are at a fixed place
            offset, length = struct.unpack(">II", file[84:92])
            block: bytes = jpeg.probe(BytesIO(file[offset : offset + length])).parsed.metadata.exif
            return block
        if (whole := _as_tiff(file)) is not None:
            return exif.from_tiff(first_directory(BytesIO(whole)))
    return b""


def _as_tiff(file: bytes) -> bytes | None:
    """Return a file whose structure is that of TIFF as a TIFF file, None for others."""
    if file.startswith(_TIFF):
        return file
    if file.startswith((*_OLYMPUS, _PANASONIC)):
        return (b"II*\0" if file.startswith(b"II") else b"MM\0*") + file[4:]
    return None


def _has_xmp(file: bytes) -> bool:
    with suppress(ValueError, OSError, struct.error):
        return file.startswith(_TIFF) and XMP in first_directory(BytesIO(file)).entries
    return False
