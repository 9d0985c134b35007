"""The containers of films, as image formats. FFmpeg, through PyAV, is imported when the first film is opened."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from pixlate.plugin.image_format import DamagedFrames, Frame, FrameTarget, FrameWriter, Header, ImageFormat, Opened

if TYPE_CHECKING:
    from pixlate_video.encoder import Container

_STILL = (b"avif", b"avis", b"mif1", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"crx ", b"jp2 ", b"jpx ")
"""Kinds of pictures whose files begin as films do (ISO/IEC 14496-12, 4.3)."""
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_SYNC = b"G"
"""First byte of each packet of MPEG-TS, for which no other mark is looked at: without the suffix it is not recognised."""
_MATROSKA = b"\x1a\x45\xdf\xa3"


def _quicktime(head: bytes) -> bool:
    return (head[4:8] == b"ftyp" and head[8:12] not in _STILL) or head[4:8] in _ATOMS


def _probe(demuxer: str, stream: BinaryIO) -> Header:
    from pixlate_video.source import probe

    return probe(stream, demuxer)


def _frames(demuxer: str, opened: Opened) -> Iterable[Frame | DamagedFrames]:
    from pixlate_video.reader import frames

    return frames(opened, demuxer)


def _writer(container: "Container", target: FrameTarget) -> FrameWriter:
    from pixlate_video.writer import FilmWriter

    return FilmWriter(container, target)


def _film(name: str, title: str, demuxer: str, suffixes: tuple[str, ...], container: "Container | None" = None, **how: Any) -> ImageFormat:
    return ImageFormat(
        name=name,
        title=title,
        suffixes=suffixes,
        probe=partial(_probe, demuxer),
        read=partial(_frames, demuxer),
        open_frames=None if container is None else partial(_writer, container),
        film=True,
        frames="frames",
        instead="mkv",
        longest_side=16_384,
        dtypes=("uint8", "uint16"),
        metadata=("xmp",),
        lossless="asked" if container == "matroska" else "never",
        **how,
    )


def demuxer_of(head: bytes) -> str | None:
    """Return the name of FFmpeg's reader for a film from its first 16 bytes; None for what is no film."""
    if head[:1] == _SYNC or head[4:5] == _SYNC:
        return "mpegts" if not head.startswith(b"GIF8") else None
    return next((demuxer for sniff, demuxer in _SNIFFED if sniff(head)), None)


_SNIFFED: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (_quicktime, "mov"),
    (lambda head: head.startswith(_MATROSKA), "matroska"),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ", "avi"),
    (lambda head: head.startswith(b"\0\0\1\xba"), "mpeg"),
    (lambda head: head.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "asf"),
    (lambda head: head.startswith(b"FLV\1"), "flv"),
    (lambda head: head.startswith(b"OggS"), "ogg"),
)
_OF = {demuxer: sniff for sniff, demuxer in _SNIFFED}

FORMATS = (
    _film("mp4", "MP4", "mov", (".mp4", ".m4v"), "mp4", sniff=_OF["mov"]),
    _film("mov", "QuickTime", "mov", (".mov",), "mov", sniff=_OF["mov"]),
    _film("mkv", "Matroska", "matroska", (".mkv",), "matroska", sniff=_OF["matroska"]),
    _film("webm", "WebM", "matroska", (".webm",), "webm", sniff=_OF["matroska"]),
    _film("avi", "AVI", "avi", (".avi",), sniff=_OF["avi"]),
    _film("mpeg", "MPEG", "mpeg", (".mpg", ".mpeg"), sniff=_OF["mpeg"]),
    _film("wmv", "Windows Media", "asf", (".wmv", ".asf"), sniff=_OF["asf"]),
    _film("flv", "Flash Video", "flv", (".flv",), sniff=_OF["flv"]),
    _film("ogv", "Ogg", "ogg", (".ogv",), sniff=_OF["ogg"]),
    _film("m2ts", "MPEG-TS", "mpegts", (".m2ts",)),
    _film("3gp", "3GPP", "mov", (".3gp",), sniff=_OF["mov"]),
)
"""Those that are only read are written as Matroska, which takes any sound and subtitles."""
