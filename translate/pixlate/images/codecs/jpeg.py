"""JPEG files: the segments in front of the pixels are walked here, within limits, and Pillow is given what it needs of them."""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import JpegImagePlugin

from pixlate.errors import OverLimit, Unsupported
from pixlate.images import limits
from pixlate.images.codecs.decode import Parsed, header, text_of
from pixlate.images.metadata import iptc
from pixlate.images.metadata.tags import first_directory
from pixlate.images.picture import Picture
from pixlate.plugin.image_format import Header, Opened

END, SCAN, COMMENT = 0xD9, 0xDA, 0xFE
_ALONE = {1, *range(0xD0, 0xD9)}
"""Marks without a segment."""
_BLANK = b"\r\n\t "
"""What a script may have printed in front of a file that it sends."""
_WINDOW = 1 << 17
_MARK = re.compile(rb"\xff[^\x00\xff]")
"""A mark: fill bytes (0xFF) may be before it, and 0xFF among the pixels is followed by 0. One byte a step, so the search is linear."""
_BETWEEN = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""A mark that has a segment, or the end; what stands alone, as restarts do, is passed over as fast as the pixels."""
_EXIF, _MULTIPLE = b"Exif\0\0", b"MPF\0"
_PICTURES = 0xB001
"""Tag of the number of pictures (CIPA DC-007, 5.2.3)."""
_VIDEO = b"MotionPhoto_Data"
"""What Samsung's cameras write in front of a video behind the picture."""
_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_READ_ELSEWHERE = (b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0", b"ICC_PROFILE\0", _MULTIPLE, b"FPXR\0", b"Ducky", b"Adobe_CM")
"""Beginnings of segments that Pillow reads, that a field of XMP stands for, or that are about how the pixels were coded."""
_READ = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA}
"""Frames that libjpeg decodes (ITU-T T.81, table B.1): sequential, progressive and lossless, and two with arithmetic coding."""
_NOT_READ = {0xCB: "lossless JPEG with arithmetic coding", **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical JPEG")}


@dataclass
class _Front:
    """What is in front of the pixels."""

    kept: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    """The segments that Pillow is given, the header of the first scan included."""
    rest: int = 0
    """Offset of the first scan's data in the file."""
    exif: bytearray = field(default_factory=bytearray)
    multiple: int = 0
    """Offset of the index of pictures in the file, 0 without one."""
    size: int = 0
    """Bytes of metadata."""
    photoshop: bytearray = field(default_factory=bytearray)
    """Image resources of Photoshop, IPTC among them."""
    comments: list[str] = field(default_factory=list)
    others: dict[str, None] = field(default_factory=dict)
    """Names of segments that nothing is done with."""
    notes: dict[str, None] = field(default_factory=dict)
    """Sentences, each once, in their order."""

    def take(self, mark: int, body: bytes, position: int) -> None:
        """Keep what a segment at an offset says. EXIF stays here: Pillow would parse it, which takes time and memory without limit."""
        if mark in _READ or mark in _NOT_READ:
            _check_kind(mark, body)
        if 0xE0 <= mark <= 0xEF or mark == COMMENT:
            self.size += len(body)
            if self.size > limits.METADATA_BYTES:
                self.notes[f"metadata beyond {limits.METADATA_BYTES >> 20} MB were left out"] = None
                return
        if mark == 0xE1 and body.startswith(_EXIF):
            if self.exif and body[6:10] in (b"II*\0", b"MM\0*"):
                self.notes["the second EXIF block was left out"] = None
            else:
                self.exif += body[6:] if self.exif else body
            return
        if mark == 0xE2 and body.startswith(_MULTIPLE):
            self.multiple = position + len(_MULTIPLE)
        if mark == 0xED and body.startswith(iptc.PHOTOSHOP):  # Pillow takes a damaged one for a damaged file
            self.photoshop += body[len(iptc.PHOTOSHOP) :]
            return
        if mark == COMMENT:
            self.comments.append(text_of(body))
        elif body.startswith(_GAIN_MAP):
            self.notes["the gain map was left out"] = None
        elif mark == 0xEB and b"c2pa" in body[:256]:
            self.notes["the content credentials (C2PA), which are for the file as it was, were left out"] = None
        elif 0xE1 <= mark <= 0xEF and mark != 0xEE and not body.startswith(_READ_ELSEWHERE):
            self.others[f"APP{mark - 0xE0}"] = None
        self.kept.append(b"\xff" + bytes((mark,)) + (len(body) + 2).to_bytes(2, "big") + body)


def sniff(head: bytes) -> bool:
    """Return whether a file begins as JPEG does."""
    return head.lstrip(_BLANK).startswith(b"\xff\xd8\xff")


def probe(stream: BinaryIO) -> Header:
    """Read what is in front of the pixels."""
    data = b""
    while True:  # most fronts are small; the cost of beginning again stays below that of the last try
        more = stream.read(max(_WINDOW, 3 * len(data)))
        data += more
        front = _front(data)
        if front is not None:
            break
        if not more:
            raise ValueError("it ends before its pixels")
    image = JpegImagePlugin.JpegImageFile(BytesIO(b"".join(front.kept)))
    if front.exif:
        image.info["exif"] = bytes(front.exif)
    if front.multiple:
        image.info["mpoffset"] = front.multiple
    captions, further = iptc.of_resources(bytes(front.photoshop))
    if further:
        front.notes["what Photoshop keeps beside IPTC, such as paths, was left out"] = None
    if front.others:
        front.notes[f"segments of other programs were left out ({', '.join(sorted(front.others))})"] = None
    found = header(image, tuple(front.notes))
    metadata = replace(found.parsed.metadata, iptc=captions, comments=tuple(front.comments))
    return replace(found, parsed=replace(found.parsed, rest=front.rest, metadata=metadata))


def read(opened: Opened) -> Picture:
    """Decode the file, of several pictures the first."""
    parsed: Parsed = opened.header.parsed
    data = opened.data()
    assert isinstance(parsed.image, JpegImagePlugin.JpegImageFile) and isinstance(parsed.image.fp, BytesIO)
    front = parsed.image.fp.getvalue()
    scans = _scans(front, data, parsed.rest)
    _check_scans(len(scans), parsed.image.size)
    notes = parsed.notes
    if data.find(b"\xff\xd9", parsed.rest) >= 0:
        whole = _decoded(parsed, front, memoryview(data)[parsed.rest :])
    else:
        whole = _without_end(parsed, front, data[parsed.rest :], scans)
        notes += ("the file ends without its end mark; all pixels are there",)
    if data.rfind(_VIDEO, parsed.rest) > 0 and b"photos/1.0/camera/" not in parsed.metadata.xmp:
        notes += ("the video of the motion photo was left out",)
    count = _pictures(parsed.image.info.get("mp", b""))
    notes += () if count == 1 else (f"first of {count} pictures",)
    return replace(whole, notes=(*notes, *whole.notes))


def check_strip(data: bytes, size: tuple[int, int]) -> None:
    """Refuse a strip of TIFF, which is a JPEG file of its own, whose scans take too long to decode; ``size`` is that of the whole picture."""
    _check_scans(len(_scans(b"", data, data.find(b"\xff\xda") + 2)), size)


def _front(data: bytes) -> _Front | None:
    """Walk the segments in front of the first scan; None where the data end before it."""
    front = _Front()
    position, segments = 2 + len(data) - len(data.lstrip(_BLANK)), 0
    while found := _MARK.search(data, position):
        position, mark = found.end(), data[found.end() - 1]
        segments += 1
        if segments > limits.SEGMENTS:
            raise OverLimit(f"expected at most {limits.SEGMENTS:,} segments in a JPEG file, got more; save the picture again with another program")
        if mark == END:
            raise ValueError("it ends before its pixels")
        if mark in _ALONE:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if position + length > len(data) or length < 2:
            return None
        front.take(mark, data[position + 2 : position + length], position + 2)
        position += length
        if mark == SCAN:
            front.rest = position
            return front
    return None


def _check_kind(mark: int, body: bytes) -> None:
    """Refuse by name what libjpeg does not decode, or Pillow does not give at full depth."""
    if len(body) < 6:
        raise ValueError("its frame header is too short")
    kind = _NOT_READ.get(mark) or (f"{body[0]}-bit JPEG" if body[0] != 8 else "" if body[5] in (1, 3, 4) else f"JPEG of {body[5]} channels")
    if kind:
        raise Unsupported(f"{kind} is unsupported; convert the file to PNG or TIFF")


def _scans(front: bytes, data: bytes, rest: int) -> list[bytes]:
    """Return the headers of the scans of the first picture."""
    scans = [front[front.rfind(b"\xff\xda") + 4 :]]
    position = rest
    for _ in range(limits.SEGMENTS):
        found = _BETWEEN.search(data, position)
        if not found or data[found.end() - 1] == END or len(scans) > limits.MOST_SCANS:
            return scans
        position = found.end()
        length = max(2, int.from_bytes(data[position : position + 2], "big"))
        if data[position - 1] == SCAN:
            scans.append(data[position + 2 : position + length])
        position += length
    raise OverLimit(f"expected at most {limits.SEGMENTS:,} segments in a JPEG file, got more; save the picture again with another program")


def _check_scans(scans: int, size: tuple[int, int]) -> None:
    """Refuse a picture whose scans take too long to decode."""
    most = max(limits.SCANS, min(limits.MOST_SCANS, limits.SCAN_PIXELS // (size[0] * size[1])))
    if scans > most:
        raise OverLimit(f"expected at most {most} scans in a progressive JPEG of {size[0]} x {size[1]}, got more; save the picture again with another program")


def _decoded(parsed: Parsed, *parts: bytes | memoryview) -> Picture:
    return replace(parsed, image=JpegImagePlugin.JpegImageFile(BytesIO(b"".join(parts)))).picture()


def _without_end(parsed: Parsed, front: bytes, coded: bytes, scans: Sequence[bytes]) -> Picture:
    """Decode a picture without its end mark; raises ValueError where pixels are missing.

    libjpeg replaces missing bits by zeros without a word. So the picture is decoded with two different continuations: where both give the
    same, all its bits are there. Zeros at the end are what a broken copy leaves, and are not taken for data.
    """
    coded = coded.rstrip(b"\0").removesuffix(b"\xff")
    first = _decoded(parsed, front, coded, b"\xff\xd9")
    second = _decoded(parsed, front, coded, b"\xb6\xdb" * 4096, b"\xff\xd9")
    if not (_complete(scans) and np.array_equal(first.samples, second.samples)):
        raise ValueError("no end mark, and pixels are missing")
    return first


def _complete(scans: Sequence[bytes]) -> bool:
    """Return whether the scans reach the last bit of every coefficient of every component that they name (ITU-T T.81, B.2.3 and G.1.1.1)."""
    reached: dict[int, list[int]] = {}
    for scan in scans:
        count = scan[0] if scan else 0
        if len(scan) < 4 + 2 * count:
            return False
        first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
        for component in scan[1 : 1 + 2 * count : 2]:
            levels = reached.setdefault(component, [1] * 64)
            levels[first : last + 1] = [bits & 15] * len(levels[first : last + 1])
    return all(not any(levels) for levels in reached.values())


def _pictures(index: bytes) -> int:
    """Return how many pictures the index of a file names."""
    try:
        return max(1, first_directory(BytesIO(index)).number(_PICTURES, 1)) if index else 1
    except (ValueError, struct.error):
        return 1
