"""Kinds of files that are not read, recognised so that the refusal names them."""

_CONVERT = "convert it to PNG or JPEG first"
PHONE = "convert it to JPEG or PNG (an iPhone gives JPEG with Settings, Camera, Formats, Most Compatible)"
"""What to do about HEIC."""
_KINDS: tuple[tuple[int, bytes, str, str], ...] = (
    *((8, brand, "HEIC", PHONE) for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")),
    (8, b"crx ", "a Canon RAW photograph", "develop it to TIFF or JPEG first"),
    (4, b"ftyp", "a video", "save single frames as PNG first"),
    *((0, magic, "a video", "save single frames as PNG first") for magic in (b"\x1a\x45\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"FLV\1")),
    (8, b"AVI ", "a video", "save single frames as PNG first"),
    (0, b"\xff\x0a", "JPEG XL", _CONVERT),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL", _CONVERT),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000", _CONVERT),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000", _CONVERT),
    (0, b"II\xbc\x01", "JPEG XR", _CONVERT),
    (0, b"FUJIFILMCCD-RAW", "a Fujifilm RAW photograph", "develop it to TIFF or JPEG first"),
    (0, b"IIU\0", "a Panasonic RAW photograph", "develop it to TIFF or JPEG first"),
    *((0, magic, "an Olympus RAW photograph", "develop it to TIFF or JPEG first") for magic in (b"IIRO", b"IIRS", b"MMOR")),
    (0, b"8BPS", "a Photoshop document", "export it as PNG or TIFF first"),
    (0, b"gimp xcf", "a GIMP document", "export it as PNG or TIFF first"),
    (0, b"%PDF", "PDF", "save its pages as PNG first"),
    (0, b"%!PS", "PostScript", "save its pages as PNG first"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR", "convert it to .npy or to a 16-bit TIFF first"),
    (0, b"#?R", "Radiance HDR", "convert it to .npy or to a 16-bit TIFF first"),
    (0, b"DDS ", "DDS", _CONVERT),
    (0, b"qoif", "QOI", _CONVERT),
    (0, b"\0\0\x01\0", "an icon (ICO)", _CONVERT),
    (0, b"\x8aMNG", "MNG", _CONVERT),
    (0, b"\x8bJNG", "JNG", _CONVERT),
    *((0, b"P%d%c" % (number, space), "PNM (PBM, PGM, PPM)", _CONVERT) for number in range(1, 8) for space in b"\n "),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it first"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (0, b"Rar!\x1a\7", "a RAR archive", "unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (0, b"\0\x05\x16\x07", "what macOS writes beside a file on other disks (AppleDouble), no image", "leave it out"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, no image", "run git lfs pull first"),
)
"""Offset, bytes there, name, and what to do; the first that fits counts."""
_HTML = "an HTML page, no image"
_TEXTS = (("<!doctype html", _HTML), ("<html", _HTML), ("<head", _HTML), ("<svg", "SVG"), ("<?xml", "XML or SVG"))
LONGEST = 64
"""Bytes at the beginning of a file that are looked at."""


def named(head: bytes) -> tuple[str, str]:
    """Return what a file that is not read is by its first bytes, and what to do; two empty words where that is not known."""
    for offset, magic, name, advice in _KINDS:
        if head.startswith(magic, offset):
            return name, advice
    try:
        text = head[: LONGEST - 4].decode("utf-8-sig").lstrip().lower()
    except UnicodeDecodeError:
        return "", ""
    for beginning, name in _TEXTS:
        if text.startswith(beginning):
            return name, "download the image itself" if "HTML" in name else "render it to PNG first"
    return "", ""
