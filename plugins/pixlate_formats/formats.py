"""The formats, each with the library that reads it, and what says that it is missing."""

from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, BinaryIO

from pixlate.errors import Unsupported
from pixlate.plugin.image_format import Header, ImageFormat
from pixlate.system.extras import install
from pixlate_formats import exr, heif, jpeg2000, jxl, psd, raw

_WRITTEN: dict[str, Any] = {"lossless": "asked", "dtypes": ("uint8", "uint16"), "alpha": True}


def _format(module: ModuleType, name: str, title: str, suffixes: tuple[str, ...], package: str = "", brought_by: str = "", **how: Any) -> ImageFormat:
    """Return a format that a module reads, and writes where it has ``encoded``; without the package of its library, one that refuses each file and is not written."""
    if package and find_spec(package) is None:

        def refuse(stream: BinaryIO) -> Header:
            raise Unsupported(f"reading {title} needs {brought_by or package}, which is missing; run: {install('formats')}")

        read: Callable[[Any], Any] = refuse
        return ImageFormat(name, suffixes, read, title, module.sniff, probe=refuse, **how)
    write = getattr(module, "encoded", None)
    return ImageFormat(name, suffixes, module.frames, title, module.sniff, module.probe, write, **(_WRITTEN if write else {}) | how)


_JPEG2000 = (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".jph", ".jhc")
FORMATS = (
    _format(
        heif, "heic", "HEIC", (".heic", ".heif", ".hif"), "pillow_heif", "pillow-heif",
        longest_side=16384, metadata=("exif", "icc", "xmp", "dpi"), frames="pictures", media_type="image/heic",
    ),
    _format(jxl, "jxl", "JPEG XL", (".jxl",), metadata=("exif", "xmp", "dpi"), frames="frames", media_type="image/jxl"),
    _format(exr, "exr", "OpenEXR", (".exr",), "OpenEXR", dtypes=("float32",), metadata=("xmp", "dpi"), media_type="image/x-exr"),
    _format(raw, "raw", "camera raw", raw.SUFFIXES, "rawpy"),
    _format(psd, "psd", "Photoshop document", (".psd", ".psb")),
    _format(jpeg2000, "jpeg2000", "JPEG 2000", _JPEG2000, media_type="image/jp2"),
)  # fmt: skip
"""All formats of this package."""
