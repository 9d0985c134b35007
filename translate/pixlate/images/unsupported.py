"""Kinds of files that are not read, recognised so that the refusal names them."""

import re

from pixlate.system.extras import install

_CONVERT = "convert it to PNG or JPEG first"
FILM = "save single frames as PNG first, or install the extra video, which converts films"
"""What to do about films."""
FILMS = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".wmv", ".flv", ".ogv", ".3gp"))
"""Suffixes of films, which are named where the extra is missing that reads them."""
_WITH = f", as `pixlate convert` does with {install('formats')}"
_CONVERTED = f"{_CONVERT}, as `pixlate convert` does"
_DEVELOP = f"develop it to TIFF or JPEG first{_WITH}"
PHONE = f"convert it to JPEG or PNG first{_WITH} (an iPhone gives JPEG with Settings, Camera, Formats, Most Compatible)"
"""What to do about HEIC."""
_KINDS: tuple[tuple[int, bytes, str, str], ...] = (
    *((8, brand, "HEIC", PHONE) for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")),
    (8, b"crx ", "a Canon RAW photograph", _DEVELOP),
    (4, b"ftyp", "a video", FILM),
    *((0, magic, "a video", FILM) for magic in (b"\x1a\x45\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"FLV\1")),
    (8, b"AVI ", "a video", FILM),
    (0, b"\xff\x0a", "JPEG XL", _CONVERTED),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL", _CONVERTED),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000", _CONVERTED),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000", _CONVERTED),
    (0, b"II\xbc\x01", "JPEG XR", _CONVERT),
    (0, b"FUJIFILMCCD-RAW", "a Fujifilm RAW photograph", _DEVELOP),
    (0, b"IIU\0", "a Panasonic RAW photograph", _DEVELOP),
    *((0, magic, "an Olympus RAW photograph", _DEVELOP) for magic in (b"IIRO", b"IIRS", b"MMOR")),
    (0, b"8BPS", "a Photoshop document", _CONVERTED),
    (0, b"gimp xcf", "a GIMP document", "export it as PNG or TIFF first"),
    (0, b"%PDF", "PDF", "save its pages as PNG first"),
    (0, b"%!PS", "PostScript", "save its pages as PNG first"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR", f"convert it to .npy or to a 16-bit TIFF first{_WITH}"),
    (0, b"#?R", "Radiance HDR", "convert it to .npy or to a 16-bit TIFF first"),
    (0, b"DDS ", "DDS", _CONVERT),
    (0, b"qoif", "QOI", _CONVERT),
    (0, b"\0\0\x01\0", "an icon (ICO)", _CONVERT),
    *((0, b"\0\0\2\0%c\0" % count, "a cursor (CUR)", _CONVERT) for count in range(1, 64)),
    *((0, b"\0\0%c\0\0\0\0\0" % kind, "Targa (TGA)", _CONVERT) for kind in (2, 3, 10, 11)),
    (0, b"icns", "an icon (ICNS)", _CONVERT),
    (128, b"DICM", "DICOM", "export it as PNG or 16-bit TIFF first"),
    (0, b"\x8aMNG", "MNG", _CONVERT),
    (0, b"\x8bJNG", "JNG", _CONVERT),
    *((0, b"P%d%c" % (number, space), "PNM (PBM, PGM, PPM)", _CONVERT) for number in range(1, 8) for space in b"\n "),
    *((0, magic, "sound, no image", "leave it out") for magic in (b"ID3", b"\xff\xfb", b"\xff\xf3", b"OggS", b"fLaC")),
    (8, b"WAVE", "sound, no image", "leave it out"),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it first"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (0, b"Rar!\x1a\7", "a RAR archive", "unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (0, b"\0\x05\x16\x07", "what macOS writes beside a file on other disks (AppleDouble), no image", "leave it out"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, no image", "run git lfs pull first"),
)
"""Offset, bytes there, name, and what to do; the first that fits counts."""
_PAGE, _SAVED = "download the image itself", "render it to PNG first"
_TEXTS = tuple(
    (re.compile(start), name, advice)
    for start, name, advice in (
        (r"<(!doctype )?svg", "SVG", _SAVED),
        (r"<(!doctype html|html|head|body)", "an HTML page, no image", _PAGE),
        (r"<error", "an error message in XML, no image", _PAGE),
        (r"<(\w|!doctype)", "XML, no image", _PAGE),
        (r"<(\?xml|!--)", "XML, HTML or SVG", _SAVED),
        (r"(\{\s*[\"}]|\[\s*[\"{\[\]])", "JSON, no image", _PAGE),
    )
)
"""Beginning of a text behind its prologue, in small letters, name, and what to do; the first that fits counts."""
_PROLOGUE = re.compile(r"(\s+|<\?xml.*?\?>|<!--.*?-->)*", re.DOTALL)
LONGEST = 512
"""Bytes at the beginning of a file that are looked at."""


def named(head: bytes) -> tuple[str, str]:
    """Return what a file that is not read is by its first bytes, and what to do; two empty words where that is not known."""
    for offset, magic, name, advice in _KINDS:
        if head.startswith(magic, offset):
            return name, advice
    text = head[:LONGEST].decode("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig", "replace").lower()
    text = text[_PROLOGUE.match(text).end() :]  # type: ignore[union-attr]
    return next(((name, advice) for start, name, advice in _TEXTS if start.match(text)), ("", ""))
