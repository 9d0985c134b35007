"""Whatever the bytes: a picture or one sentence, within bounds of time and memory, also for files that are made to cost much."""

import zlib
from io import BytesIO
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.images import hostile
from tests.pixlate.images.conftest import LIMIT, guard

from pixlate.errors import PixlateError
from pixlate.images import ImageFile, add_origin, limits, read_picture

SECONDS, BYTES = 10, 600_000_000
SENTENCES = {
    "empty_chunks.png": "at most 10,000 chunks",
    "empty_pixels.png": "at most 10,000 chunks",
    "empty_scans.jpg": "at most 100 scans",
    "empty_segments.jpg": "at most 10,000 segments",
    "segments_between.jpg": "at most 10,000 segments",
    "more_frames.gif": "at most 100,000 frames",
    "extensions.gif": "at most 10,000 extensions",
    "grown.gif": "at most 25 million pixels, got 65500 x 65500",
    "canvas.webp": "at most 25 million pixels, got 16384 x 16384",
    "chunks.webp": "10,000 other chunks",
    "runs.bmp": "more runs than pixels",
}
"""What files come to that are refused; all others are read."""


def test_costly_files_end_in_a_picture_or_a_sentence_within_bounds(tmp_path: Path) -> None:
    files = hostile.costly()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    found = {Path(line["name"]).name: line for line in guard("files", *(tmp_path / name for name in files))}
    assert set(found) == set(files)
    for name, line in found.items():
        assert "killed" not in line, line
        assert line["seconds"] < SECONDS and line["peak"] < BYTES, line
        assert SENTENCES.get(name, "(") in line["answer"] and not line["answer"].startswith("bug"), line


def _notes(data: bytes) -> tuple[str, ...]:
    picture = read_picture(data, max_pixels=LIMIT)
    assert picture.pixels.shape == (8, 8, 3) and np.abs(picture.pixels.astype(int) - (64, 128, 192)).max() <= 3
    return picture.notes


@pytest.mark.parametrize("name", ["xmp_elements.png", "xmp_bomb.png", "text_bomb.png", "profile_bomb.png", "metadata.jpg"])
def test_metadata_beyond_the_limits_are_left_out_with_a_note_and_the_picture_is_read(name: str) -> None:
    assert any(("left out" in note and "MB" in note) or f"{limits.XML_TAGS:,} tags" in note for note in _notes(hostile.costly()[name]))


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_a_long_list_of_ancestors_does_not_cost_the_rest_of_xmp(codec: str) -> None:
    ancestors = b"<photoshop:DocumentAncestors><rdf:Bag>" + b"<rdf:li>xmp.did:0</rdf:li>" * 60_000 + b"</rdf:Bag></photoshop:DocumentAncestors>"
    packet = hostile.xmp(1).replace(b"<a/>", b"<a/>" + ancestors).replace(b"<rdf:RDF ", b'<rdf:RDF xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" ')
    picture = read_picture(hostile.saved("TIFF", tiffinfo={700: packet.decode().encode(codec)}), max_pixels=LIMIT)
    assert picture.metadata.xmp.strip(b"\xef\xbb\xbf") == packet.replace(ancestors, b"")
    assert any("DocumentAncestors" in note for note in picture.notes)


def test_metadata_within_the_limits_are_kept_whole() -> None:
    packet = hostile.xmp(80_000)
    text = b'{"node": 1}' * 200_000
    data = hostile.png(
        hostile.chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet)),
        hostile.chunk(b"zTXt", b"workflow\0\0" + zlib.compress(text)),
    )
    assert _notes(data) == ()
    assert read_picture(data, max_pixels=LIMIT).metadata.xmp == packet


def test_a_profile_beyond_pillows_own_limit_is_kept() -> None:
    with Image.open(BytesIO(hostile.saved("PNG"))) as image:
        profile = b"\0\0\0\0abcd\4\0\0\0mntrRGB XYZ " + bytes(1_300_000)
        stream = BytesIO()
        image.save(stream, "PNG", icc_profile=profile)
    assert read_picture(stream.getvalue(), max_pixels=LIMIT).metadata.icc == profile


def test_damaged_chunks_of_a_thousand_names_give_a_few_printable_notes() -> None:
    names = [b"a\n%c%c" % (65 + index // 26, 65 + index % 26) for index in range(600)]
    notes = _notes(hostile.png(*(hostile.chunk(name, b"x")[:-1] + b"\0" for name in names)))
    assert 0 < len(notes) < 20 and all(note.isprintable() for note in notes)


def test_more_scans_are_allowed_the_smaller_the_picture() -> None:
    assert read_picture(hostile.empty_scans(64, 64, limits.MOST_SCANS - 1), max_pixels=LIMIT).pixels.shape == (64, 64, 1)
    with pytest.raises(PixlateError, match=r"at most 100 scans .* of 64 x 64"):
        read_picture(hostile.empty_scans(64, 64, limits.MOST_SCANS), max_pixels=LIMIT)
    with pytest.raises(PixlateError, match=r"at most 20 scans .* of 6000 x 5000"):
        read_picture(hostile.empty_scans(6000, 5000, limits.SCANS), max_pixels=LIMIT)


def test_scans_of_a_thumbnail_and_of_further_pictures_do_not_count() -> None:
    data = hostile.saved("JPEG")
    inside = hostile.segment(0xE5, b"\xff\xda\0\2" * 500)
    assert not any("scans" in note for note in _notes(data[:2] + inside + data[2:] + data * 200))


def test_frames_are_counted_without_being_decoded() -> None:
    with ImageFile(hostile.gif(8, 8, [(0, 0, 1, 1)] * 90_000), max_pixels=LIMIT) as file:
        assert file.read().notes == ("first of 90000 frames",)


def test_the_number_of_frames_is_that_of_the_frames_that_are_there() -> None:
    assert _notes(hostile.costly()["frames.png"]) == ()


def test_a_frame_beyond_the_canvas_makes_it_larger_and_counts_before_it_is_decoded() -> None:
    data = hostile.gif(8, 8, [(0, 0, 1, 1), (20, 10, 1, 1), (60_000, 60_000, 1, 1)])
    with ImageFile(data, max_pixels=10**6) as file:
        frames = file.frames()
        assert next(frames).picture.pixels.shape[:2] == (8, 8)
        assert next(frames).picture.pixels.shape[:2] == (11, 21)
        with pytest.raises(PixlateError, match="60001 x 60001"):
            next(frames)


def test_an_xmp_packet_nested_beyond_reason_is_replaced_in_linear_time() -> None:
    deep = b"".join(b'<a xmlns:n%d="u">' % number for number in range(50_000)) + b"</a>" * 50_000  # a minute with minidom
    packet = hostile.xmp(0).replace(b"</rdf:Description>", deep + b"</rdf:Description>")
    began = process_time()
    added, note = add_origin(packet, "algorithmicallyEnhanced")
    assert process_time() - began < SECONDS
    assert note == "the XMP packet could not be read and was replaced" and b"algorithmicallyEnhanced" in added
    shallow = hostile.xmp(0).replace(b"</rdf:Description>", b"<a>" * 90 + b"</a>" * 90 + b"</rdf:Description>")
    assert add_origin(shallow, "algorithmicallyEnhanced")[1] == ""


def test_an_extension_for_each_frame_does_not_count() -> None:
    control = b"\x21\xf9\x04\0\0\0\0\0"
    data = hostile.gif(8, 8, [(0, 0, 1, 1)])
    frame = data[data.index(b",") : -1]
    many = data.replace(frame, (control + frame) * (limits.SEGMENTS + 10))
    with ImageFile(many, max_pixels=LIMIT) as file:
        assert next(file.frames()).count == limits.SEGMENTS + 10
