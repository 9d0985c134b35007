"""Puts a film together: its pieces, without encoding them again, and what the source has besides its video, as it is."""

import heapq
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, cast

import av
import av.error

from pixlate.system.locking import sync
from pixlate_video import segments
from pixlate_video.encoder import Container, Encoding
from pixlate_video.segments import Facts
from pixlate_video.source import opened, video_of

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""Kind of the box that holds XMP (XMP specification, part 3, 2.2)."""
Timed = tuple[Fraction, int, "av.Packet[Any]"]
"""When a packet is to be in the file, the number of its stream, and the packet."""
_KINDS = {"audio": "sound", "subtitle": "subtitles", "data": "data", "attachment": "an attachment", "video": "a further video"}
_UPRIGHT = {"rotate", "encoder", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS_TAGS", "_STATISTICS_WRITING_APP", "BPS"}
"""Keys of metadata that are not true of the new video."""
_OWN = {"major_brand", "minor_version", "compatible_brands", "encoder"}
"""Keys of metadata that say how the source was stored."""


def put_together(
    path: Path, container: Container, encoding: Encoding, pieces: Sequence[tuple[Path, Facts]], source: tuple[Path, str] | None
) -> tuple[str, ...]:
    """Write the film; ``source`` is path and container of the film that it is from. Returns notes on what could not be kept."""
    with ExitStack() as held:
        given = None if source is None else held.enter_context(opened(held.enter_context(source[0].open("rb")), source[1]))
        options = {"movflags": "+faststart"} if container in ("mp4", "mov") else {}
        if given is not None and any(key.startswith("com.apple.") for key in given.metadata):
            options = {"movflags": "+faststart+use_metadata_tags"} if options else options
        output = held.enter_context(av.open(f"file:{path}", "w", format=container, options=options))
        stream = cast(av.VideoStream, output.add_stream(encoding.encoder, rate=encoding.rate))
        encoding.configure(stream.codec_context)
        stream.time_base = encoding.time_base
        copied, notes = ({}, []) if given is None else _others(given, output)
        if given is not None:
            own = video_of(given)
            stream.metadata.update({key: value for key, value in own.metadata.items() if key not in _UPRIGHT})
            stream.disposition = own.disposition
            output.metadata.update({key: value for key, value in given.metadata.items() if key not in _OWN})
            if chapters := given.chapters():
                output.set_chapters(chapters)
        xmp = pieces[0][1].xmp
        if xmp and container in ("matroska", "webm"):
            output.metadata["XMP"] = xmp
        output.start_encoding()
        parts = [_video(stream, encoding, pieces)]
        if given is not None and copied:
            parts.append(_copied(given, copied))
        for _, _, packet in heapq.merge(*parts, key=lambda timed: timed[:2]):
            output.mux_one(packet)
    if xmp and container in ("mp4", "mov"):
        body = _XMP + xmp.encode()
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", 8 + len(body), b"uuid") + body)
    with path.open("rb+") as file:
        sync(file.fileno())
    return tuple(notes)


def _others(given: "av.container.InputContainer", output: "av.container.OutputContainer") -> tuple[dict[int, Any], list[str]]:
    """Add the streams besides the video to a film, as they are; return index in the source -> stream, and notes on those that the container does not hold."""
    copied: dict[int, Any] = {}
    lost: dict[str, int] = {}
    chosen = video_of(given)
    for stream in given.streams:
        if stream is chosen or (stream.type == "data" and not stream.codec_context):
            if stream is not chosen and stream.type == "data" and not given.chapters():
                lost["data"] = lost.get("data", 0) + 1
            continue
        if stream.type == "attachment":
            with suppress(Exception):
                held = cast("av.stream.AttachmentStream", stream)
                output.add_attachment(held.name or "attachment", held.mimetype or "application/octet-stream", held.data)
                continue
        name = stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""
        if stream.type == "data" or name not in output.supported_codecs:
            what = f"{_KINDS.get(stream.type, stream.type)}{f' ({name})' if name else ''}"
            lost[what] = lost.get(what, 0) + 1
            continue
        twin = output.add_stream_from_template(stream)
        twin.metadata.update(stream.metadata)
        twin.disposition = stream.disposition
        copied[stream.index] = twin
    title = {"mp4": "MP4", "mov": "QuickTime", "webm": "WebM"}.get(output.format.name, "Matroska")
    return copied, [
        f"{title} cannot hold {what}{f' of {count} tracks' if count > 1 else ''}, which was left out; .mkv holds most" for what, count in lost.items()
    ]


def _video(stream: "av.VideoStream", encoding: Encoding, pieces: Sequence[tuple[Path, Facts]]) -> Iterator[Timed]:
    """Yield the packets of all pieces with time stamps for decoding, which are those of showing, later by as many frames as any packet is early."""
    shown = sorted(chain.from_iterable(segments.stamps(path) for path, _ in pieces))
    place = {stamp: index for index, stamp in enumerate(shown)}
    order = chain.from_iterable(segments.stamps(path) for path, _ in pieces)
    delay = max((index - place[stamp] for index, stamp in enumerate(order)), default=0)
    lasts = round(segments.milliseconds(pieces[-1][1]) / 1000 / encoding.time_base)
    step = max(1, shown[1] - shown[0] if len(shown) > 1 else lasts)
    index = 0
    for path, _ in pieces:
        for stamp, data, key in segments.packets(path):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, encoding.time_base
            packet.pts, packet.is_keyframe = stamp, key
            packet.dts = shown[index - delay] if index >= delay else shown[0] - (delay - index) * step
            following = place[stamp] + 1
            packet.duration = shown[following] - stamp if following < len(shown) else max(1, lasts)
            index += 1
            yield packet.dts * encoding.time_base, 0, packet


def _copied(given: "av.container.InputContainer", copied: dict[int, Any]) -> Iterator[Timed]:
    """Yield the packets of other streams as they are, in the order of the file."""
    last = Fraction(0)
    packets = given.demux([stream for stream in given.streams if stream.index in copied])
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:  # what cannot be read has been reported of the video
            return
        if packet is None:
            return
        stamp = packet.dts if packet.dts is not None else packet.pts
        if not packet.size or stamp is None:
            continue
        last = max(last, stamp * (packet.time_base or Fraction(0)))
        index = packet.stream.index
        packet.stream = copied[index]
        yield last, 1 + index, packet
