"""What each format takes, refuses and notes."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.images.conftest import FORMATS, LIMIT, photograph, same

from pixlate.errors import PixlateError
from pixlate.images import Picture, read_picture, write_picture


@pytest.mark.parametrize(("format", "title"), [("jpeg", "JPEG"), ("webp", "WebP"), ("avif", "AVIF"), ("gif", "GIF"), ("bmp", "BMP")])
def test_16_bits_are_rounded_and_noted(tmp_path: Path, format: str, title: str) -> None:
    deep = photograph(np.uint16)
    assert f"{title} holds 8 bits; rounded from 16" in write_picture(Picture(deep), tmp_path / "x", format)
    write_picture(Picture(np.rint(deep / 257).astype(np.uint8)), tmp_path / "y", format)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


@pytest.mark.parametrize(("format", "title"), [("jpeg", "JPEG"), ("bmp", "BMP")])
def test_transparency_is_composited_over_white_and_noted(tmp_path: Path, format: str, title: str) -> None:
    pixels, alpha = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8)
    alpha[:, 8:] = 255
    assert write_picture(Picture(pixels, alpha), tmp_path / "x", format) == (f"{title} holds no transparency; laid on white",)
    seen = read_picture(tmp_path / "x", max_pixels=LIMIT).pixels
    assert seen[:, :8].min() >= 250 and seen[:, 8:].max() <= 5


@pytest.mark.parametrize(("quality", "sampling"), [(89, 2), (90, 1), (95, 1)])
def test_jpeg_keeps_full_colour_resolution_from_quality_90(tmp_path: Path, quality: int, sampling: int) -> None:
    write_picture(Picture(photograph()), tmp_path / "x", "jpeg", quality=quality)
    data = (tmp_path / "x").read_bytes()
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == sampling * 16 + sampling


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_a_lower_quality_makes_a_smaller_file(tmp_path: Path, format: str) -> None:
    for quality in (95, 40):
        write_picture(Picture(photograph()), tmp_path / str(quality), format, quality=quality)
    assert (tmp_path / "40").stat().st_size < (tmp_path / "95").stat().st_size


@pytest.mark.parametrize(("format", "side"), [("jpeg", 65_501), ("webp", 16_384), ("gif", 65_536)])
def test_sides_too_long_are_refused_with_a_way_out(tmp_path: Path, format: str, side: int) -> None:
    with pytest.raises(PixlateError, match=f"got {side} x 1; use --format png"):
        write_picture(Picture(np.zeros((1, side, 1), np.uint8)), tmp_path / "x", format)
    assert not (tmp_path / "x").exists()
    assert write_picture(Picture(np.zeros((1, side, 1), np.uint8)), tmp_path / "x", "png") == ()


@pytest.mark.parametrize(("format", "side"), [("jpeg", 65_500), ("webp", 16_383), ("gif", 65_535)])
def test_the_longest_side_is_written(tmp_path: Path, format: str, side: int) -> None:
    write_picture(Picture(np.zeros((1, side, 1), np.uint8)), tmp_path / "x", format)
    assert read_picture(tmp_path / "x", max_pixels=LIMIT).pixels.shape[1] == side


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_a_lone_pixel_is_written_and_read(tmp_path: Path, format: str, channels: int, with_alpha: bool) -> None:
    picture = Picture(np.full((1, 1, channels), 200, np.uint8), np.full((1, 1), 255, np.uint8) if with_alpha else None)
    write_picture(picture, tmp_path / "x", format)
    seen = read_picture(tmp_path / "x", max_pixels=LIMIT).pixels
    assert seen.shape[:2] == (1, 1) and np.abs(seen.astype(int) - 200).max() <= 3


@pytest.mark.parametrize("format", FORMATS)
def test_the_file_has_exactly_the_name_given_and_is_synced(tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_picture(Picture(photograph()), tmp_path / ".x.part", format)
    assert [path.name for path in tmp_path.iterdir()] == [".x.part"] and len(synced) == 1


def test_gif_of_few_colours_is_exact(tmp_path: Path) -> None:
    pixels = np.asarray(Image.fromarray(photograph()).quantize(255).convert("RGB"))
    alpha = np.where(pixels[:, :, 0] > 128, 255, 0).astype(np.uint8)
    assert write_picture(Picture(pixels, alpha), tmp_path / "x", "gif") == ()
    again = read_picture(tmp_path / "x", max_pixels=LIMIT)
    assert again.alpha is not None and np.array_equal(again.alpha, alpha)
    assert np.array_equal(again.pixels[alpha > 0], pixels[alpha > 0])
    assert write_picture(Picture(pixels), tmp_path / "x", "gif") == ()
    assert same(read_picture(tmp_path / "x", max_pixels=LIMIT), Picture(pixels))


def test_gif_notes_colours_and_transparency_it_cannot_hold(tmp_path: Path) -> None:
    pixels = photograph()
    notes = write_picture(Picture(pixels, pixels[:, :, 0].copy()), tmp_path / "x", "gif")
    assert notes == ("GIF holds 256 colours", "GIF holds transparency as on or off")
    again = read_picture(tmp_path / "x", max_pixels=LIMIT)
    assert again.alpha is not None and np.array_equal(again.alpha == 255, pixels[:, :, 0] >= 128)


@pytest.mark.parametrize(("format", "quality"), [("jpog", 95), ("heic", 95), ("jpeg", 0), ("webp", 101)])
def test_unknown_formats_and_qualities_are_refused(tmp_path: Path, format: str, quality: int) -> None:
    with pytest.raises(PixlateError, match=r"expected a (format|quality) of"):
        write_picture(Picture(photograph()), tmp_path / "x", format, quality=quality)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"the file could not be written .No such file or directory.; check the disk"):
        write_picture(Picture(photograph()), tmp_path / "none" / "x", "png")


@pytest.mark.parametrize("format", ["webp", "avif"])
def test_transparency_survives_lossy_formats(tmp_path: Path, format: str) -> None:
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    assert write_picture(Picture(photograph(), alpha), tmp_path / "x", format) == ()
    again = read_picture(tmp_path / "x", max_pixels=LIMIT)
    assert again.alpha is not None and np.abs(again.alpha.astype(int) - alpha).max() <= 6
