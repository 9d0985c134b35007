"""Makes ``docs/formats.md`` from the formats that are installed, so that no capability is typed by hand."""

from collections.abc import Iterable

from pixlate.images.formats import BUILT_IN, named
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import installed

_WORDS = {"exif": "EXIF", "icc": "ICC", "xmp": "XMP", "dpi": "resolution", "iptc": "IPTC", "comments": "comments", "text": "texts"}
_BITS = {"uint8": "8", "uint16": "16", "float32": "floating point"}
_LOSSLESS = {"never": "", "asked": "with `--lossless`", "always": "always"}
_READ = {
    "jpeg": ("8", "libjpeg-turbo (Pillow)"),
    "png": ("1 to 16", "Pillow, and Pixlate's own for 16 bits"),
    "webp": ("8", "libwebp (Pillow)"),
    "tiff": ("1 to 16, floating point", "Pixlate's own, libtiff (Pillow) for fax, JPEG and palettes"),
    "bmp": ("1 to 8", "Pillow"),
    "avif": ("8, of 10 and 12 as well", "libavif (Pillow)"),
    "gif": ("8", "Pillow"),
    "npy": ("8, 16, floating point", "NumPy"),
    "heic": ("8, 10, 12", "libheif and libde265 (pillow-heif, extra), apart"),
    "jxl": ("8, 16, floating point", "libjxl (imagecodecs; an ICC profile through pillow-jxl-plugin, extra), apart"),
    "jpeg2000": ("1 to 16", "OpenJPEG (imagecodecs), apart"),
    "exr": ("half, float", "OpenEXR (extra), apart"),
    "raw": ("what the sensor has, as 16", "LibRaw (rawpy, extra), apart"),
    "psd": ("1, 8, 16, floating point", "Pixlate's own, libtiff (Pillow) for run lengths"),
}
"""Format -> bits that are read, and what decodes it; a format that is not here is that of a plugin."""
_WRITTEN = {"heic": "8, 10"}
"""Bits that are written, where they are not those of the samples taken."""
_TEXT = """# Formats

Generated from the installed formats by `docs/generate.py`.

{table}

"Extra" are libraries that `pip install '.[formats]'` brings; without them each file of such a format says so in a sentence, and the others are converted. Files
that can only be read are written as PNG, or as `--format` says. "Apart" are decoders in a process of their own, whose time and memory are limited: where a damaged file makes one crash or hang, that file
is reported and the next one is read. Sizes are compared with `--max-pixels` before anything is decoded.

Training and evaluation read all of these; `pixlate serve`, which promises time and memory for each upload, takes and gives {served} alone.

## HEIC

Rotations and mirrors of the file are applied once; the orientation in EXIF beside them is not, as the standard says. 10 and 12 bits are read as 16. Of several pictures in a file the primary one is converted,
with a note. Gain maps are left out with a note; PQ and HLG become sRGB, highlights compressed. 16 bits are written as 10.

## Camera raw

Developed by LibRaw: 16 bits of sRGB, the camera's white balance, its orientation, black and white levels. Nothing is brightened, so that a series keeps its exposures: a picture may be darker than the camera's own JPEG.
EXIF is taken from the file; Canon's CR3 has none that is read. A camera that LibRaw does not know is a sentence: convert its files to DNG first.

## JPEG XL and JPEG 2000

JPEG XL: `--quality` is that of libjxl's own `cjxl`, and 100 or `--lossless` keeps every pixel. A file that holds a JPEG's coefficients, and one that states its colours by numbers or by a profile, is read in its colours; written files
are sRGB, and colours of another profile are converted first, with a note. Of an animation the first frame is read, with a note;
with `--frames all` it is refused. An ICC profile cannot be written: the report says so. JPEG 2000 is read, with its opacity, metadata and resolution.

## Scene-linear light: OpenEXR and floating point TIFF

OpenEXR, a TIFF of floating point with samples beyond [0, 1], and documents of 32 bits hold light, in which 1 is the white of a display and lamps are brighter. A model takes samples of [0, 1], so light L becomes

    s(L) = srgb(L)                                                         for L up to K = 0.5
    s(L) = srgb(K) + (1 - srgb(K)) ln(1 + a (L - K)) / ln(1 + a (P - K))     above

where srgb is the curve of IEC 61966-2-1, P the brightest sample of the picture, and a makes the slope continuous at K; where P is at most 1, all is srgb. What the model returns goes the inverse way and
is written as floating point, OpenEXR as half or float as the source was. The way there and back, in the 16 bits that models are given, changes light up to K by less than 0.00002, and above it by less than 0.04 % where P is 1,000. The report
says so for each file. PNG and others get s(L), with a note.

Samples that are no numbers, infinite or below 0 are replaced in OpenEXR, and counted in a note; a TIFF with such that are no numbers is refused. Light of other primaries (chromaticities) is turned to sRGB's. An opacity is divided out and
multiplied in again. Of several layers the nameless one, or the first with colours, is read; the others are named in a note. A TIFF within [0, 1] is taken as samples of a display, as of 16 bits.

## Photoshop documents

The flattened picture, which Photoshop writes with Maximize Compatibility, in grey, RGB, palettes, duotones as grey, CMYK and Lab through their profile; its opacity with the white behind it taken away. Layers are left out with a note.
"""


def table(formats: Iterable[ImageFormat]) -> str:
    """Return a row for each format."""
    rows = ["| format | suffixes | bits read | bits written | opacity | lossless | keeps | read by |", "|---|---|---|---|---|---|---|---|"]
    for format in formats:
        read, library = _READ.get(format.name, ("", "a plugin"))
        bits = _WRITTEN.get(format.name) or ", ".join(_BITS[kind] for kind in format.dtypes) if format.write else "only read"
        keeps = ", ".join(_WORDS[name] for name in format.metadata) if format.write else ""
        suffixes = " ".join(f"`{suffix}`" for suffix in format.suffixes)
        lossless = _LOSSLESS[format.lossless] if format.write else ""
        rows.append(f"| {format.title} | {suffixes} | {read} | {bits} | {'yes' if format.alpha else ''} | {lossless} | {keeps} | {library} |")
    return "\n".join(rows)


def page() -> str:
    """Return the page."""
    found = [format for format in named(installed().image_formats()).values() if format.name in _READ]
    served = [format.title for format in named(BUILT_IN).values() if format.media_type]
    return _TEXT.format(table=table(found), served=f"{', '.join(served[:-1])} and {served[-1]}")
