"""A film that is read: its container opened by name, its video, and what of it stays as it is in a film that is made from it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, cast

import av
import av.error
import numpy as np
from av.buffer import Buffer

from pixlate.errors import OverLimit, Unsupported
from pixlate.plugin.image_format import Header
from pixlate.system.cores import granted_cores
from pixlate_video.colours import BT709, FULL, UNSPECIFIED, Colours, usual_matrix

AttachedPicture = av.stream.Disposition.attached_pic
LARGEST = 1 << 28
"""Most pixels of a frame."""
_LOOKED_AT = 300
"""Packets within which the first frame is looked for."""
_RGB = 0
"""Number of the matrix (ITU-T H.273, table 4) of samples that are RGB."""
_INTERLACED = (2, 3, 4, 5)
"""Orders of fields."""
_HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (ITU-T H.273, table 3) whose values are not those of usual pictures."""


class NoVideo(Unsupported):
    """A film without pictures."""


@dataclass(frozen=True)
class Video:
    """What is known of the pictures of a film."""

    codec: str
    width: int
    """Of a frame as it is stored, in pixels."""
    height: int
    turns: int
    """Quarter turns to the left that make it upright."""
    mirrored: bool
    """Whether it is to be mirrored, left and right exchanged, after that."""
    bits: int
    """Of a sample."""
    subsampling: tuple[int, int]
    """Columns and rows of pixels that share a colour."""
    rgb: bool
    alpha: bool
    colours: Colours
    time_base: Fraction
    """Seconds of a tick of its time stamps."""
    rate: Fraction
    """Frames a second, on average."""
    count: int
    """Frames, or about how many."""
    exact: bool
    """Whether the container has counted them."""
    aspect: Fraction
    """Width of a pixel over its height."""
    interlaced: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return (self.height, self.width) if self.turns % 2 else (self.width, self.height)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how it is read."""
        notes = []
        if self.interlaced:
            notes.append("the film is interlaced; its fields were made into frames (bwdif) before the model")
        if self.alpha:
            notes.append("the film's transparency was left out")
        if self.colours.transfer in _HDR:
            notes.append(f"the film is HDR ({_HDR[self.colours.transfer]}); the model saw its values as they are, and they are written as such")
        if self.bits > 10:
            notes.append(f"{self.bits} bits were kept as 10")
        return tuple(notes)


class _Bytes:
    """A stream as FFmpeg reads it: a position that is none is an answer, not an error."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, 2)
        stream.seek(0)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        position = offset + (0, self.tell(), self._size)[whence]
        return self._stream.seek(position) if position >= 0 else -1


@contextmanager
def opened(stream: BinaryIO, demuxer: str) -> Iterator["av.container.InputContainer"]:
    """Open a film whose container is known: what else a file may claim to be, such as a playlist that names other files, is not looked at."""
    name = getattr(stream, "name", None)
    try:
        with av.open(f"file:{name}" if isinstance(name, str) else cast(BinaryIO, _Bytes(stream)), "r", format=demuxer, metadata_errors="replace") as container:
            yield container
    except av.error.FFmpegError as error:  # some are an OSError with a number, which would be taken for one of the disk
        raise ValueError(reason(error)) from error


def video_of(container: "av.container.InputContainer") -> "av.VideoStream":
    """Return the video to convert: the first that is no cover picture."""
    found = [stream for stream in container.streams.video if not stream.disposition & AttachedPicture]
    if not found and container.streams.audio:
        raise NoVideo("expected a film, got a file without video (sound alone); leave it out")
    if not found:
        raise ValueError("it holds neither video nor sound")
    stream = found[0]
    context = stream.codec_context
    if context is None:
        raise Unsupported("unsupported video: no decoder is known for it; convert it with another program first")
    if context.width * context.height > LARGEST:
        raise OverLimit(f"expected frames of at most {LARGEST / 1e6:.0f} million pixels, got {context.width} x {context.height}; make the film smaller first")
    context.thread_type = "AUTO"
    context.thread_count = granted_cores()
    return stream


def described(container: "av.container.InputContainer", stream: "av.VideoStream") -> Video:
    """Return what is known of a video, whose first frame is decoded for it; the container is then somewhere behind."""
    frame = _first(container, stream)
    format, context = frame.format, stream.codec_context
    matrix, full = int(frame.colorspace), int(frame.color_range) == FULL or format.name.startswith("yuvj")
    turns, mirrored = _orientation(frame)
    if format.is_rgb:
        matrix, full = BT709, False
    elif matrix in (UNSPECIFIED, _RGB):
        matrix = usual_matrix(frame.width, frame.height)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    count, exact = stream.frames, stream.frames > 0
    if not exact:
        seconds = Fraction(0)
        if stream.duration:
            seconds = stream.duration * (stream.time_base or Fraction(0))
        elif container.duration:
            seconds = Fraction(container.duration, 1_000_000)
        count = max(1, round(seconds * rate)) if 0 < seconds < 10**7 else 0
    return Video(
        codec=context.codec.canonical_name,
        width=frame.width,
        height=frame.height,
        turns=turns,
        mirrored=mirrored,
        bits=max(component.bits for component in format.components),
        subsampling=(16 // (format.chroma_width(16) or 16), 16 // (format.chroma_height(16) or 16)),
        rgb=format.is_rgb,
        alpha=len(format.components) in (2, 4),
        colours=Colours(matrix, full, int(frame.color_primaries), int(frame.color_trc)),
        time_base=stream.time_base or Fraction(1, 90_000),
        rate=rate,
        count=count,
        exact=exact,
        aspect=stream.sample_aspect_ratio or Fraction(1),
        interlaced=bool(frame.interlaced_frame) or context.field_order in _INTERLACED,
    )


def reason(error: Exception) -> str:
    """Return what FFmpeg says is wrong, as the end of a sentence."""
    return " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".").lower() or type(error).__name__


def probe(stream: BinaryIO, demuxer: str) -> Header:
    """Read the header and the first frame."""
    with opened(stream, demuxer) as container:
        video = described(container, video_of(container))
    return Header(*video.size, channels=3, itemsize=2 if video.bits > 8 else 1, parsed=video, frames=video.count)


def _first(container: "av.container.InputContainer", stream: "av.VideoStream") -> "av.VideoFrame":
    """Decode the first frame that can be decoded."""
    for number, packet in enumerate(container.demux(stream)):
        with suppress(av.error.FFmpegError):
            for frame in packet.decode():
                return frame
        if number > _LOOKED_AT:
            break
    raise ValueError("no frame of its video can be decoded")


def _orientation(frame: "av.VideoFrame") -> tuple[int, bool]:
    """Return quarter turns to the left, and whether to mirror after them, that the display matrix asks for (ISO/IEC 14496-12, 8.3.2)."""
    found = cast("Mapping[str, Buffer]", frame.side_data).get("DISPLAYMATRIX")
    if found is None:
        return 0, False
    a, b, _, c, d = (int(np.sign(value)) for value in np.frombuffer(bytes(found), "=i4")[:5])
    upright = {
        (1, 0, 0, 1): (0, False), (0, 1, -1, 0): (3, False), (-1, 0, 0, -1): (2, False), (0, -1, 1, 0): (1, False),
        (-1, 0, 0, 1): (0, True), (1, 0, 0, -1): (2, True), (0, 1, 1, 0): (3, True), (0, -1, -1, 0): (1, True),
    }  # fmt: skip
    return upright.get((a, b, c, d), (0, False))
