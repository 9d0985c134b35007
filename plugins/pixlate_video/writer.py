"""Writes a film: frames are encoded piece by piece, and in the end put beside the sound and all else of the film that they are from."""

import hashlib
import tempfile
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from pixlate.images.picture import Pixels
from pixlate.plugin.image_format import Frame, FrameTarget
from pixlate_video import segments
from pixlate_video.encoder import SEGMENT, Container, Encoding, encoding
from pixlate_video.formats import demuxer_of
from pixlate_video.muxer import put_together
from pixlate_video.segments import Facts, Segment
from pixlate_video.source import Video, described, opened, video_of

_TICK = Fraction(1, 1000)
"""Seconds of a tick where the source is no film."""
OTHER_SIZE = "frames of another size than the first were cut, or filled with black, to its size"


class FilmWriter:
    """See :class:`pixlate.plugin.image_format.FrameWriter`."""

    def __init__(self, container: Container, target: FrameTarget) -> None:
        self._container, self._target = container, target
        self._held = ExitStack()
        kept = target.kept()
        self._folder = Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="film-", dir=target.path.parent))) if kept is None else kept
        self._demuxer, self._video = _source(target.source)
        self._pieces = segments.found(self._folder)
        self._encoding: Encoding | None = None
        self._notes: dict[str, None] = {}
        self._time, self._stamp = Fraction(0), -(1 << 62)
        if self._pieces:
            facts = self._pieces[0][1]
            self._begin(facts.size, facts.bits, Fraction(25) if self._video is None else self._video.rate)
            assert self._encoding is not None
            if (facts.key, facts.header) != (self._encoding.key, self._header()):  # another version of the encoder
                for path, _ in self._pieces:
                    path.unlink()
                self._pieces, self._encoding = [], None
        self.done = sum(facts.frames for _, facts in self._pieces)
        self._encoder: av.VideoCodecContext | None = None
        self._segment: Segment | None = None
        self._count = 0
        """Frames in the piece that is being written."""
        self._last = Fraction(0)
        self._xmp = self._pieces[0][1].xmp if self._pieces else ""

    def add(self, frame: Frame) -> None:
        """Encode the next frame."""
        pixels = frame.picture.pixels if frame.picture.pixels.shape[2] == 3 else np.repeat(frame.picture.pixels, 3, axis=2)
        height, width = pixels.shape[:2]
        if self._encoding is None:
            rate = self._video.rate if self._video is not None else Fraction(1000 / max(1.0, frame.duration)).limit_denominator(1001)
            self._begin((width, height), 8 * pixels.itemsize, rate)
            self._xmp = frame.picture.metadata.xmp.decode("utf-8", "replace")
        assert self._encoding is not None
        if self._encoder is None:
            self._encoder, self._segment = self._encoding.created(), Segment(self._folder)
        picture = self._encoding.frame(self._fitted(pixels))
        time = frame.time if frame.time is not None else self._time
        self._stamp = max(self._stamp + 1, round(time / self._encoding.time_base))
        picture.pts, picture.time_base = self._stamp, self._encoding.time_base
        self._encode(picture)
        self._time, self._last = time + Fraction(frame.duration) / 1000, Fraction(frame.duration)
        self._count += 1
        if self._count == SEGMENT:
            self._end_segment()

    def finish(self) -> tuple[str, ...]:
        """Put the pieces and the rest of the film together."""
        if self._count:
            self._end_segment()
        assert self._encoding is not None
        more = put_together(
            self._target.path,
            self._container,
            self._encoding,
            self._pieces,
            None if self._demuxer is None or self._target.source is None else (self._target.source, self._demuxer),
        )
        self._held.close()
        return (*self._notes, *more)

    def abandon(self) -> None:
        """Drop the piece that is not whole."""
        if self._segment is not None:
            self._segment.drop()
        self._encoder = self._segment = None
        self._held.close()

    def _begin(self, size: tuple[int, int], bits: int, rate: Fraction) -> None:
        """Decide how the film is encoded."""
        self._size, self._bits = size, bits
        target, tick = self._target, _TICK if self._video is None else self._video.time_base
        self._encoding, notes = encoding(self._container, self._video, size, bits, target.quality, target.lossless, tick, rate)
        self._notes |= dict.fromkeys(notes)

    def _header(self) -> str:
        """Return the digest of the encoder's header."""
        assert self._encoding is not None
        return hashlib.sha256(self._encoding.created().extradata or b"").hexdigest()

    def _encode(self, picture: "av.VideoFrame | None") -> None:
        assert self._encoder is not None and self._segment is not None
        for packet in self._encoder.encode(picture):
            self._segment.add(packet)

    def _end_segment(self) -> None:
        """Finish a piece."""
        self._encode(None)
        assert self._encoder is not None and self._encoding is not None and self._segment is not None
        header = hashlib.sha256(self._encoder.extradata or b"").hexdigest()
        facts = Facts(self._encoding.key, header, self._count, self._size, self._bits, str(self._last), self._xmp)
        self._pieces.append((self._segment.finish(len(self._pieces), facts), facts))
        self._encoder, self._segment, self._count = None, None, 0

    def _fitted(self, pixels: Pixels) -> Pixels:
        """Return pixels of the size of the first frame."""
        width, height = self._size
        if pixels.shape[:2] == (height, width):
            return pixels
        self._notes[OTHER_SIZE] = None
        canvas = np.zeros((height, width, 3), pixels.dtype)
        rows, columns = min(height, pixels.shape[0]), min(width, pixels.shape[1])
        canvas[:rows, :columns] = pixels[:rows, :columns]
        return canvas


def _source(path: Path | None) -> tuple[str | None, Video | None]:
    """Return the container of the source and what is known of its video, where it is a film."""
    if path is None:
        return None, None
    with path.open("rb") as file:
        demuxer = demuxer_of(file.read(16))
        if demuxer is None:
            return None, None
        with opened(file, demuxer) as container:
            return demuxer, described(container, video_of(container))
