"""EXIF, ICC profile, XMP and resolution survive as far as each format can hold them."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, PngImagePlugin
from tests.pixlate.images.conftest import FORMATS, LIMIT, everything, exif_block, photograph, profile, saved

from pixlate.images import Metadata, Picture, add_origin, read_picture, write_picture
from pixlate.images.metadata import exif as exif_module
from pixlate.images.metadata.tags import Order

HOLDING = ("jpeg", "png", "webp", "tiff", "avif")
DEPTHS = [(format, dtype) for format in HOLDING for dtype in (np.uint8, np.uint16) if format in ("png", "tiff") or dtype == np.uint8]


def _tags(block: bytes) -> dict[str, object]:
    exif = Image.Exif()
    exif.load(block)
    inner, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    return {"make": exif.get(271), "date": exif.get(306), "time": inner.get(36867), "exposure": inner.get(33434), "note": inner.get(37500), "gps": place.get(2)}


@pytest.mark.parametrize(("format", "dtype"), DEPTHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_all_metadata_comes_back(tmp_path: Path, format: str, dtype: type[np.uint8], channels: int) -> None:
    metadata = everything()
    if channels == 1:
        metadata = Metadata(metadata.exif, b"", metadata.xmp, metadata.dpi)
    assert write_picture(Picture(photograph(dtype, channels), None, metadata), tmp_path / "x", format) == ()
    again = read_picture(tmp_path / "x", max_pixels=LIMIT).metadata
    assert _tags(again.exif) == _tags(metadata.exif)
    assert again.icc == metadata.icc and again.xmp == metadata.xmp
    assert again.dpi == pytest.approx((300, 200), abs=0.02)


@pytest.mark.parametrize(("format", "dtype"), DEPTHS)
def test_pillow_finds_the_metadata_that_was_written(tmp_path: Path, format: str, dtype: type[np.uint8]) -> None:
    write_picture(Picture(photograph(dtype), None, everything()), tmp_path / "x", format)
    with Image.open(tmp_path / "x") as image:
        exif = image.getexif()
        assert exif[271] == "Camera works" and exif.get_ifd(ExifTags.IFD.Exif)[37500] == b"maker's own" * 7
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (52.0, 31.0, 12.5)
        assert image.info["icc_profile"] == profile()
        assert b"algorithmicallyEnhanced" in image.info["xmp"]
        if format in ("jpeg", "png", "tiff"):
            assert image.info["dpi"] == pytest.approx((300, 200), abs=0.02)
        else:
            assert (exif[282], exif[283], exif[296]) == (300, 200, 2)


def test_tifffile_finds_the_metadata_of_a_written_tiff(tmp_path: Path) -> None:
    write_picture(Picture(photograph(np.uint16), None, everything()), tmp_path / "x", "tiff")
    with tifffile.TiffFile(tmp_path / "x") as file:
        tags = file.pages.first.tags
        assert tags[271].value == "Camera works"
        assert tags[34665].value["DateTimeOriginal"] == "2024:02:29 12:00:00"
        assert tags[34675].value == profile() and tags[700].value == everything().xmp
        assert tags[282].value[0] / tags[282].value[1] == 300


def test_makers_notes_stay_at_their_offset_in_jpeg_and_tiff(tmp_path: Path) -> None:
    block = exif_block()
    for format in ("jpeg", "tiff"):
        write_picture(Picture(photograph(), None, Metadata(exif=block)), tmp_path / "x", format)
        data = (tmp_path / "x").read_bytes()
        start = data.index(b"Exif\0\0") + 6 if format == "jpeg" else 0
        assert data.index(b"maker's own", start) - start == block.index(b"maker's own")


@pytest.mark.parametrize("format", HOLDING)
def test_exif_records_the_size_that_was_written(tmp_path: Path, format: str) -> None:
    write_picture(Picture(np.zeros((30, 70, 3), np.uint8), None, Metadata(exif=exif_block(size=(7, 3)))), tmp_path / "x", format)
    exif = Image.Exif()
    exif.load(read_picture(tmp_path / "x", max_pixels=LIMIT).metadata.exif)
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    assert (inner[40962], inner[40963]) == (70, 30)


def test_exif_of_a_big_endian_short_size_grows_to_a_long() -> None:
    exif = Image.Exif()
    exif[256], exif[257] = 7, 3
    block = exif_module.resized(exif.tobytes()[6:], 100_000, 70_000)
    again = Image.Exif()
    again.load(block)
    assert (again[256], again[257]) == (100_000, 70_000)


def test_resolution_is_read_from_exif_where_the_format_has_no_place_for_it(tmp_path: Path) -> None:
    write_picture(Picture(photograph(), None, Metadata(dpi=(96.5, 48))), tmp_path / "x", "webp")
    assert read_picture(tmp_path / "x", max_pixels=LIMIT).metadata.dpi == (96.5, 48.0)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tag_that_needs_room_moves_nothing_else(order: Order) -> None:
    block = exif_block()
    grown = exif_module.with_resolution(block, (300, 300))
    assert grown[8 : len(block)] == block[8:] and _tags(grown) == _tags(block)
    fresh = exif_module.with_resolution(exif_module.empty(order), (299.5, 72))
    assert exif_module.dpi_of(fresh) == (299.5, 72.0)


def test_exif_goes_from_tiff_to_jpeg(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(saved(Image.fromarray(photograph()), "TIFF", exif=b"Exif\0\0" + exif_block(), dpi=(300, 300)))
    picture = read_picture(tmp_path / "x.tif", max_pixels=LIMIT)
    write_picture(picture, tmp_path / "x.jpg", "jpeg")
    again = read_picture(tmp_path / "x.jpg", max_pixels=LIMIT).metadata
    assert _tags(again.exif) == _tags(exif_block()) and again.dpi == (300, 300)
    exif = Image.Exif()
    exif.load(again.exif)
    assert not {256, 257, 258, 259, 273, 279} & set(exif)


def test_gif_holds_xmp_and_notes_the_rest(tmp_path: Path) -> None:
    notes = write_picture(Picture(photograph(), None, everything()), tmp_path / "x.gif", "gif")
    assert notes == ("GIF cannot hold EXIF, the ICC profile and the resolution", "GIF holds 256 colours")
    assert read_picture(tmp_path / "x.gif", max_pixels=LIMIT).metadata == Metadata(xmp=everything().xmp)
    with Image.open(tmp_path / "x.gif") as image:
        image.load()
        assert image.size == (64, 48) and getattr(image, "n_frames", 1) == 1


def test_bmp_holds_the_resolution_and_notes_the_rest(tmp_path: Path) -> None:
    notes = write_picture(Picture(photograph(), None, everything()), tmp_path / "x.bmp", "bmp")
    assert notes == ("BMP cannot hold EXIF, the ICC profile and XMP",)
    assert read_picture(tmp_path / "x.bmp", max_pixels=LIMIT).metadata.dpi == pytest.approx((300, 200), abs=0.02)


def test_blocks_too_long_for_jpeg_are_left_out_and_noted(tmp_path: Path) -> None:
    metadata = Metadata(exif=exif_block(note=b"n" * 70_000), icc=profile(), xmp=b"x" * 65_505)
    notes = write_picture(Picture(photograph(), None, metadata), tmp_path / "x", "jpeg")
    assert len(notes) == 2 and "EXIF" in notes[0] and notes[1] == "the XMP block of 65,505 bytes is too long for JPEG and was left out"
    again = read_picture(tmp_path / "x", max_pixels=LIMIT).metadata
    assert again == Metadata(icc=profile())


def test_the_longest_blocks_that_jpeg_takes_are_kept(tmp_path: Path) -> None:
    room = 65_533 - 6 - len(exif_block(note=b""))
    exif = exif_block(note=b"n" * (room - 8))
    icc = profile() + bytes(200_000)
    write_picture(Picture(photograph(), None, Metadata(exif=exif, icc=icc, xmp=b"x" * 65_504)), tmp_path / "x", "jpeg")
    again = read_picture(tmp_path / "x", max_pixels=LIMIT).metadata
    assert len(exif) > 65_000 and again.exif == exif and again.icc == icc and len(again.xmp) == 65_504


@pytest.mark.parametrize("format", FORMATS)
def test_odd_blocks_do_not_stop_a_picture(tmp_path: Path, format: str) -> None:
    metadata = Metadata(exif=b"no block at all", icc=b"short", xmp=b"\xff\xfe\x00")
    notes = write_picture(Picture(photograph(), None, metadata), tmp_path / "x", format)
    assert any("EXIF" in note for note in notes)
    assert read_picture(tmp_path / "x", max_pixels=LIMIT).pixels.shape == (48, 64, 3)


def test_imagemagicks_exif_in_png_is_read(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    block = b"Exif\0\0" + exif_block(6)
    text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    (tmp_path / "x.png").write_bytes(saved(Image.fromarray(photograph()), "PNG", pnginfo=text))
    picture = read_picture(tmp_path / "x.png", max_pixels=LIMIT)
    assert picture.pixels.shape == (64, 48, 3) and _tags(picture.metadata.exif) == _tags(exif_block())


@pytest.mark.timeout(120)  # a search that goes back at every space takes an hour
@pytest.mark.parametrize("text", [" " * 10**6, "exif" + " " * 10**6, "exif 8 " + " " * 10**6 + "x", "exif " + "1" * 10**6, "exif 8" + " 4" * 500_000 + " x"])
def test_a_profile_of_white_space_is_no_exif_and_costs_no_time(tmp_path: Path, text: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text, zip=True)
    (tmp_path / "x.png").write_bytes(saved(Image.fromarray(photograph()), "PNG", pnginfo=info))
    assert read_picture(tmp_path / "x.png", max_pixels=LIMIT).metadata.exif == b""


def test_xmp_is_carried_from_every_format_to_every_other(tmp_path: Path) -> None:
    packet = add_origin(b"", "trainedAlgorithmicMedia")[0]
    picture = Picture(photograph(), None, Metadata(xmp=packet))
    for first in (*HOLDING, "gif"):
        write_picture(picture, tmp_path / "first", first)
        between = read_picture(tmp_path / "first", max_pixels=LIMIT)
        for second in (*HOLDING, "gif"):
            write_picture(between, tmp_path / "second", second)
            assert read_picture(tmp_path / "second", max_pixels=LIMIT).metadata.xmp == packet, (first, second)


def test_jpeg_keeps_one_exif_segment(tmp_path: Path) -> None:
    write_picture(Picture(photograph(), None, everything()), tmp_path / "x", "jpeg")
    assert BytesIO((tmp_path / "x").read_bytes()).getvalue().count(b"Exif\0\0") == 1


def _subject(block: bytes) -> dict[int, object]:
    exif = Image.Exif()
    exif.load(block)
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    return {tag: inner.get(tag) for tag in (37396, 41492, 41486, 40962, 40963) if tag in inner}


def _with_subject(orientation: int, area: tuple[int, ...], **sizes: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    exif[34665] = {40962: 64, 40963: 48, 37500: b"maker's own" * 7, 37396: area, 41492: (10, 20), 41486: 1000.0} | {
        int(tag): size for tag, size in sizes.items()
    }
    return exif.tobytes()[6:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_subject_stays_where_it_is_in_the_picture(tmp_path: Path, orientation: int) -> None:
    pixels = np.full((48, 64, 3), 20, np.uint8)
    pixels[14:26, 5:15] = 230  # 10 wide and 12 high around (10, 20)
    data = saved(Image.fromarray(pixels), "TIFF", exif=b"Exif\0\0" + _with_subject(orientation, (10, 20, 10, 12)))
    picture = read_picture(data, max_pixels=LIMIT)
    larger = Picture(picture.pixels.repeat(2, 0).repeat(2, 1), None, picture.metadata)
    write_picture(larger, tmp_path / "x.tif", "tiff")
    again = read_picture(tmp_path / "x.tif", max_pixels=LIMIT)
    bright = np.argwhere(again.pixels[:, :, 0] > 128)
    middle, sides = (bright.min(0) + bright.max(0) + 1) / 2, bright.max(0) - bright.min(0) + 1
    found = _subject(again.metadata.exif)
    assert found[37396] == (*middle[::-1], *sides[::-1]) and found[41492] == tuple(middle[::-1])
    assert found[41486] == 2000 and (found[40962], found[40963]) == again.pixels.shape[1::-1]


@pytest.mark.parametrize(("sizes", "kept"), [({}, True), ({"40962": 30}, False), ({"40962": 0}, False)])
def test_a_subject_in_a_picture_of_another_shape_is_dropped(tmp_path: Path, sizes: dict[str, int], kept: bool) -> None:
    write_picture(Picture(photograph(), None, Metadata(_with_subject(1, (10, 20, 5), **sizes))), tmp_path / "x.jpg", "jpeg")
    block = read_picture(tmp_path / "x.jpg", max_pixels=LIMIT).metadata.exif
    assert (37396 in _subject(block)) == (41492 in _subject(block)) == kept
    assert _tags(block)["note"] == b"maker's own" * 7


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_an_exif_block_that_cannot_be_read_is_noted(format: str) -> None:
    stream = BytesIO()
    Image.new("RGB", (16, 16)).save(stream, format, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    picture = read_picture(stream.getvalue().replace(b"MM\0*", b"XX\0*"), max_pixels=LIMIT)
    assert picture.metadata.exif == b"" and "the EXIF block is damaged and was left out" in picture.notes


@pytest.mark.parametrize("frames", [1, 2])
def test_a_damaged_exif_block_of_an_avif_does_not_lose_the_picture(frames: int) -> None:
    image = Image.fromarray(photograph())
    whole = saved(image, "AVIF", exif=b"Exif\0\0" + exif_block(6 if frames == 1 else 1), save_all=frames > 1, append_images=[image.rotate(180)] * (frames - 1))
    damaged = whole.replace(b"II*\0", b"XX*\0").replace(b"MM\0*", b"XX\0*")
    assert damaged != whole
    expected, got = (read_picture(data, max_pixels=LIMIT) for data in (whole, damaged))
    assert np.array_equal(expected.pixels, got.pixels) and expected.metadata.exif
    assert got.metadata.exif == b"" and got.notes == (*expected.notes, "the EXIF block is damaged and was left out")
