"""How a film is encoded: codec, samples, quality and colours, from the film that it is made from and its container."""

import os
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Literal, cast

import av
import numpy as np
from numpy.typing import NDArray

from pixlate.images.picture import Pixels, to_8_bits, to_16_bits
from pixlate.system.cores import granted_cores
from pixlate_video.colours import FULL, Colours, from_rgb, rows_of, usual_matrix
from pixlate_video.source import Video

Container = Literal["mp4", "mov", "matroska", "webm"]
ENCODERS = (
    ("h264", "H.264", "libx264"),
    ("hevc", "HEVC", "libx265"),
    ("av1", "AV1", "libsvtav1"),
    ("vp9", "VP9", "libvpx-vp9"),
    ("ffv1", "FFV1", "ffv1"),
)
"""Name of a codec as FFmpeg has it, how a sentence spells it, and what encodes it."""
_CODECS: dict[Container, tuple[str, ...]] = {
    "mp4": ("h264", "hevc", "av1", "vp9"),
    "mov": ("h264", "hevc"),
    "matroska": ("h264", "hevc", "av1", "vp9"),
    "webm": ("vp9", "av1"),
}
"""Container -> what is written into it: the codec of the source where it is among these, else the first."""
_SMALLEST = {"hevc": 64, "av1": 16}
"""Codec -> pixels of the shorter side from which its encoder is used: x265 writes beyond its memory where a picture is smaller than a block of 64 (seen at 34 to 48
columns, which ended the process), SVT-AV1 refuses pictures of a few pixels."""
_QUALITIES = (1, 50, 75, 85, 95, 100)
_FACTORS = {"h264": (45, 32, 23, 20, 16, 8), "hevc": (47, 34, 25, 22, 18, 10), "av1": (63, 47, 33, 27, 20, 10), "vp9": (63, 45, 32, 26, 18, 6)}
"""Codec -> constant rate factor at those qualities, in between it is interpolated: 95 can hardly be told from the model's output, 75 is what its makers take."""
SEGMENT = 120
"""Frames that are encoded by themselves, so that a run that is killed goes on behind the last of them."""
_FLAGS = av.video.reformatter.Interpolation
EXACT = _FLAGS.BICUBIC | _FLAGS.FULL_CHR_H_INT | _FLAGS.FULL_CHR_H_INP | _FLAGS.ACCURATE_RND
ODD = "a row or column at the edge was repeated, since the codec takes even sides alone"


@dataclass(frozen=True)
class Encoding:
    """How the frames of a film are encoded."""

    codec: str
    encoder: str
    width: int
    height: int
    samples: str
    """Format of the samples, as FFmpeg names it."""
    bits: int
    subsampling: tuple[int, int]
    """Columns and rows of pixels that share a colour."""
    options: tuple[tuple[str, str], ...]
    colours: Colours
    time_base: Fraction
    rate: Fraction
    aspect: Fraction

    @property
    def key(self) -> str:
        """A text that two films share whose segments fit together."""
        return repr(sorted(asdict(self).items()))

    @property
    def is_rgb(self) -> bool:
        """Whether it keeps RGB."""
        return self.codec == "ffv1"

    def configure(self, context: "av.VideoCodecContext") -> None:
        """Set up an encoder."""
        context.width, context.height, context.pix_fmt = self.width, self.height, self.samples
        context.time_base, context.framerate, context.gop_size = self.time_base, self.rate, SEGMENT
        context.sample_aspect_ratio = self.aspect
        context.options = dict(self.options)
        context.thread_count = granted_cores()
        context.flags |= av.codec.context.Flags.global_header
        if not self.is_rgb:
            context.colorspace, context.color_range = self.colours.matrix, self.colours.range
        context.color_primaries, context.color_trc = self.colours.primaries, self.colours.transfer

    def created(self) -> "av.VideoCodecContext":
        """Return an encoder that is ready."""
        os.environ.setdefault("SVT_LOG", "1")  # or its encoder prints what it does
        context = cast("av.VideoCodecContext", av.CodecContext.create(self.encoder, "w"))
        self.configure(context)
        context.open()
        return context

    def frame(self, pixels: Pixels) -> "av.VideoFrame":
        """Return RGB of 8 or 16 bits, (height, width, 3), as the encoder takes it."""
        pad = (0, self.height - pixels.shape[0]), (0, self.width - pixels.shape[1]), (0, 0)
        padded = np.ascontiguousarray(np.pad(pixels, pad, "edge") if any(side for _, side in pad) else pixels)
        if self.is_rgb:
            return _planar(padded, self.samples)
        if self.bits > 8:
            across, down = self.subsampling
            return _filled(self.samples, self.width, self.height, from_rgb(_wide(padded), self.bits, self.colours.matrix, self.colours.full, down, across))
        frame = av.VideoFrame.from_ndarray(to_8_bits(padded), format="rgb24")
        ranges = {"src_color_range": FULL, "dst_color_range": self.colours.range}
        return frame.reformat(format=self.samples, dst_colorspace=self.colours.matrix, interpolation=EXACT, threads=1, **ranges)


def encoding(
    container: Container, video: Video | None, size: tuple[int, int], bits: int, quality: int, lossless: bool, time_base: Fraction, rate: Fraction
) -> tuple[Encoding, tuple[str, ...]]:
    """Return how frames of (width, height) and so many bits are encoded, and notes on what of the source could not be kept; ``video`` is the source, if a film."""
    notes: list[str] = []
    deep = bits > 8
    codec = "ffv1" if lossless else video.codec if video is not None and video.codec in _CODECS[container] else _CODECS[container][0]
    if codec == "vp9" and deep:
        codec = "av1" if "av1" in _CODECS[container] else codec  # libvpx as it is built here takes 8 bits
    if min(size) < _SMALLEST.get(codec, 0):
        codec = _CODECS[container][0]
    titles = {name: title for name, title, _ in ENCODERS}
    if video is not None and video.codec != codec and not lossless:
        notes.append(f"the video was {titles.get(video.codec, video.codec)}, and is written as {titles[codec]}")
    encoder = next(name for known, _, name in ENCODERS if known == codec)
    across, down = video.subsampling if video is not None and not video.rgb else (2, 2) if video is None else (1, 1)
    samples = ("gbrp16le" if deep else "bgr0") if lossless else _samples(encoder, across, down, deep)
    across, down = (1, 1) if lossless else {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[samples[3:6]]
    width, height = size
    if not lossless and (width % across or height % down or (codec == "av1" and (width % 2 or height % 2))):
        width, height = (side + side % 2 for side in size)
        notes.append(ODD)
    aspect = Fraction(1) if video is None else video.aspect if not video.turns % 2 else 1 / video.aspect
    return Encoding(
        codec,
        encoder,
        width,
        height,
        samples,
        10 if samples.endswith("10le") else 16 if samples.endswith("16le") else 8,
        (across, down),
        tuple(sorted(_options(codec, quality, deep).items())),
        video.colours if video is not None else Colours(usual_matrix(*size)),
        time_base,
        rate,
        aspect,
    ), tuple(notes)


def _samples(encoder: str, across: int, down: int, deep: bool) -> str:
    """Return the format of samples nearest to what the source has that an encoder takes."""
    wanted = {(2, 2): "420", (2, 1): "422"}.get((across, down), "444")
    known = {format.name for format in av.Codec(encoder, "w").video_formats or ()}
    for name in [f"yuv{kind}p{depth}" for depth in (["10le", ""] if deep else [""]) for kind in (wanted, "420")]:
        if name in known:
            return name
    raise ValueError(f"the encoder {encoder} takes none of the samples that are known")


def _options(codec: str, quality: int, deep: bool) -> dict[str, str]:
    """Return the options of an encoder."""
    if codec == "ffv1":
        return {"level": "3", "slicecrc": "1"}
    factor = str(round(float(np.interp(quality, _QUALITIES, _FACTORS[codec]))))
    match codec:
        case "h264":
            return {"crf": factor, "preset": "fast"}
        case "hevc":
            return {"crf": factor, "preset": "fast", "x265-params": "log-level=none:open-gop=0"}
        case "av1":
            return {"crf": factor, "preset": "9"}
        case _:
            return {"crf": factor, "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}


def _wide(pixels: Pixels) -> NDArray[np.uint16]:
    return pixels.astype(np.uint16, copy=False) if pixels.dtype == np.uint16 else to_16_bits(pixels)


def _planar(pixels: Pixels, samples: str) -> "av.VideoFrame":
    """Return RGB as FFV1 stores it, without a change."""
    if samples == "bgr0":
        narrow = to_8_bits(pixels)
        blank = np.zeros((*narrow.shape[:2], 1), np.uint8)
        frame = av.VideoFrame(pixels.shape[1], pixels.shape[0], "bgr0")
        _fill(frame, 0, np.dstack([narrow[..., ::-1], blank]).reshape(len(narrow), -1))
        return frame
    wide = _wide(pixels)
    return _filled(samples, pixels.shape[1], pixels.shape[0], tuple(np.ascontiguousarray(wide[..., channel]) for channel in (1, 2, 0)))


def _filled(samples: str, width: int, height: int, planes: tuple[NDArray[np.uint16], ...]) -> "av.VideoFrame":
    frame = av.VideoFrame(width, height, samples)
    for index, plane in enumerate(planes):
        _fill(frame, index, plane.view(np.uint8))
    return frame


def _fill(frame: "av.VideoFrame", index: int, rows: NDArray[np.uint8]) -> None:
    """Copy rows of bytes into a plane, whose rows may be longer."""
    whole = rows_of(frame.planes[index])
    whole[: len(rows), : rows.shape[1]] = rows
