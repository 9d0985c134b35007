"""The formats, each with the library that reads it, and what says that it is missing."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, BinaryIO

from pixlate.errors import Unsupported
from pixlate.plugin.image_format import Header, ImageFormat
from pixlate.system.extras import install
from pixlate_formats import exr, heif, jpeg2000, jxl, psd, raw

_ALL = ("exif", "icc", "xmp", "dpi")
HEIC = ImageFormat(
    name="heic",
    suffixes=(".heic", ".heif", ".hif"),
    sniff=heif.sniff,
    probe=heif.probe,
    read=heif.frames,
    write=heif.encoded,
    lossless="asked",
    longest_side=16384,
    dtypes=("uint8", "uint16"),
    alpha=True,
    metadata=_ALL,
    frames="pictures",
    media_type="image/heic",
)
JXL = ImageFormat(
    name="jxl",
    title="JPEG XL",
    suffixes=(".jxl",),
    sniff=jxl.sniff,
    probe=jxl.probe,
    read=jxl.frames,
    write=jxl.encoded,
    lossless="asked",
    dtypes=("uint8", "uint16"),
    alpha=True,
    metadata=("exif", "xmp", "dpi"),
    media_type="image/jxl",
)
EXR = ImageFormat(
    name="exr",
    title="OpenEXR",
    suffixes=(".exr",),
    sniff=exr.sniff,
    probe=exr.probe,
    read=exr.frames,
    write=exr.encoded,
    lossless="asked",
    dtypes=("float32",),
    alpha=True,
    metadata=("xmp", "dpi"),
    media_type="image/x-exr",
)
RAW = ImageFormat(name="raw", title="camera raw", suffixes=raw.SUFFIXES, sniff=raw.sniff, probe=raw.probe, read=raw.frames)
PSD = ImageFormat(name="psd", title="Photoshop document", suffixes=(".psd", ".psb"), sniff=psd.sniff, probe=psd.probe, read=psd.frames)
JPEG2000 = ImageFormat(
    name="jpeg2000",
    title="JPEG 2000",
    suffixes=(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".jph", ".jhc"),
    sniff=jpeg2000.sniff,
    probe=jpeg2000.probe,
    read=jpeg2000.frames,
    media_type="image/jp2",
)


def _offered(format: ImageFormat, package: str, brought_by: str) -> ImageFormat:
    """Return a format, or where the package of its library is not installed, one that refuses each file and is not written."""
    if find_spec(package) is not None:
        return format

    def refuse(stream: BinaryIO) -> Header:
        raise Unsupported(f"reading {format.title} needs {brought_by}, which is missing; run: {install('formats')}")

    read: Callable[[Any], Any] = refuse
    return replace(format, probe=refuse, read=read, write=None)


FORMATS = (_offered(HEIC, "pillow_heif", "pillow-heif"), JXL, _offered(EXR, "OpenEXR", "OpenEXR"), _offered(RAW, "rawpy", "rawpy"), PSD, JPEG2000)
"""All formats of this package."""
