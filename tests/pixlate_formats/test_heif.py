"""HEIC files, made by libheif."""

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from tests.pixlate.images.conftest import everything, exif_block, photograph, profile, samples
from tests.pixlate_formats.conftest import FORMATS, decibels, read, written

from pixlate.errors import OverLimit, PixlateError
from pixlate.images import ImageFile, Metadata, Picture
from pixlate.images.metadata import exif
from pixlate.images.picture import Pixels, turned
from pixlate.images.signalled import Signal
from pixlate_formats import heif

LOSSLESS: dict[str, Any] = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}


def made(pixels: Pixels, mode: str, info: dict[str, Any] | None = None, **how: Any) -> bytes:
    """Return a file that libheif writes without loss."""
    file: Any = pillow_heif.from_bytes(mode, pixels.shape[1::-1], pixels.tobytes())
    file[0].info |= info or {}
    stream = BytesIO()
    file.save(stream, **(LOSSLESS | how))
    return stream.getvalue()


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_8_bits_are_read_exactly(mode: str, channels: int) -> None:
    pixels = photograph(channels=channels)
    picture = read(made(pixels, mode))
    assert picture.pixels.dtype == np.uint8 and np.array_equal(picture.pixels, pixels) and not picture.notes


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize(("mode", "channels"), [("I", 1), ("RGB", 3)])
def test_10_and_12_bits_are_spread_over_16(mode: str, channels: int, bits: int) -> None:
    full = (1 << bits) - 1
    stored = (photograph(np.uint16, channels).astype(np.uint32) * full // 65535).astype(np.uint16)
    picture = read(made(stored, f"{mode};{bits}"))
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(picture.pixels, np.rint(stored * (65535 / full)).astype(np.uint16))


def test_opacity_is_read_and_where_it_is_premultiplied_divided_out() -> None:
    both = samples(48, 64, 4)
    picture = read(made(both, "RGBA"))
    assert picture.alpha is not None and np.array_equal(picture.samples, both)
    pixels, alpha = photograph(), np.full((48, 64, 1), 128, np.uint8)
    premultiplied = np.concatenate([np.rint(pixels * (128 / 255)).astype(np.uint8), alpha], 2)
    found = read(made(premultiplied, "RGBa"))
    assert found.alpha is not None and (found.alpha == 128).all()
    assert np.abs(found.pixels.astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_rotation_of_the_file_is_applied_once_whatever_exif_says(orientation: int) -> None:
    pixels = photograph()
    data = made(pixels, "RGB", {"original_orientation": orientation}, exif=b"Exif\0\0" + exif_block(orientation))
    picture = read(data)
    assert np.array_equal(picture.pixels, turned(pixels, orientation))
    assert exif.orientation(picture.metadata.exif) == 1


def test_an_orientation_of_exif_alone_is_not_applied() -> None:
    block, turned_block = exif_block(1), exif_block(6)
    data = made(photograph(), "RGB", exif=b"Exif\0\0" + block)
    assert len(block) == len(turned_block) and data.count(block) == 1
    picture = read(data.replace(block, turned_block))
    assert np.array_equal(picture.pixels, photograph()) and exif.orientation(picture.metadata.exif) == 1


def test_the_primary_of_several_pictures_is_read_first_and_the_others_as_frames() -> None:
    pictures = [np.ascontiguousarray(photograph()[top : top + 16, :24]) for top in (0, 16, 32)]
    file = cast("Any", pillow_heif).HeifFile()
    for pixels in pictures:
        file.add_frombytes("RGB", (24, 16), pixels.tobytes())
    stream = BytesIO()
    file.save(stream, primary_index=1, **LOSSLESS)
    picture = read(stream.getvalue())
    assert np.array_equal(picture.pixels, pictures[1]) and picture.notes == ("first of 3 pictures",)
    with ImageFile(stream.getvalue(), max_pixels=1000, formats=FORMATS) as opened:
        frames = [frame.picture.pixels for frame in opened.frames()]
    assert all(decibels(one, two) > 40 for one, two in zip(frames[1:], [pictures[0], pictures[2]], strict=True)), "libheif compresses them"


def test_a_grid_of_tiles_as_phones_write_it_is_one_picture() -> None:
    pixels = samples(200, 300, 3)
    assert np.array_equal(read(made(pixels, "RGB", tile_size=128)).pixels, pixels)


def test_colours_stated_by_numbers_become_a_profile() -> None:
    picture = read(made(photograph(), "RGB", color_primaries=12, transfer_characteristics=13))
    expected = Signal.from_cicp(12, 13, source="nclx").applied(Picture(photograph()))
    assert picture.metadata.icc == expected.metadata.icc != b"" and picture.notes == expected.notes


def test_highlights_of_pq_are_compressed_with_a_note() -> None:
    picture = read(made((photograph(np.uint16) // np.uint16(64)).astype(np.uint16), "RGB;10", color_primaries=9, transfer_characteristics=16))
    assert "PQ (nclx) converted to sRGB; what is brighter than white was compressed" in picture.notes


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("opacity", [False, True])
def test_a_written_file_has_pixels_opacity_and_metadata(lossless: bool, channels: int, opacity: bool) -> None:
    alpha = np.ascontiguousarray(photograph(channels=1)[:, :, 0]) if opacity else None
    metadata = everything() if channels == 3 else Metadata(exif=everything().exif, xmp=everything().xmp)
    data, notes = written(Picture(photograph(channels=channels), alpha, metadata), "heic", lossless=lossless)
    picture = read(data)
    expected = np.broadcast_to(photograph(channels=channels), picture.pixels.shape)
    assert not notes and np.array_equal(picture.pixels, expected) if lossless else decibels(picture.pixels, expected) > 36
    assert (picture.alpha is not None) == opacity
    if alpha is not None and picture.alpha is not None:
        assert np.array_equal(picture.alpha, alpha) if lossless else decibels(picture.alpha, alpha) > 36
    assert picture.metadata.xmp == metadata.xmp and picture.metadata.icc == metadata.icc
    assert b"Camera works" in picture.metadata.exif
    assert picture.metadata.dpi == metadata.dpi


def test_16_bits_are_written_with_10_and_a_note() -> None:
    pixels = photograph(np.uint16)
    data, notes = written(Picture(pixels), "heic", lossless=True)
    picture = read(data)
    assert notes == ("HEIC holds 10 bits; rounded from 16",)
    assert np.abs(picture.pixels.astype(int) - pixels).max() <= 33, "half a level of 1023"


def test_a_picture_larger_than_hevc_codes_at_once_is_written_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif, "_TILED", 40_000)
    monkeypatch.setattr(heif, "_TILE", 128)
    pixels = samples(201, 301, 3)
    data, _ = written(Picture(pixels), "heic", lossless=True)
    assert b"grid" in data and np.array_equal(read(data).pixels, pixels)


def test_pillow_sees_the_same_picture_in_a_written_file() -> None:
    data, _ = written(Picture(photograph(), None, everything()), "heic", lossless=True)
    pillow_heif.register_heif_opener()
    try:
        with Image.open(BytesIO(data)) as image:
            assert np.array_equal(np.asarray(image), photograph())
            assert image.info["icc_profile"] == profile() and image.getexif()[271] == "Camera works"
    finally:
        Image.OPEN.pop("HEIF", None)


@pytest.mark.skipif(shutil.which("heif-enc") is None, reason="heif-enc is not installed (libheif-examples)")
def test_a_file_of_another_libheif_is_read(tmp_path: Path) -> None:
    Image.fromarray(photograph().astype(np.uint8)).save(tmp_path / "a.png")
    subprocess.run(["heif-enc", "-q", "95", "-o", tmp_path / "a.heic", tmp_path / "a.png"], check=True, capture_output=True)
    assert decibels(read(tmp_path / "a.heic").pixels, photograph()) > 30


def test_a_limit_of_pixels_refuses_before_decoding() -> None:
    with pytest.raises(OverLimit, match=r"^expected at most 0.003 million pixels, got 64 x 48"):
        read(made(photograph(), "RGB"), 3000)


def test_a_sequence_alone_is_refused_in_words() -> None:
    data = made(photograph(), "RGB")
    length = int.from_bytes(data[:4])
    data = data[:8] + b"hevc\0\0\0\0msf1hevc".ljust(length - 8, b"\0") + data[length:]
    with pytest.raises(PixlateError, match=r"^a HEIF file of a sequence alone is unsupported; "):
        read(data)
