"""Names, suffixes and first bytes of the image formats."""

from collections.abc import Mapping
from types import MappingProxyType

_SUFFIXES_OF = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png", ".apng"),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp", ".dib"),
    "avif": (".avif",),
    "gif": (".gif",),
}

FORMATS: tuple[str, ...] = tuple(_SUFFIXES_OF)
"""Names of the formats that are read and written."""

SUFFIXES: Mapping[str, str] = MappingProxyType({suffix: name for name, suffixes in _SUFFIXES_OF.items() for suffix in suffixes})
"""Lower-case suffix -> format name."""

TITLES: Mapping[str, str] = MappingProxyType({"jpeg": "JPEG", "png": "PNG", "webp": "WebP", "tiff": "TIFF", "bmp": "BMP", "avif": "AVIF", "gif": "GIF"})
"""Format name -> how a sentence spells it."""

SNIFFED = 16
"""Bytes :func:`sniff` looks at."""


def suffix_of(format: str) -> str:
    """Return the usual suffix of a format: ``.jpg`` for ``jpeg``."""
    return _SUFFIXES_OF[format][0]


def sniff(head: bytes) -> str | None:
    """Return the format that the first bytes of a file tell, or None."""
    marks = {
        b"\xff\xd8\xff": "jpeg",
        b"\x89PNG\r\n\x1a\n": "png",
        b"II*\0": "tiff",
        b"MM\0*": "tiff",
        b"II+\0": "tiff",
        b"MM\0+": "tiff",
        b"BM": "bmp",
        b"GIF87a": "gif",
        b"GIF89a": "gif",
    }
    for mark, name in marks.items():
        if head.startswith(mark):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return "avif"
    return None
