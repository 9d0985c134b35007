"""TIFF files are written here, strip by strip, deflate-compressed with differences between neighbours, of 8 and 16 bits and floating point.

EXIF, ICC profile, XMP, IPTC and resolution go into the tags. The EXIF block is the beginning of the file and its tags are those of the file, so that every
offset in it stays right; the strips come behind it, and the directory behind them. What might not stay below 4 GiB becomes BigTIFF, of which the
directories are wider.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

import imagecodecs
import numpy as np

from pixlate.images.codecs import segments
from pixlate.images.codecs.encode import Encoded, deflated
from pixlate.images.codecs.segments import Tag
from pixlate.images.metadata import exif
from pixlate.images.metadata.tags import ICC, IPTC, LONG, LONG8, SIZES, UNDEFINED, XMP, Directory, Field, Order, first_directory, long, short
from pixlate.images.picture import Metadata, Picture, Pixels
from pixlate.plugin.image_format import Frame, FrameTarget
from pixlate.system.locking import sync

_STRIP_BYTES = 1 << 18
_CLASSIC = 4_000_000_000
"""Most bytes of samples and metadata of a file whose offsets have 32 bits; deflate makes random samples a little longer."""
_HEAD, _BIG_HEAD = 8, 16
"""Bytes before the first directory, or the first value."""
_MOVED = "the maker's notes, which hold positions in a file of less than 4 GB, were left out"
_MOVED_PAGE = "the maker's notes of pages behind the first, which hold positions in the file, were left out"


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return a TIFF file."""
    stream = BytesIO()
    notes = write_rows(picture, quality, [picture.samples], stream)
    return stream.getvalue(), notes


def write_rows(picture: Picture, quality: int, rows: Iterable[Pixels], stream: BinaryIO) -> tuple[str, ...]:
    """Write a TIFF file; see :class:`pixlate.plugin.image_format.ImageFormat`."""
    height, width, channels = picture.pixels.shape
    count, kind, metadata = channels + (picture.alpha is not None), picture.pixels.dtype, picture.metadata
    block = metadata.exif or exif.empty("<")
    main = first_directory(BytesIO(block))
    writer = _Writer(stream, main, block, big=height * width * count * kind.itemsize + _bytes_of(metadata) > _CLASSIC)
    writer.page(main, _written(writer, main.order, picture, rows))
    return writer.notes


class Pages:
    """Writes the pages of one file, each with its own metadata; see :class:`pixlate.plugin.image_format.FrameWriter`."""

    done = 0

    def __init__(self, target: FrameTarget) -> None:
        self._stream = target.path.open("w+b")
        self._writer: _Writer | None = None
        self._order: Order = "<"
        self._notes: dict[str, None] = {}

    def add(self, frame: Frame) -> None:
        """Write the next page."""
        picture = frame.picture
        block = picture.metadata.exif or exif.empty(self._order)
        main = first_directory(BytesIO(block))
        if self._writer is None:
            self._order = main.order
            big = max(1, frame.count) * (picture.nbytes + _bytes_of(picture.metadata)) > _CLASSIC
            self._writer = _Writer(self._stream, main, block, big)
            self._writer.page(main, _written(self._writer, self._order, picture, [picture.samples]))
            return
        if main.order != self._order:
            self._notes["EXIF of pages in another byte order than the first was left out"] = None
            main = first_directory(BytesIO(exif.empty(self._order)))
        self._writer.page(main, _written(self._writer, self._order, picture, [picture.samples]), elsewhere=True)

    def finish(self) -> tuple[str, ...]:
        """Complete the file."""
        assert self._writer is not None
        self._stream.flush()
        sync(self._stream.fileno())
        self._stream.close()
        return tuple(self._notes | dict.fromkeys(self._writer.notes))

    def abandon(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._stream.close()


def _bytes_of(metadata: Metadata) -> int:
    return sum(map(len, (metadata.exif, metadata.icc, metadata.xmp, metadata.iptc)))


def _written(writer: "_Writer", order: Order, picture: Picture, rows: Iterable[Pixels]) -> dict[int, Field | None]:
    """Write the strips of a picture, whose arrays say only shape and type, and return the tags of its directory."""
    height, width, channels = picture.pixels.shape
    count, kind = channels + (picture.alpha is not None), picture.pixels.dtype
    row, big, floating = width * count * kind.itemsize, writer.big, kind.kind == "f"
    in_strip = max(1, min(height, _STRIP_BYTES // row))
    offsets, lengths = [], []
    for strip in _regrouped(rows, in_strip):
        packed = deflated(_of_floats(strip) if floating else imagecodecs.delta_encode(strip, axis=1).astype(kind.newbyteorder(order)).tobytes())
        offsets.append(writer.append(packed))
        lengths.append(len(packed))
    # an opacity, or channels of no stated meaning
    extra = [2] if picture.alpha is not None else [0] * (channels - 1) if channels not in (1, 3) else []
    fields: dict[int, Field | None] = {
        Tag.WIDTH: long(order, width),
        Tag.HEIGHT: long(order, height),
        Tag.BITS: short(order, *[8 * kind.itemsize] * count),
        Tag.COMPRESSION: short(order, segments.DEFLATE),
        Tag.PHOTOMETRIC: short(order, 2 if channels == 3 else 1),
        Tag.STRIP_OFFSETS: Field(LONG8, len(offsets), struct.pack(f"{order}{len(offsets)}Q", *offsets)) if big else long(order, *offsets),
        Tag.SAMPLES: short(order, count),
        Tag.ROWS: long(order, in_strip),
        Tag.STRIP_COUNTS: long(order, *lengths),
        Tag.PLANAR: short(order, 1),
        Tag.PREDICTOR: short(order, segments.FLOATING_DIFFERENCES if floating else segments.DIFFERENCES),
        Tag.EXTRA: short(order, *extra) if extra else None,
        Tag.SAMPLE_FORMAT: short(order, *[segments.FLOATING if floating else 1] * count),
    }
    return fields | _described(order, picture.metadata)


def _of_floats(strip: Pixels) -> bytes:
    """Return rows of floating point samples as bytes by their place, most significant first, as differences (Adobe Photoshop TIFF Technical Note 3)."""
    height, width, count = strip.shape
    places = strip.astype(">f4").view(np.uint8).reshape(height, width * count, 4).transpose(0, 2, 1).reshape(height, -1, count)
    differences = places.copy()
    differences[:, 1:] -= places[:, :-1]
    return differences.tobytes()


def _described(order: Order, metadata: Metadata) -> dict[int, Field]:
    """Return the tags of metadata other than EXIF."""
    fields = {}
    if metadata.icc:
        fields[ICC] = Field(UNDEFINED, len(metadata.icc), metadata.icc)
    if metadata.xmp:
        fields[XMP] = Field(1, len(metadata.xmp), metadata.xmp)
    if metadata.iptc:
        fields[IPTC] = Field(UNDEFINED, len(metadata.iptc), metadata.iptc)
    return fields | (exif.resolution_fields(order, metadata.dpi) if metadata.dpi is not None else {})


def _regrouped(rows: Iterable[Pixels], count: int) -> Iterator[Pixels]:
    """Yield so many rows at once, of the last perhaps fewer."""
    left: Pixels | None = None
    for piece in rows:
        start = 0
        if left is not None:
            start = min(count - len(left), len(piece))
            left = np.concatenate([left, piece[:start]])
            if len(left) < count:
                continue
            yield left
        whole = start + (len(piece) - start) // count * count
        for top in range(start, whole, count):
            yield piece[top : top + count]
        left = piece[whole:].copy() if whole < len(piece) else None  # a view would keep all of the piece
    if left is not None:
        yield left


class _Writer:
    """Puts an EXIF block, and then for each page what is appended, and its directories, into a stream.

    In BigTIFF the first directory of the block gives the longer head its room; where something else is there, the block begins after it, and what holds
    positions in the file goes.
    """

    def __init__(self, stream: BinaryIO, main: Directory, block: bytes, big: bool) -> None:
        self._stream, self.big = stream, big
        self._link = 8 if big else 4
        """Where the offset of the next main directory belongs."""
        self._shift = _BIG_HEAD - _HEAD if big and (main.offset != _HEAD or not main.slots) else 0
        self.notes: tuple[str, ...] = ()
        head = struct.pack(f"{main.order}HHHQ", 43, 8, 0, 0) if big else block[2:_HEAD]
        stream.write(block[:2] + head + block[(_BIG_HEAD if big else _HEAD) - self._shift :])
        self._position = len(block) + self._shift
        self._line, self._number = (f"{main.order}HHQ8s", f"{main.order}Q") if big else (f"{main.order}HHI4s", f"{main.order}I")

    def append(self, data: bytes) -> int:
        """Put data at an even offset, which is returned."""
        odd = self._position % 2
        if not self.big and self._position + odd + len(data) >= 1 << 32:
            raise ValueError("its pages, larger than the first, are more than the 4 GB that the file was begun for")
        self._stream.write(b"\0" * odd + data)
        offset = self._position + odd
        self._position = offset + len(data)
        return offset

    def page(self, main: Directory, fields: Mapping[int, Field | None], elsewhere: bool = False) -> None:
        """Write the directories of a page, with fields in the main one; ``elsewhere``: of an EXIF block that is not the beginning of the file."""
        unfit = dict.fromkeys(exif.unfit_for_tiff(main))
        offset = self._directory(main, {**unfit, **fields}, (exif.EXIF_DIRECTORY, exif.GPS_DIRECTORY), elsewhere)
        self._stream.seek(self._link)
        self._stream.write(struct.pack(self._number, offset))
        self._stream.seek(self._position)
        self._link = self._position - struct.calcsize(self._number)  # the end of the directory, which came last

    def _directory(self, directory: Directory, fields: Mapping[int, Field | None], inner: tuple[int, ...] = (), elsewhere: bool = False) -> int:
        """Append a directory with fields changed, or removed (None), and those ``inner`` ones that it points to where they are not there; return its offset."""
        changes = dict(fields)
        if self.big or elsewhere:
            for tag in (exif.EXIF_DIRECTORY, exif.GPS_DIRECTORY, exif.INTEROPERABILITY):
                below = directory.directory(tag) if tag in inner and tag not in changes else None
                if below is not None:
                    further = (exif.INTEROPERABILITY,) if tag == exif.EXIF_DIRECTORY else ()
                    offset = self._directory(below, self._unmoved(below, elsewhere), further, elsewhere)
                    changes[tag] = Field(LONG8 if self.big else LONG, 1, struct.pack(self._number, offset))
                else:
                    changes.setdefault(tag, None)
        lines = {tag: line for tag in directory.entries.keys() - changes.keys() if (line := self._kept(directory, tag, elsewhere)) is not None}
        lines |= {tag: self._placed(field) for tag, field in changes.items() if field is not None}
        count = struct.pack(self._number if self.big else f"{directory.order}H", len(lines))
        table = b"".join(struct.pack(self._line, tag, *lines[tag]) for tag in sorted(lines))
        return self.append(count + table + struct.pack(self._number, 0))

    def _unmoved(self, directory: Directory, elsewhere: bool) -> dict[int, Field | None]:
        """Return the tags to remove from a directory: maker's notes with positions, where the block has moved."""
        if not (self._shift or elsewhere) or exif.MAKER_NOTE not in directory.entries or exif.moves(directory):
            return {}
        self.notes = (_MOVED_PAGE if elsewhere else _MOVED,)
        return {exif.MAKER_NOTE: None}

    def _placed(self, field: Field) -> Field:
        """Return a field as a line has it, its value appended where it is long."""
        room = 8 if self.big else 4
        return field._replace(data=field.data.ljust(room, b"\0") if len(field.data) <= room else struct.pack(self._number, self.append(field.data)))

    def _kept(self, directory: Directory, tag: int, elsewhere: bool) -> Field | None:
        """Return a line of the block as it is or, in BigTIFF, wider; None where its value is outside the block. Of a block elsewhere the value is appended."""
        entry = directory.entries[tag]
        if elsewhere:
            with suppress(ValueError):
                return None if (found := directory.field(tag)) is None else self._placed(found)
            return None
        if not self.big:
            return entry
        size = SIZES.get(entry.kind, 0) * entry.length
        if size > 8:
            return entry._replace(data=struct.pack(self._number, struct.unpack(f"{directory.order}I", entry.data)[0] + self._shift))
        with suppress(ValueError):
            found = directory.field(tag)
            return None if found is None else found._replace(data=found.data.ljust(8, b"\0"))
        return None
