"""What the beginning of a JPEG XL file says (ISO/IEC 18181-1, annex D, and 18181-2): size, samples, orientation, colours, and the boxes of metadata."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import imagecodecs

from pixlate.errors import Unsupported
from pixlate.images.codecs.boxes import boxes
from pixlate.images.limits import BLOCK_BYTES
from pixlate.images.signalled import Chromaticities

CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
CODESTREAM = b"\xff\x0a"
ALPHA = 0
"""Kind of an extra channel that is an opacity."""
RGB, GREY = 0, 1
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_ENOUGH = 1 << 14
"""Bytes of a codestream in which its header ends, whatever names its channels have."""
_LINEAR, _SRGB = 8, 13
_MOST_CHANNELS = 64


@dataclass(frozen=True)
class Extra:
    """A channel beside the colours."""

    kind: int
    bits: int
    premultiplied: bool = False


@dataclass(frozen=True)
class JXLHeader:
    """The header of a codestream."""

    width: int
    """As stored, before the orientation is applied."""
    height: int
    orientation: int = 1
    animated: bool = False
    bits: int = 8
    floating: bool = False
    extras: tuple[Extra, ...] = ()
    transformed: bool = True
    """Whether colours are stored as XYB; such files are decoded into the colours that they state, or sRGB for an ICC profile."""
    profile: bool = False
    """Whether an ICC profile states the colours."""
    space: int = RGB
    white: int | tuple[float, float] = 1
    """ITU-T H.273-like number, or chromaticities."""
    primaries: int | Chromaticities = 1
    """Likewise; chromaticities are x and y of red, green and blue."""
    transfer: int = 13
    """Number of ITU-T H.273; 0 beside a gamma."""
    transfer_at: int = 0
    """Bit of the codestream where that number is; 0 where it is left to the default."""
    gamma: float = 0
    """Exponent from light to samples; 0 where ``transfer`` says the curve."""


@dataclass
class Found:
    """A file's codestream and its metadata."""

    codestream: bytes
    exif: bytes = b""
    xmp: bytes = b""
    jpeg: bool = False
    """Whether the codestream is a JPEG file's coefficients."""
    notes: list[str] = field(default_factory=list)


def found_in(file: bytes) -> Found:
    """Return the parts of a file: a codestream alone, or boxes. Raises ValueError where there is no codestream."""
    if file.startswith(CODESTREAM):
        return Found(file)
    found, parts = Found(b""), bytearray()
    for name, body in boxes(memoryview(file)):
        kind, content = name, body
        if name == b"brob" and bytes(body[:4]) in (b"Exif", b"xml "):
            kind = bytes(body[:4])
            try:
                content = memoryview(imagecodecs.brotli_decode(bytes(body[4:]), out=BLOCK_BYTES))
            except Exception:  # noqa: BLE001 - damaged, or longer than a block may be
                found.notes.append(f"the {'EXIF' if kind == b'Exif' else 'XMP'} block is damaged or too long and was left out")
                continue
        if kind in (b"jxlc", b"jxlp"):
            parts += content[4 if kind == b"jxlp" else 0 :]
        elif kind == b"jbrd":
            found.jpeg = True
        elif kind == b"Exif" and len(content) > 4 and not found.exif:
            found.exif = bytes(content[4 + int.from_bytes(content[:4], "big") :])
        elif kind == b"xml " and not found.xmp:
            found.xmp = bytes(content)
    if not parts:
        raise ValueError("there is no codestream")
    found.codestream = bytes(parts)
    return found


class _Bits:
    """Reads numbers, the lowest bits first; ValueError at the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._length, self.position = int.from_bytes(data, "little"), 8 * len(data), 0

    def u(self, count: int) -> int:
        """Return a number of so many bits."""
        self.position += count
        if self.position > self._length:
            raise ValueError("the header ends too soon")
        return self._value >> (self.position - count) & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.u(1) == 1

    def one_of(self, *choices: tuple[int, int]) -> int:
        """Return the number that two bits choose: a base, and bits that are added to it."""
        base, count = choices[self.u(2)]
        return base + self.u(count)

    def enum(self) -> int:
        return self.one_of((0, 0), (1, 0), (2, 4), (18, 6))

    def size(self) -> tuple[int, int]:
        """Return width and height."""
        small = self.flag()
        lengths = ((1, 9), (1, 13), (1, 18), (1, 30))
        height = 8 * (self.u(5) + 1) if small else self.one_of(*lengths)
        ratio = self.u(3)
        if ratio:
            across, down = _RATIOS[ratio - 1]
            return height * across // down, height
        return 8 * (self.u(5) + 1) if small else self.one_of(*lengths), height

    def depth(self) -> tuple[int, bool]:
        """Return bits of a sample, and whether it is floating point."""
        if not self.flag():
            return self.one_of((8, 0), (10, 0), (12, 0), (1, 6)), False
        bits = self.one_of((32, 0), (16, 0), (24, 0), (1, 6))
        self.u(4)
        return bits, True

    def point(self) -> tuple[float, float]:
        """Return x and y of a colour."""
        packed = [self.one_of((0, 19), (1 << 19, 19), (1 << 20, 20), (1 << 21, 21)) for _ in range(2)]
        x, y = ((value >> 1 ^ -(value & 1)) / 1e6 for value in packed)
        return x, y


def header_of(codestream: bytes) -> JXLHeader:
    """Parse the header. Raises ValueError where it is damaged, Unsupported where it has more channels than are read."""
    if not codestream.startswith(CODESTREAM):
        raise ValueError("it does not begin as a codestream")
    bits = _Bits(codestream[:_ENOUGH])
    bits.u(16)
    width, height = bits.size()
    if bits.flag():  # all is as usual
        return JXLHeader(width, height)
    orientation, animated = 1, False
    if bits.flag():
        orientation = 1 + bits.u(3)
        if bits.flag():
            bits.size()
        if bits.flag():
            _skip_preview(bits)
        if animated := bits.flag():
            bits.one_of((100, 0), (1000, 0), (1, 10), (1, 30))
            bits.one_of((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.one_of((0, 0), (0, 3), (0, 16), (0, 32))
            bits.flag()
    depth, floating = bits.depth()
    bits.flag()
    count = bits.one_of((0, 0), (1, 0), (2, 4), (1, 12))
    if count > _MOST_CHANNELS:
        raise Unsupported(f"unsupported JPEG XL: {count} channels beside the colours; save the picture with at most one")
    extras = tuple(_extra(bits) for _ in range(count))
    transformed = bits.flag()
    known = JXLHeader(width, height, orientation, animated, depth, floating, extras, transformed)
    return known if bits.flag() else _coloured(known, bits)


def _skip_preview(bits: _Bits) -> None:
    lengths = ((16, 0), (32, 0), (1, 5), (33, 9)) if bits.flag() else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.one_of(*lengths)
    if not bits.u(3):
        bits.one_of(*lengths)


def _extra(bits: _Bits) -> Extra:
    if bits.flag():
        return Extra(ALPHA, 8)
    kind = bits.enum()
    depth, _ = bits.depth()
    bits.one_of((0, 0), (3, 0), (4, 0), (1, 3))
    for _ in range(bits.one_of((0, 0), (0, 4), (16, 5), (48, 10))):
        bits.u(8)
    premultiplied = kind == ALPHA and bits.flag()
    if kind == 2:  # a spot colour
        bits.u(64)
    if kind == 5:  # of a sensor's filter
        bits.one_of((1, 0), (0, 2), (3, 4), (19, 8))
    return Extra(kind, depth, premultiplied)


def _coloured(known: JXLHeader, bits: _Bits) -> JXLHeader:
    """Return a header with the colours that the next bits state."""
    profile, space = bits.flag(), bits.enum()
    white: int | tuple[float, float] = 1
    primaries: int | Chromaticities = 1
    transfer, transfer_at, gamma = _SRGB, 0, 0.0
    if not profile and space != 2:
        white = bits.enum()
        white = bits.point() if white == 2 else white
        if space != GREY:
            primaries = bits.enum()
            primaries = _flat(bits.point() for _ in range(3)) if primaries == 2 else primaries
        if bits.flag():
            transfer, gamma = 0, bits.u(24) / 1e7
        else:
            transfer_at = bits.position
            transfer = bits.enum()
    return replace(known, profile=profile, space=space, white=white, primaries=primaries, transfer=transfer, transfer_at=transfer_at, gamma=gamma)


def _flat(points: Iterable[tuple[float, float]]) -> Chromaticities:
    return tuple(value for point in points for value in point)


def as_srgb(codestream: bytes) -> bytes:
    """Return a codestream whose header says linear light with sRGB's curve in its place: both numbers take as many bits."""
    header = header_of(codestream)
    if header.transfer != _LINEAR:
        raise ValueError(f"expected a codestream of linear light, got transfer function {header.transfer}")
    begin, end = header.transfer_at // 8, header.transfer_at // 8 + 2
    value = int.from_bytes(codestream[begin:end], "little")
    value ^= (_LINEAR - 2 ^ _SRGB - 2) << header.transfer_at % 8 + 2
    return codestream[:begin] + value.to_bytes(2, "little") + codestream[end:]


def boxed(codestream: bytes, exif: bytes, xmp: bytes, deep: bool) -> bytes:
    """Return the file of a codestream: in boxes where there are metadata, or samples of more than 12 bits (level 10), else as it is."""
    if not (exif or xmp or deep):
        return codestream
    parts = [(b"ftyp", b"jxl \0\0\0\0jxl ")]
    parts += [(b"jxll", b"\x0a")] if deep else []
    parts += [(b"Exif", b"\0\0\0\0" + exif)] if exif else []
    parts += [(b"xml ", xmp)] if xmp else []
    parts.append((b"jxlc", codestream))
    return CONTAINER + b"".join(_box(name, body) for name, body in parts)


def _box(name: bytes, body: bytes) -> bytes:
    if len(body) + 8 < 1 << 32:
        return struct.pack(">I4s", len(body) + 8, name) + body
    return struct.pack(">I4sQ", 1, name, len(body) + 16) + body
