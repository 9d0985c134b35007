"""The frames of a film, one after another: decoded, upright, as RGB of 8 or 16 bits, with exact times. What is damaged is reported, and the film goes on."""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from pixlate.images.picture import Picture, Pixels
from pixlate.plugin.image_format import DamagedFrames, Frame, Opened
from pixlate_video.colours import FULL, rows_of, to_rgb
from pixlate_video.encoder import EXACT
from pixlate_video.source import Video, opened, reason, video_of

OTHER_SIZE = "the film changes its size; all frames were given that of the first"
_TIMES = "time stamps that were missing, or did not rise, were replaced"
Decoded = Iterator["av.VideoFrame | DamagedFrames"]


def frames(source: Opened, demuxer: str) -> Iterator[Frame | DamagedFrames]:
    """Yield the frames of a film, of which the first ``skip`` are only decoded."""
    video: Video = source.header.parsed
    with opened(source.stream, demuxer) as container:
        stream = video_of(container)
        notes = dict.fromkeys(video.notes)
        waiting: tuple[av.VideoFrame, Fraction] | None = None
        number, last = 0, None
        found = _decoded(container, stream, video)
        for item in _deinterlaced(found, stream) if video.interlaced else found:
            if isinstance(item, DamagedFrames):
                yield item
                continue
            time, exact = _time(item, last, video)
            if not exact:
                notes[_TIMES] = None
            if (item.width, item.height) != (video.width, video.height):
                notes[OTHER_SIZE] = None
            last = time
            if waiting is not None:
                number += 1
                if number > source.skip:
                    yield _frame(waiting, time - waiting[1], video, tuple(notes))
            waiting = item, time
        if waiting is not None:
            number += 1
            if number > source.skip:
                yield _frame(waiting, _duration(waiting[0], video), video, tuple(notes))


def _decoded(container: "av.container.InputContainer", stream: "av.VideoStream", video: Video) -> Decoded:
    """Decode all packets; those that cannot be are counted."""
    packets = container.demux(stream)
    where, count = Fraction(0), 0
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            yield DamagedFrames(_clock(where), f"the rest of the file cannot be read ({reason(error)})", 0)
            return
        if packet is None:
            if video.exact and count < video.count:
                yield DamagedFrames(_clock(where), f"the file ends after {count} of its {video.count} frames", video.count - count)
            return
        count += packet.size > 0
        if packet.pts is not None:
            where = packet.pts * video.time_base
        try:
            decoded = packet.decode()
        except av.error.FFmpegError as error:
            if packet.size:
                yield DamagedFrames(_clock(where), reason(error))
            continue
        for frame in decoded:
            assert isinstance(frame, av.VideoFrame)
            if frame.is_corrupt:
                yield DamagedFrames(_clock(_seconds(frame) or where), "it is damaged", kept=True)
            yield frame


def _deinterlaced(decoded: Decoded, stream: "av.VideoStream") -> Decoded:
    """Make a frame of the two fields of each, with the filter bwdif."""
    graph = av.filter.Graph()
    source, filtered, sink = graph.add_buffer(template=stream), graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    graph.link_nodes(source, filtered, sink).configure()

    def pulled() -> Iterator["av.VideoFrame"]:
        while True:
            try:
                yield graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    for item in decoded:
        if isinstance(item, DamagedFrames):
            yield item
            continue
        graph.vpush(item)
        yield from pulled()
    graph.vpush(None)
    yield from pulled()


def _time(frame: "av.VideoFrame", last: Fraction | None, video: Video) -> tuple[Fraction, bool]:
    """Return when a frame is shown, behind the one before it, and whether it says so itself."""
    time = _seconds(frame)
    if time is not None and (last is None or time > last):
        return time, True
    step = max(video.time_base, _duration(frame, video))
    return (Fraction(0) if last is None else last + step), False


def _seconds(frame: "av.VideoFrame") -> Fraction | None:
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None or frame.time_base is None else stamp * frame.time_base


def _duration(frame: "av.VideoFrame", video: Video) -> Fraction:
    return frame.duration * frame.time_base if frame.duration and frame.time_base else 1 / video.rate


def _frame(shown: tuple["av.VideoFrame", Fraction], duration: Fraction, video: Video, notes: tuple[str, ...]) -> Frame:
    """Return a decoded frame as a picture, upright."""
    decoded, time = shown
    pixels = np.rot90(_rgb(decoded, video), video.turns)
    pixels = np.ascontiguousarray(pixels[:, ::-1] if video.mirrored else pixels)
    return Frame(Picture(pixels, notes=notes), float(duration * 1000), video.count, time)


def _rgb(frame: "av.VideoFrame", video: Video) -> Pixels:
    """Return RGB (height, width, 3) of the size of the first frame."""
    if (frame.width, frame.height) != (video.width, video.height):
        frame = frame.reformat(video.width, video.height, interpolation=EXACT, threads=1)
    ranges = {"src_color_range": video.colours.range, "dst_color_range": FULL}
    if video.bits > 8 and not video.rgb:
        return _deep(frame, video)
    kind = "rgb48le" if video.bits > 8 else "rgb24"
    if video.rgb:
        rgb = frame.reformat(format=kind, interpolation=EXACT, threads=1)
    else:
        rgb = frame.reformat(format=kind, src_colorspace=video.colours.matrix, interpolation=EXACT, threads=1, **ranges)
    return cast(Pixels, rgb.to_ndarray())


def _deep(frame: "av.VideoFrame", video: Video) -> NDArray[np.uint16]:
    """Return RGB of 16 bits of a frame of more than 8."""
    name = {(2, 2): "yuv420p16le", (2, 1): "yuv422p16le"}.get(video.subsampling, "yuv444p16le")
    bits = frame.format.components[0].bits
    planes = frame.format.name in (f"yuv42{end}p{bits}le" for end in "02") or frame.format.name == f"yuv444p{bits}le"
    plain, depth = (frame, bits) if planes else (frame.reformat(format=name, interpolation=EXACT, threads=1), 16)
    luma, blue, red = (rows_of(plane).view(np.uint16)[: plane.height, : plane.width] for plane in plain.planes[:3])
    return to_rgb((luma, blue, red), depth, video.colours.matrix, video.colours.full)


def _clock(seconds: Fraction) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, rest = divmod(max(0.0, float(seconds)), 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{rest:04.1f}"
