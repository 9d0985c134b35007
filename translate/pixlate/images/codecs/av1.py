"""Sizes of the frames in AV1 data: AVIF states a size of its own, and libavif decodes whatever size the frames have and scales it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pixlate.errors import Unsupported
from pixlate.images import limits

_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6
_KEY, _SWITCH = 0, 3
_CHOSEN = 2
"""What each frame says itself."""
_UNITS = 4 * limits.FRAMES
"""Most units of a file: a frame has about two. An empty one takes two bytes and a microsecond."""
_HEADER = 512
"""Bytes that a header has at most as far as it is read here: 32 operating points of 91 bits are most of it."""


class _Bits:
    """Bits of data, the highest first; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        self._left -= count
        shifted = self._number >> self._left if self._left >= 0 else self._number << -self._left
        return shifted & ((1 << count) - 1)

    def skip_uvlc(self) -> None:
        """Pass over a number of variable length (AV1, 4.10.3)."""
        zeros = 0
        while zeros < 32 and not self.read(1):
            zeros += 1
        self.read(zeros)


@dataclass(frozen=True)
class _Sequence:
    """What a sequence header says (AV1 bitstream specification, 5.5), as far as it is needed here."""

    size: tuple[int, int]
    reduced: bool
    presentation: int
    """Bits of the time in a frame header."""
    identifier: int
    """Bits of the number of a frame."""
    screen: int
    motion: int


def frame_sizes(samples: Iterable[bytes | memoryview]) -> Iterator[tuple[int, int]]:
    """Yield (width, height) of each sequence header in samples; refuse frames of another size than their sequence.

    Raises ValueError where they are cut into too many units.
    """
    sequence, count = None, 0
    for sample in samples:
        for kind, body in _units(sample):
            count += 1
            if count > _UNITS:
                raise ValueError(f"more than {_UNITS:,} units of AV1")
            if kind == _SEQUENCE:
                sequence = _sequence(_Bits(body))
                yield sequence.size
            elif kind in (_FRAME_HEADER, _FRAME) and sequence is not None and _has_own_size(_Bits(body), sequence):
                raise Unsupported("AVIF of frames of several sizes is unsupported; convert the picture to PNG or JPEG first")


def _units(data: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield kind and beginning of each unit (AV1, 5.3)."""
    position = 0
    while position < len(data):
        head = data[position]
        kind, position = head >> 3 & 15, position + 1 + (head >> 2 & 1)
        length = len(data) - position
        if head & 2:
            length, position = _leb128(data, position)
        yield kind, bytes(data[position : position + min(length, _HEADER)])
        position += length


def _leb128(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and the position behind it."""
    value = 0
    for index in range(8):
        if position >= len(data):
            break
        value |= (data[position] & 0x7F) << 7 * index
        position += 1
        if not data[position - 1] & 0x80:
            break
    return value, position


def _sequence(bits: _Bits) -> _Sequence:
    bits.read(4)  # profile, still picture
    reduced = bool(bits.read(1))
    presentation = 0
    if reduced:
        bits.read(5)
    else:
        presentation = _operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    size = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    identifier = 0
    if not reduced and bits.read(1):
        difference = bits.read(4) + 2
        identifier = difference + bits.read(3) + 1
    bits.read(3)
    screen = motion = _CHOSEN
    if not reduced:
        bits.read(4)
        ordered = bits.read(1)
        bits.read(2 * ordered)
        screen = _CHOSEN if bits.read(1) else bits.read(1)
        if screen:
            motion = _CHOSEN if bits.read(1) else bits.read(1)
    return _Sequence(size, reduced, presentation, identifier, screen, motion)


def _operating_points(bits: _Bits) -> int:
    """Pass over timing and operating points; return the bits of the time in a frame header."""
    model, delay, presentation = 0, 0, 0
    if bits.read(1):
        bits.read(64)
        equal = bits.read(1)
        if equal:
            bits.skip_uvlc()
        model = bits.read(1)
        if model:
            delay = bits.read(5) + 1
            bits.read(37)
            presentation = (bits.read(5) + 1) * (1 - equal)
    display = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if model and bits.read(1):
            bits.read(2 * delay + 1)
        if display and bits.read(1):
            bits.read(4)
    return presentation


def _has_own_size(bits: _Bits, sequence: _Sequence) -> bool:
    """Return whether a frame header states a size (AV1, 5.9.2)."""
    if sequence.reduced or bits.read(1):  # a frame shown again has none
        return False
    kind, shown = bits.read(2), bits.read(1)
    bits.read(sequence.presentation if shown else 1)
    if kind == _SWITCH:
        return True
    if not (kind == _KEY and shown):
        bits.read(1)
    bits.read(1)
    if bits.read(1) if sequence.screen == _CHOSEN else sequence.screen:
        bits.read(int(sequence.motion == _CHOSEN))
    bits.read(sequence.identifier)
    return bool(bits.read(1))
