"""IPTC captions and keywords (IIM 4.2), and the image resources of Photoshop that they are kept in."""

import struct
from collections.abc import Iterator

PHOTOSHOP = b"Photoshop 3.0\0"
"""Beginning of an APP13 segment of JPEG that holds image resources."""
_IPTC = 0x0404
_REDUNDANT = {0x03ED, 0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424, 0x0425}
"""Resources that are also elsewhere in a file or made from it: resolution, thumbnails, ICC profile, EXIF (two), XMP, digest of IPTC."""
_RECORDS = (1, 2)
"""Envelope and application; the others are about how the samples are stored."""
_PREVIEWS = {(2, 200), (2, 201), (2, 202)}
_SETTINGS = {0x03E8, 0x03E9, 0x03F2, 0x03F3, 0x03F5, 0x0406, 0x0408, 0x040D, 0x0411, 0x0414, 0x0419, 0x041A, 0x041E, 0x0421, 0x0426, 0x0428, 0x043A, 0x043B}
"""Resources about how Photoshop shows, prints and saves, which nobody misses."""


def of_resources(data: bytes) -> tuple[bytes, bool]:
    """Return the IPTC datasets among image resources, and whether there is more, such as paths, that a user might miss."""
    found, more = b"", False
    for number, value in _resources(data):
        if number == _IPTC:
            found = found or datasets(value)
        else:
            more = more or number not in _REDUNDANT | _SETTINGS
    return found, more


def resources(iptc: bytes) -> bytes:
    """Return IPTC datasets as the only image resource."""
    return b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)


def datasets(data: bytes) -> bytes:
    """Return the whole datasets at the beginning of a block that a translation leaves true: no sizes (record 3) or previews, and nothing that fills it up."""
    kept, position = [], 0
    while position + 5 <= len(data) and data[position] == 0x1C:
        length = int.from_bytes(data[position + 3 : position + 5], "big")
        end = position + 5 + length
        if length & 0x8000:  # an extended dataset: the length of the length
            size = length & 0x7FFF
            end = position + 5 + size + int.from_bytes(data[position + 5 : position + 5 + size], "big") if size <= 4 else len(data) + 1
        if end > len(data):
            break
        if data[position + 1] in _RECORDS and (data[position + 1], data[position + 2]) not in _PREVIEWS:
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and value of each resource; each takes 12 bytes or more."""
    position = 0
    while data[position : position + 4] in (b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa"):
        number = int.from_bytes(data[position + 4 : position + 6], "big")
        position += 6
        named = 1 + data[position] if position < len(data) else 1
        position += named + named % 2
        length = int.from_bytes(data[position : position + 4], "big")
        value = data[position + 4 : position + 4 + length]
        if len(value) < length:
            return
        yield number, value
        position += 4 + length + length % 2
