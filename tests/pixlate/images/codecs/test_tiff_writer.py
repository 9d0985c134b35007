"""TIFF files are the same in strips of any height, and as BigTIFF, which tifffile reads too."""

import io
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.pixlate.conftest import noise

from pixlate.images import Metadata, Picture, read_picture
from pixlate.images.codecs import png_writer, tiff_writer
from pixlate.images.metadata import exif
from pixlate.images.metadata.tags import Directory, first_directory


def _block() -> bytes:
    """Return an EXIF block with short and long values, EXIF, GPS and interoperability directories, and maker's notes that hold positions."""
    made = Image.Exif()
    made[271], made[272], made[306] = "Camera works", "X1", "2026:01:02 03:04:05"
    made.get_ifd(exif.EXIF_DIRECTORY).update({33434: (1, 250), 36867: "2026:01:02 03:04:05", 41986: 1, 37500: b"Nikon\0\1" + bytes(range(40)), 42036: "50mm"})
    made.get_ifd(exif.GPS_DIRECTORY).update({1: "N", 2: (52.0, 30.0, 1.5)})
    return made.tobytes().removeprefix(b"Exif\0\0")


def _values(directory: Directory | None) -> dict[int, object]:
    assert directory is not None
    tags = {tag: (directory.field(tag), directory.numbers(tag)) for tag in directory.entries if tag not in exif.STORAGE and tag not in (34665, 34853, 40965)}
    return {tag: (field.kind, field.length, field.data) for tag, (field, _) in tags.items() if field is not None}


def test_a_bigtiff_says_of_the_picture_what_a_tiff_says(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Picture(noise(70, 50), noise(70, 50, 1, 1)[:, :, 0], Metadata(_block(), xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", dpi=(300.0, 200.0)))
    small, notes = tiff_writer.encoded(picture, 95)
    monkeypatch.setattr(tiff_writer, "_CLASSIC", 0)
    big, more = tiff_writer.encoded(picture, 95)
    one, other = (first_directory(io.BytesIO(data)) for data in (small, big))
    assert (one.big, other.big) == (False, True)
    assert _values(one) == _values(other)
    for tag in (exif.EXIF_DIRECTORY, exif.GPS_DIRECTORY):
        assert _values(one.directory(tag)) == _values(other.directory(tag))
    assert notes == more == ()
    with tifffile.TiffFile(io.BytesIO(big)) as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.asarray(), picture.samples)
    again = read_picture(big, max_pixels=10**6)
    assert again.metadata == read_picture(small, max_pixels=10**6).metadata
    np.testing.assert_array_equal(again.pixels, picture.pixels)


def test_a_block_without_room_for_the_longer_head_moves_and_loses_only_notes_with_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    block = _block()
    main = first_directory(io.BytesIO(block))
    end = bytearray(block)
    table = block[main.offset : main.offset + 2 + 12 * main.slots + 4]
    end[4:8] = struct.pack(main.order + "I", len(end))
    moved = bytes(end) + table  # the directory behind its values, as cameras write it too
    monkeypatch.setattr(tiff_writer, "_CLASSIC", 0)
    data, notes = tiff_writer.encoded(Picture(noise(9, 8), None, Metadata(moved)), 95)
    found = first_directory(io.BytesIO(data))
    assert notes == ("the maker's notes, which hold positions in a file of less than 4 GB, were left out",)
    inner, before = found.directory(exif.EXIF_DIRECTORY), main.directory(exif.EXIF_DIRECTORY)
    assert _values(inner) == {tag: value for tag, value in _values(before).items() if tag != exif.MAKER_NOTE}
    assert found.data(271) == b"Camera works\0"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 50), st.sampled_from([1, 3]), st.booleans(), st.booleans(), st.integers(1, 5000))
def test_pieces_of_any_height_give_the_picture(heights: list[int], width: int, channels: int, clear: bool, deep: bool, strip: int) -> None:
    kind = np.uint16 if deep else np.uint8
    pixels = noise(sum(heights), width, channels, 0, kind)
    picture = Picture(pixels, noise(len(pixels), width, 1, 1, kind)[:, :, 0] if clear else None)
    pieces = np.split(picture.samples, np.cumsum(heights)[:-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiff_writer, "_STRIP_BYTES", strip)
        for writer in (tiff_writer, png_writer):
            stream = io.BytesIO()
            writer.write_rows(picture, 95, pieces, stream)
            again = read_picture(stream.getvalue(), max_pixels=10**6)
            np.testing.assert_array_equal(again.samples, picture.samples)
            whole, _ = writer.encoded(picture, 95)
            np.testing.assert_array_equal(read_picture(whole, max_pixels=10**6).samples, picture.samples)
    assert len(pieces) == len(heights)
