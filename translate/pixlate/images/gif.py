"""XMP in GIF files: an application extension block, which Pillow neither reads nor writes (XMP specification part 3, 1.1.2)."""

_OPENING = b"\x21\xff\x0bXMP DataXMP"
_CLOSING = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""Whichever byte of the packet a reader takes for the length of a block, it ends up here and finds the end."""


def xmp_of(data: bytes) -> bytes:
    """Return the XMP packet of a GIF file, empty where there is none."""
    start = data.find(_OPENING)
    end = data.find(_CLOSING[:3], start)
    return data[start + len(_OPENING) : end] if 0 <= start < end else b""


def with_xmp(data: bytes, xmp: bytes) -> bytes:
    """Put an XMP packet behind the header and the global palette of a GIF file."""
    palette = 3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0
    header = 13 + palette
    return b"GIF89a" + data[6:header] + _OPENING + xmp + _CLOSING + data[header:]
