"""EXIF blocks: orientation, size, resolution and thumbnail; everything else stays as it is, byte for byte."""

import re
import struct
from contextlib import suppress
from io import BytesIO

from pixlate.images.metadata import subject
from pixlate.images.metadata.tags import ASCII, SHORT, SIZES, Directory, Field, Order, changed, first_directory, long, rational, rewritten, short

ORIENTATION, EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY, MAKER_NOTE = 274, 34665, 34853, 40965, 37500
WIDTH, HEIGHT, PIXEL_WIDTH, PIXEL_HEIGHT = 256, 257, 40962, 40963
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 513, 514
_DESCRIPTIVE = (
    {269, 270, 271, 272, ORIENTATION, X_RESOLUTION, Y_RESOLUTION, 285, RESOLUTION_UNIT, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092}
    | {40093, 40094, 40095, 50341}
    | {EXIF_DIRECTORY, GPS_DIRECTORY}
)
"""Tags of a TIFF file's main directory about the picture and not about how this file stores it: EXIF 2.32, table 4, XP and ratings."""
STORAGE = {254, 255, *range(256, 267), 273, *range(277, 282), 284, 290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, *range(322, 331), 332, 333, 334}
STORAGE |= {336, *range(337, 348), 351, 433, 434, 435, *range(512, 522), 529, 530, 531, 532, 559, 700, 33723, 34377, 34675, 37724, 50838, 50839}
"""Tags about how samples are stored, and blocks that are kept in places of their own: TIFF 6.0, its supplements and Photoshop's."""
_KNOWN = (
    ({33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113}, "the geographic reference", "was"),
    ({37724}, "the layers", "were"),
    ({50706}, "the raw development settings (DNG)", "were"),
)
"""Tags of other standards and programs, and what they hold."""
_NAMED = 4
"""Most tags that a note lists."""
_HEADED = (b"Panasonic\0", b"SONY ", b"LEICA\0", b"QVC\0", b"Nikon\0\1")
"""Beginnings of maker's notes with positions counted from the beginning of the file; Canon's and others begin with a directory at once."""
_DESCRIPTION, _SOFTWARE = 270, 305
_SHAPE_ALONE = re.compile(rb'\{"shape": \[[0-9, ]*\]\}')
"""What tifffile writes into every file."""
_NOTHING_ELSE = "shape"
_LAYOUTS = {"Aperio": b"Aperio ", "ScanImage": b"state.", "AstroTIFF": b"SIMPLE ", "streak cameras": b"[Application]", "EPICS": b"EPICS areaDetector"}
"""Program -> the beginning of its description, which readers of microscopy take for the shape of the file's pixels."""
_PROGRAMS = {"ScanImage": b"SI.", "QPI": b"PerkinElmer-QPI", "IndicaLabs": b"IndicaLabsImageWriter", "Vista": b"ISS Vista", "MetaSeries": b"MetaSeries"}
_PROGRAMS |= {"Philips": b"Philips DP", "Pilatus": b"TVX TIFF", "EPICS": b"EPICS areaDetector", "Ventana": b"ScanOutputManager"}
"""Program -> the beginning of its name among the tags, by which readers know its files."""


def bare(exif: bytes) -> bytes:
    """Return an EXIF block without the ``Exif`` mark of JPEG, or nothing where it is no readable block."""
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    try:
        return b"" if first_directory(BytesIO(exif)).big else exif
    except (ValueError, struct.error):
        return b""


def orientation(exif: bytes) -> int | None:
    """Return the orientation, 1 to 8, or None where the block has none."""
    try:
        value = first_directory(BytesIO(exif)).number(ORIENTATION) if exif else 0
    except (ValueError, struct.error):
        return None
    return value if 1 <= value <= 8 else None


def upright(exif: bytes) -> bytes:
    """Set the orientation, where there is one, to 1, move the subject with it, and drop the thumbnail, which shows the picture before it was changed."""
    if not exif:
        return exif
    main, turn = first_directory(BytesIO(exif)), orientation(exif)
    block = bytearray(rewritten(_without_thumbnail(exif, main), main, {ORIENTATION: short(main.order, 1)} if ORIENTATION in main.entries else {}))
    if turn is not None and turn > 1:
        subject.turned(block, turn)
    return bytes(block)


def without_orientation(exif: bytes) -> bytes:
    """Remove the orientation, for containers that keep it elsewhere."""
    if not exif:
        return exif
    main = first_directory(BytesIO(exif))
    return rewritten(bytearray(exif), main, {ORIENTATION: None})


def resized(exif: bytes, width: int, height: int) -> bytes:
    """Set the size, wherever the block has it, to that of the picture written, and scale what is counted in its pixels."""
    if not exif:
        return exif
    block = bytearray(exif)
    subject.scaled(block, width, height)
    main = first_directory(BytesIO(bytes(block)))
    for directory, pair in ((main, (WIDTH, HEIGHT)), (main.directory(EXIF_DIRECTORY), (PIXEL_WIDTH, PIXEL_HEIGHT))):
        if directory is not None:
            entries = directory.entries
            present = [(tag, value) for tag, value in zip(pair, (width, height), strict=True) if tag in entries]
            changed(block, directory, {tag: (short if entries[tag].kind == SHORT and value < 65536 else long)(main.order, value) for tag, value in present})
    return bytes(block)


def without_layout(exif: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Remove descriptions that say to programs of microscopy how the pixels of a file are arranged; return also the programs whose said more than the shape."""
    if not exif:
        return exif, ()
    main, found = first_directory(BytesIO(exif)), dict[int, str]()
    for tag, kind in ((_DESCRIPTION, _layout), (_SOFTWARE, _program)):
        with suppress(ValueError):
            found |= {tag: name} if (name := kind(main.data(tag).rstrip(b"\0 \r\n"))) else {}
    if not found:
        return exif, ()
    block = bytearray(exif)
    offset = changed(block, main, dict.fromkeys(found))
    block[4:8] = struct.pack(main.order + "I", offset)
    return bytes(block), tuple(name for name in dict.fromkeys(found.values()) if name != _NOTHING_ELSE)


def _layout(description: bytes) -> str:
    """Return which program's readers take a description for the shape of the pixels, or nothing."""
    if description.startswith((b"ImageJ=", b"SCIFIO=")):
        return "ImageJ"
    if description.endswith((b"OME>", b"</scn>", b"</MetaData>", b"</DataObject>")) or b"<OME" in description[:4096]:
        return "microscopy (OME and the like)"
    if _SHAPE_ALONE.fullmatch(description):
        return _NOTHING_ELSE
    if description.startswith(b"shape=") or (description.startswith(b"{") and b'"shape":' in description):
        return "tifffile"
    if b"scanimage.SI" in description:
        return "ScanImage"
    return next((name for name, beginning in _LAYOUTS.items() if description.startswith(beginning)), "")


def _program(software: bytes) -> str:
    return next((name for name, beginning in _PROGRAMS.items() if software.startswith(beginning)), "")


def resolution(directory: Directory) -> tuple[float, float] | None:
    """Return the pixels per inch of a main directory, or None."""
    try:
        x, y = directory.numbers(X_RESOLUTION, (0,))[0], directory.numbers(Y_RESOLUTION, (0,))[0]
        factor = {2: 1.0, 3: 2.54}.get(directory.number(RESOLUTION_UNIT, 2), 0.0)
    except (ValueError, struct.error, IndexError):
        return None
    return (x * factor, y * factor) if x * factor > 0 and y * factor > 0 else None


def dpi_of(exif: bytes) -> tuple[float, float] | None:
    """Return the pixels per inch of an EXIF block, or None."""
    return resolution(first_directory(BytesIO(exif))) if exif else None


def resolution_fields(order: Order, dpi: tuple[float, float]) -> dict[int, Field]:
    """Return the three tags of the resolution."""
    return {X_RESOLUTION: rational(order, dpi[0]), Y_RESOLUTION: rational(order, dpi[1]), RESOLUTION_UNIT: short(order, 2)}


def with_resolution(exif: bytes, dpi: tuple[float, float]) -> bytes:
    """Return a block with the resolution; one is made where there is none."""
    exif = exif or empty("<")
    main = first_directory(BytesIO(exif))
    return rewritten(bytearray(exif), main, resolution_fields(main.order, dpi))


def empty(order: Order) -> bytes:
    """Return a block without tags."""
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHI", 8, 0, 0)


def from_tiff(main: Directory) -> bytes:
    """Return the EXIF block that a page of a TIFF file holds in its directories, without what belongs to the storage of its pixels."""
    tags = _DESCRIPTIVE & set(main.entries)
    if not tags - {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}:
        return b""
    block = bytearray(empty(main.order))
    offset = _copied(block, main, tags)
    block[4:8] = struct.pack(main.order + "I", offset)
    return bytes(block)


def lost_from_tiff(main: Directory) -> tuple[str, ...]:
    """Return notes on what a page of a TIFF file holds that :func:`from_tiff` does not take, and a user may miss."""
    notes = tuple(f"{what} of the TIFF file {verb} left out" for tags, what, verb in _KNOWN if not tags.isdisjoint(main.entries))
    known = _DESCRIPTIVE | STORAGE | {tag for tags, _, _ in _KNOWN for tag in tags} | {EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY}
    others = [str(tag) for tag in sorted(set(main.entries) - known)]
    if others:
        listed = ", ".join(others[:_NAMED]) + (" and others" if len(others) > _NAMED else "")
        notes += (f"the TIFF file's tags of other programs were left out ({listed})",)
    inner = main.directory(EXIF_DIRECTORY)
    if inner is not None and sum(map(inner.size, inner.entries)) > main.stream.seek(0, 2):
        notes += ("values of the EXIF directory that together are longer than the file were left out",)
    if inner is not None and MAKER_NOTE in inner.entries and not moves(inner):
        notes += ("the maker's notes of the TIFF file, which hold positions in it, were left out",)
    return notes


def unfit_for_tiff(main: Directory) -> set[int]:
    """Return the tags of a block's main directory that may not be those of a TIFF file: about storage, or without a readable value."""
    unfit = STORAGE & set(main.entries)
    for tag in main.entries:
        try:
            readable = main.field(tag) is not None
        except ValueError:
            readable = False
        unfit |= set() if readable else {tag}
    for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
        unfit |= {tag} if tag in main.entries and main.directory(tag) is None else set()
    return unfit


def moves(inner: Directory) -> bool:
    """Return whether the maker's notes, if any, hold no positions counted from the beginning of the file."""
    try:
        note = inner.data(MAKER_NOTE)
    except ValueError:
        return False
    slots = struct.unpack(inner.order + "H", note[:2])[0] if len(note) > 2 else 0
    lines = [note[start : start + 12] for start in range(2, 2 + 12 * slots, 12)] if 2 + 12 * slots <= len(note) else []
    begins_with_directory = bool(lines) and all(struct.unpack(inner.order + "H", line[2:4])[0] in SIZES for line in lines)
    return not begins_with_directory and not note.startswith(_HEADED)


def _copied(block: bytearray, source: Directory, tags: set[int], inside: tuple[int, ...] = (EXIF_DIRECTORY, GPS_DIRECTORY)) -> int:
    """Copy tags, and the directories that may be inside this one, to the end of a block; return the offset of the new directory.

    Values of a directory together are no longer than the file: those beyond that name the same bytes again, would make much of little, and are left out.
    """
    fields: dict[int, Field | None] = {}
    left = source.stream.seek(0, 2) - len(block)
    for tag in sorted(tags):
        if tag in (EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY):
            inner = source.directory(tag) if tag in inside else None  # never deeper: a damaged directory may point to itself
            if inner is not None:
                below = (INTEROPERABILITY,) if tag == EXIF_DIRECTORY else ()
                fields[tag] = long(source.order, _copied(block, inner, set(inner.entries), below))
            continue
        if tag == MAKER_NOTE and not moves(source):
            continue
        if source.size(tag) > left:
            continue
        left -= source.size(tag)
        with suppress(ValueError):  # a value outside the file is left out; the rest is good
            found = source.field(tag)
            if found is not None and found.kind < 13 and found.length:
                fields[tag] = found if found.kind != ASCII or found.data.endswith(b"\0") else Field(ASCII, found.length + 1, found.data + b"\0")
    return changed(block, Directory(BytesIO(empty(source.order)), source.order, 8), fields)


def _without_thumbnail(exif: bytes, main: Directory) -> bytearray:
    block = bytearray(exif)
    if not main.next:
        return block
    try:
        second = Directory(BytesIO(exif), main.order, main.next)
        start, length = second.number(_THUMBNAIL_OFFSET), second.number(_THUMBNAIL_LENGTH)
    except (ValueError, struct.error):
        return block
    if not 8 <= start <= start + length <= len(block):
        return block
    kept = (main, main.directory(EXIF_DIRECTORY), main.directory(GPS_DIRECTORY))
    if len(block) - start - length < 4 and all(directory is None or _reach(directory) <= start for directory in kept):
        del block[start:]
    else:
        block[start : start + length] = bytes(length)
    return block


def _reach(directory: Directory) -> int:
    """Return the offset at which a directory and its values end."""
    ends = [directory.offset + 2 + 12 * directory.slots + 4]
    for kind, length, data in directory.entries.values():
        size = SIZES.get(kind, 0) * length
        if size > 4:
            ends.append(struct.unpack(directory.order + "I", data)[0] + size)
    return max(ends)
