"""IPTC, comments and texts survive where a format can hold them, and a note names what is lost."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, IptcImagePlugin, PngImagePlugin
from tests.pixlate.images.conftest import FORMATS, LIMIT, exif_block, photograph, profile, saved

from pixlate.images import Metadata, Picture, read_picture, write_picture
from pixlate.images.formats import BUILT_IN, named
from pixlate.images.metadata import iptc


def dataset(number: int, text: bytes, record: int = 2) -> bytes:
    return b"\x1c" + bytes((record, number)) + struct.pack(">H", len(text)) + text


CAPTIONS = dataset(90, b"\x1b%G", 1) + dataset(25, b"harbour") + dataset(25, b"winter") + dataset(120, "Eis im Hafen é".encode())
TEXT = (("parameters", "a harbour\nSteps: 20"), ("Author", "Zoë"), ("workflow", '{"node": "日本"}'), ("Author", "another"))


def segment(mark: int, body: bytes) -> bytes:
    return bytes((0xFF, mark)) + struct.pack(">H", len(body) + 2) + body


def jpeg(*segments: bytes) -> bytes:
    data = saved(Image.fromarray(photograph()), "JPEG", quality=90)
    return data[:2] + b"".join(segments) + data[2:]


def resource(number: int, value: bytes) -> bytes:
    return b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(value)) + value + b"\0" * (len(value) % 2)


def written(path: Path, format: str, metadata: Metadata) -> tuple[Metadata, tuple[str, ...]]:
    notes = write_picture(Picture(photograph(), None, metadata), path, format)
    return read_picture(path, max_pixels=LIMIT).metadata, notes


def test_iptc_goes_from_jpeg_to_jpeg_and_other_readers_find_it(tmp_path: Path) -> None:
    both = iptc.PHOTOSHOP + resource(0x0404, CAPTIONS) + resource(0x03ED, bytes(16))
    picture = read_picture(jpeg(segment(0xED, both)), max_pixels=LIMIT)
    assert picture.metadata.iptc == CAPTIONS and picture.notes == ()
    assert write_picture(picture, tmp_path / "x.jpg", "jpeg") == ()
    with Image.open(tmp_path / "x.jpg") as image:
        found = IptcImagePlugin.getiptcinfo(image)
    assert found is not None and found[(2, 25)] == [b"harbour", b"winter"]


def test_iptc_in_several_segments_is_one_block(tmp_path: Path) -> None:
    long = CAPTIONS + b"".join(dataset(25, b"k" * 3000) for _ in range(50))
    assert written(tmp_path / "x.jpg", "jpeg", Metadata(iptc=long)) == (Metadata(iptc=long), ())
    assert (tmp_path / "x.jpg").read_bytes().count(iptc.PHOTOSHOP) == 3


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_iptc_survives_in_formats_that_hold_it(tmp_path: Path, format: str) -> None:
    assert written(tmp_path / "x", format, Metadata(iptc=CAPTIONS)) == (Metadata(iptc=CAPTIONS), ())


def test_tifffile_finds_iptc_in_a_tiff(tmp_path: Path) -> None:
    written(tmp_path / "x.tif", "tiff", Metadata(exif_block(), iptc=CAPTIONS))
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        assert bytes(file.pages.first.tags[33723].value) == CAPTIONS


def test_paths_of_photoshop_are_noted() -> None:
    picture = read_picture(jpeg(segment(0xED, iptc.PHOTOSHOP + resource(2000, bytes(52)) + resource(0x0404, CAPTIONS))), max_pixels=LIMIT)
    assert picture.metadata.iptc == CAPTIONS
    assert picture.notes == ("what Photoshop keeps beside IPTC, such as paths, was left out",)


@pytest.mark.parametrize("broken", [b"", b"8BIM", b"8BIM\4\4", b"8BIM\4\4\0\0\xff\xff\xff\xff", b"8BIM\4\4\xff", b"\x1c\2\x19\xff\xffx", b"nonsense" * 99])
def test_broken_resources_hold_no_iptc(broken: bytes) -> None:
    assert read_picture(jpeg(segment(0xED, iptc.PHOTOSHOP + broken)), max_pixels=LIMIT).metadata.iptc == b""


@pytest.mark.parametrize("broken", [b"\x1c", b"\x1c\2\x19\0\5abc", b"\x1c\2\x19\x80\x04\xff\xff\xff\xff", b"\x1c\2\x19\xff\xff" + bytes(40), bytes(9)])
def test_datasets_end_at_the_first_that_is_not_whole(broken: bytes) -> None:
    extended = b"\x1c\2\x78\x80\x04\0\0\0\5hello"
    assert iptc.datasets(CAPTIONS + extended + broken) == CAPTIONS + extended


def test_sizes_and_previews_in_iptc_are_left_out() -> None:
    assert iptc.datasets(dataset(20, b"\0\x40", 3) + CAPTIONS + dataset(202, b"a small JPEG")) == CAPTIONS


def test_comments_of_jpeg_survive_in_their_order(tmp_path: Path) -> None:
    source = jpeg(segment(0xFE, b"Scanned from slide 17"), segment(0xFE, "Größe".encode()), segment(0xFE, b"caf\xe9\0"))
    picture = read_picture(source, max_pixels=LIMIT)
    assert picture.metadata.comments == ("Scanned from slide 17", "Größe", "café")
    for format in ("jpeg", "png"):
        assert write_picture(picture, tmp_path / "x", format) == ()
        assert read_picture(tmp_path / "x", max_pixels=LIMIT).metadata.comments == picture.metadata.comments
    with Image.open(tmp_path / "x") as image:
        assert image.info["Comment"] == "café"


def test_a_comment_longer_than_a_segment_is_whole_in_parts(tmp_path: Path) -> None:
    text = "".join(map(chr, np.random.default_rng(0).integers(65, 91, 100_000)))
    metadata, _ = written(tmp_path / "x", "jpeg", Metadata(comments=(text,)))
    assert "".join(metadata.comments) == text


def test_comments_of_gif_survive(tmp_path: Path) -> None:
    source = saved(Image.fromarray(photograph()).quantize(8), "GIF", comment=b"drawn by hand")
    picture = read_picture(source, max_pixels=LIMIT)
    assert picture.metadata.comments == ("drawn by hand",)
    write_picture(picture, tmp_path / "x.gif", "gif")
    assert read_picture(tmp_path / "x.gif", max_pixels=LIMIT).metadata.comments == ("drawn by hand",)
    with Image.open(tmp_path / "x.gif") as image:
        assert image.info["comment"] == b"drawn by hand"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_texts_of_png_survive_and_pillow_finds_them(tmp_path: Path, dtype: type[np.uint8]) -> None:
    metadata = Metadata(comments=("plain",), text=(*TEXT, ("long", "x" * 5000)))
    write_picture(Picture(photograph(dtype), None, metadata), tmp_path / "x.png", "png")
    assert read_picture(tmp_path / "x.png", max_pixels=LIMIT).metadata == metadata
    with Image.open(tmp_path / "x.png") as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.text["workflow"] == '{"node": "日本"}' and image.text["Author"] == "another"


def test_texts_of_all_three_chunks_are_read_also_behind_the_pixels() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    data = saved(Image.fromarray(photograph()), "PNG")
    front = chunk(b"tEXt", b"One\0\xe9") + chunk(b"zTXt", b"Two\0\0" + zlib.compress(b"packed"))
    end = chunk(b"iTXt", b"Three\0\1\0de\0Drei\0" + zlib.compress("日本".encode()))
    picture = read_picture(data[:33] + front + data[33:-12] + end + data[-12:], max_pixels=LIMIT)
    assert picture.metadata.text == (("One", "é"), ("Two", "packed"), ("Three", "日本"))


def test_blocks_that_imagemagick_writes_as_text_are_no_texts(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    for name, block in (("exif", exif_block()), ("iptc", resource(0x0404, CAPTIONS)), ("xmp", b"<x/>")):
        info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(block):8}\n{block.hex()}\n", zip=True)
    metadata = read_picture(saved(Image.fromarray(photograph()), "PNG", pnginfo=info), max_pixels=LIMIT).metadata
    assert (metadata.iptc, metadata.xmp, metadata.text) == (CAPTIONS, b"<x/>", ()) and metadata.exif


def test_other_blocks_that_imagemagick_writes_as_text_are_found_or_stay_texts() -> None:
    info = PngImagePlugin.PngInfo()
    for name, block in (("APP1", b"http://ns.adobe.com/xap/1.0/\0<x/>"), ("icc", profile()), ("mine", b"own")):
        info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(block):8}\n{block.hex()}\n", zip=True)
    info.add_text("icc", "a text of that name")
    metadata = read_picture(saved(Image.fromarray(photograph()), "PNG", pnginfo=info), max_pixels=LIMIT).metadata
    assert (metadata.xmp, metadata.icc) == (b"<x/>", profile())
    assert [keyword for keyword, _ in metadata.text] == ["Raw profile type mine", "icc"]


def test_sizes_written_as_text_are_those_of_the_picture(tmp_path: Path) -> None:
    metadata, _ = written(tmp_path / "x.png", "png", Metadata(text=(("exif:PixelXDimension", "7"), ("exif:ExifImageLength", "7"), ("Size", "7"))))
    assert metadata.text == (("exif:PixelXDimension", "64"), ("exif:ExifImageLength", "48"), ("Size", "7"))


@pytest.mark.parametrize("format", FORMATS)
def test_one_note_names_what_is_lost(tmp_path: Path, format: str) -> None:
    kept = named(BUILT_IN)[format].metadata
    notes = write_picture(Picture(np.zeros((8, 8, 1), np.uint8), None, Metadata(iptc=CAPTIONS, comments=("plain",), text=TEXT)), tmp_path / "x", format)
    lost = [words for name, words in (("iptc", "IPTC"), ("comments", "the comment"), ("text", "the text (parameters, Author, workflow)")) if name not in kept]
    expected = ", ".join(lost[:-1]) + (" and " if len(lost) > 1 else "") + lost[-1] if lost else ""
    assert notes == ((f"{named(BUILT_IN)[format].title} cannot hold {expected}",) if lost else ())


@pytest.mark.parametrize(
    ("extra", "note"),
    [
        (segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(60)), "the gain map was left out"),
        (segment(0xEB, b"JP\0\1\0\0\0\1" + bytes(8) + b"jumbc2pa"), "the content credentials (C2PA), which are for the file as it was, were left out"),
        (segment(0xE1, b"FLIR\0\1") + segment(0xE4, b"thermal"), "segments of other programs were left out (APP1, APP4)"),
    ],
)
def test_segments_that_cannot_survive_are_noted(extra: bytes, note: str) -> None:
    assert read_picture(jpeg(extra), max_pixels=LIMIT).notes == (note,)


def test_the_video_behind_a_jpeg_is_noted() -> None:
    assert read_picture(jpeg() + b"MotionPhoto_Data" + bytes(100), max_pixels=LIMIT).notes == ("the video of the motion photo was left out",)


def test_xmp_of_too_many_tags_in_a_text_is_left_out() -> None:
    block = b"<a/>" * 300_000
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type xmp", f"\nxmp\n{len(block):8}\n{block.hex()}\n", zip=True)
    picture = read_picture(saved(Image.fromarray(photograph()), "PNG", pnginfo=info), max_pixels=LIMIT)
    assert picture.metadata.xmp == b"" and "tags and was left out" in picture.notes[0]
