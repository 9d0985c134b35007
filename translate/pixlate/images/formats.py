"""The built-in image formats, and how one is found among those that are known."""

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType

from pixlate.errors import PixlateError
from pixlate.images.codecs import apng_writer, avif, bmp, encode, gif, gif_writer, jpeg, npy, png, png_writer, tiff, tiff_writer, webp, webp_writer
from pixlate.plugin.image_format import ImageFormat

SNIFFED = 16
"""Bytes at the beginning of a file that show its format."""
_ALL = ("exif", "icc", "xmp", "dpi")
_animation = partial(ImageFormat, alpha=True, metadata=_ALL, frames="frames")
"""A format of several frames with an opacity."""


def by_suffix(formats: Iterable[ImageFormat]) -> Mapping[str, ImageFormat]:
    """Return suffix -> format."""
    return MappingProxyType({suffix: format for format in formats for suffix in format.suffixes})


JPEG = ImageFormat(
    name="jpeg",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    sniff=jpeg.sniff,
    probe=jpeg.probe,
    read=jpeg.read,
    write=encode.jpeg,
    longest_side=65500,  # libjpeg stops a little before its format does
    metadata=(*_ALL, "iptc", "comments"),
    media_type="image/jpeg",
)
PNG = _animation(
    name="png",
    suffixes=(".png", ".apng"),
    sniff=lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    probe=png.probe,
    read=png.frames,
    write=png_writer.encoded,
    write_rows=png_writer.write_rows,
    open_frames=apng_writer.AnimatedPng,
    lossless="always",
    dtypes=("uint8", "uint16"),
    metadata=(*_ALL, "iptc", "comments", "text"),
    media_type="image/png",
)
WEBP = _animation(
    name="webp",
    title="WebP",
    suffixes=(".webp",),
    sniff=lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    probe=webp.probe,
    read=webp.frames,
    write=encode.webp,
    open_frames=webp_writer.AnimatedWebp,
    lossless="asked",
    longest_side=16383,
    media_type="image/webp",
)
TIFF = ImageFormat(
    name="tiff",
    suffixes=(".tif", ".tiff"),
    sniff=lambda head: head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    probe=tiff.probe,
    read=tiff.frames,
    write=tiff_writer.encoded,
    write_rows=tiff_writer.write_rows,
    open_frames=tiff_writer.Pages,
    lossless="always",
    channels=(),
    dtypes=("uint8", "uint16", "float32"),
    alpha=True,
    metadata=(*_ALL, "iptc"),
    frames="pages",
    media_type="image/tiff",
)
BMP = ImageFormat(
    name="bmp",
    suffixes=(".bmp", ".dib"),
    sniff=lambda head: head.startswith(b"BM"),
    probe=bmp.probe,
    read=bmp.frames,
    write=encode.bmp,
    lossless="always",
    metadata=("dpi",),
    media_type="image/bmp",
)
AVIF = _animation(
    name="avif",
    suffixes=(".avif",),
    sniff=lambda head: head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1", b"msf1"),
    probe=avif.probe,
    read=avif.frames,
    write=encode.avif,
    longest_side=65536,
    media_type="image/avif",
)
GIF = _animation(
    name="gif",
    suffixes=(".gif",),
    sniff=lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    probe=gif.probe,
    read=gif.frames,
    write=encode.gif_file,
    open_frames=gif_writer.AnimatedGif,
    longest_side=65535,
    metadata=("xmp", "comments"),
    media_type="image/gif",
)
NPY = ImageFormat(
    name="npy",
    suffixes=(".npy",),
    sniff=lambda head: head.startswith(npy.MAGIC),
    probe=npy.probe,
    read=npy.read,
    write=npy.encoded,
    lossless="always",
    channels=(),
    dtypes=("uint8", "uint16", "float32"),
)

BUILT_IN: Mapping[str, ImageFormat] = by_suffix((JPEG, PNG, WEBP, TIFF, BMP, AVIF, GIF, NPY))
"""Suffix -> format, of those that need no plugin."""


def named(formats: Mapping[str, ImageFormat]) -> Mapping[str, ImageFormat]:
    """Return name -> format of suffix -> format."""
    return {format.name: format for format in formats.values()}


def writable(name: str, formats: Mapping[str, ImageFormat]) -> ImageFormat:
    """Return the format of a name, or of a suffix such as ``jpg``; refuse one that is unknown or only read."""
    known = {each: format for each, format in named(formats).items() if format.writable}
    named_otherwise = formats.get(f".{name.lower().removeprefix('.')}")
    if name not in known and named_otherwise is not None and named_otherwise.writable:
        return named_otherwise
    if name not in known:
        raise PixlateError(f"expected a format of {', '.join(known)}, got {name!r}; name one of them with --format")
    return known[name]


def recognised(head: bytes, formats: Mapping[str, ImageFormat], suffix: str = "") -> ImageFormat | None:
    """Return the format that the first bytes of a file show, that of the suffix asked first; one without ``sniff`` is known by the suffix."""
    expected = formats.get(suffix)
    if expected is not None and (expected.sniff is None or expected.sniff(head)):
        return expected
    return next((format for format in formats.values() if format.sniff is not None and format.sniff(head)), None)
