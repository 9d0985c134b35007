"""JPEG XL files, made by libjxl: by imagecodecs, pillow-jxl-plugin, and cjxl where it is installed."""

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_jxl
import pytest
from PIL import Image
from tests.pixlate.images.conftest import everything, exif_block, photograph, samples
from tests.pixlate_formats.conftest import FORMATS, decibels, read, written

from pixlate.errors import OverLimit, PixlateError
from pixlate.images import ImageFile, Metadata, Picture, read_picture
from pixlate.images.metadata import exif
from pixlate.images.signalled import Signal, srgb_encoded
from pixlate_formats import jxl_header

needs_cjxl = pytest.mark.skipif(shutil.which("cjxl") is None, reason="cjxl is not installed (libjxl-tools)")
P3 = Signal.from_cicp(12, 13).applied(Picture(photograph())).metadata.icc


def cjxl(folder: Path, image: Image.Image, *options: str, **saved: Any) -> Path:
    """Return the file that cjxl makes of an image."""
    image.save(folder / "a.png", **saved)
    subprocess.run(["cjxl", folder / "a.png", folder / "a.jxl", *options], check=True, capture_output=True)
    return folder / "a.jxl"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (48, 64), (2000, 3), (7, 4100)])
def test_samples_of_8_bits_are_read_exactly_at_any_size(channels: int, shape: tuple[int, int]) -> None:
    pixels = samples(*shape, channels)
    picture = read(imagecodecs.jpegxl_encode(pixels[:, :, 0] if channels == 1 else pixels, lossless=True))
    assert np.array_equal(picture.samples, pixels) and picture.lossless and not picture.notes


def test_16_bits_that_are_labelled_linear_are_given_srgbs_curve() -> None:
    light = photograph(np.uint16)  # imagecodecs labels 16 bits so
    picture = read(imagecodecs.jpegxl_encode(light, lossless=True))
    assert picture.notes == ("linear light (JPEG XL) converted to sRGB",)
    assert np.array_equal(picture.pixels, np.rint(srgb_encoded(light / 65535) * 65535).astype(np.uint16))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_floating_point_is_scene_linear_light(dtype: type[np.floating]) -> None:
    light = (photograph(np.uint16) / 65535).astype(dtype)
    picture = read(imagecodecs.jpegxl_encode(light, lossless=True))
    assert picture.peak == 1 and np.array_equal(picture.pixels, light.astype(np.float32))


def test_the_first_frame_of_an_animation_is_read_with_a_note() -> None:
    frames = np.stack([photograph(), photograph()[::-1]])
    picture = read(imagecodecs.jpegxl_encode(frames, lossless=True))
    assert np.array_equal(picture.pixels, photograph()) and picture.notes == ("first frame of an animation",)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("opacity", [False, True])
def test_a_written_file_has_pixels_opacity_and_metadata(lossless: bool, dtype: type[np.uint8] | type[np.uint16], channels: int, opacity: bool) -> None:
    pixels, full = photograph(dtype, channels), np.iinfo(dtype).max
    alpha = np.ascontiguousarray(photograph(dtype, 1)[:, :, 0]) if opacity else None
    metadata = everything()
    data, notes = written(Picture(pixels, alpha, metadata), "jxl", lossless=lossless)
    picture = read(data)
    assert picture.pixels.dtype == dtype and not picture.notes
    assert np.array_equal(picture.pixels, pixels) if lossless else decibels(picture.pixels, pixels, full) > 36
    assert (picture.alpha is not None) == opacity
    if alpha is not None and picture.alpha is not None:
        assert np.array_equal(picture.alpha, alpha) if lossless else decibels(picture.alpha, alpha, full) > 36
    assert notes == ("JPEG XL cannot hold the ICC profile",) if channels == 3 else len(notes) == 1
    assert picture.metadata.xmp == metadata.xmp and picture.metadata.dpi == metadata.dpi and b"Camera works" in picture.metadata.exif


def test_quality_decides_how_near_a_file_is_and_100_keeps_every_pixel() -> None:
    sizes, distances = [], []
    for quality in (20, 60, 95, 100):
        data, _ = written(Picture(photograph()), "jxl", quality=quality)
        sizes.append(len(data))
        distances.append(np.abs(read(data).pixels.astype(int) - photograph()).mean())
    assert sizes == sorted(sizes) and distances == sorted(distances, reverse=True) and distances[-1] == 0


def test_a_profile_that_is_not_srgb_is_converted_before_writing() -> None:
    data, notes = written(Picture(photograph(), None, Metadata(icc=P3)), "jxl", lossless=True)
    assert "colours converted to sRGB" in notes
    assert not read(data).metadata.icc and not np.array_equal(read(data).pixels, photograph())


def test_an_orientation_of_the_codestream_is_applied_once_whatever_exif_says(tmp_path: Path) -> None:
    jpeg = BytesIO()
    Image.fromarray(photograph().astype(np.uint8)).save(jpeg, "JPEG", quality=95, exif=b"Exif\0\0" + exif_block(6), icc_profile=P3)
    how: dict[str, Any] = {
        "mode": "RGB",
        "lossless": True,
        "quality": 100,
        "decoding_speed": 0,
        "effort": 3,
        "use_container": True,
        "use_original_profile": True,
    }
    encoder = pillow_jxl.Encoder(num_threads=1, **how)
    packed = encoder(jpeg.getvalue(), 64, 48, jpeg_encode=True)
    picture, expected = read(packed), read_picture(jpeg.getvalue(), max_pixels=10**6)
    assert picture.pixels.shape == (64, 48, 3) and exif.orientation(picture.metadata.exif) == 1
    assert np.abs(picture.pixels.astype(int) - expected.pixels).mean() < 1, "two decoders of one JPEG's coefficients"
    assert picture.metadata.icc == P3 and not picture.lossless


@needs_cjxl
@pytest.mark.parametrize("distance", ["0", "0.1"])
def test_files_of_cjxl_keep_the_colours_of_their_profile(tmp_path: Path, distance: str) -> None:
    path = cjxl(tmp_path, Image.fromarray(photograph().astype(np.uint8)), "-d", distance, icc_profile=P3)
    picture = read(path)
    assert picture.metadata.icc == P3
    assert np.array_equal(picture.pixels, photograph()) if distance == "0" else decibels(picture.pixels, photograph()) > 40


@needs_cjxl
def test_djxl_sees_what_was_written_with_16_bits(tmp_path: Path) -> None:
    pixels = photograph(np.uint16)
    for lossless in (True, False):
        data, _ = written(Picture(pixels), "jxl", lossless=lossless)
        (tmp_path / "b.jxl").write_bytes(data)
        subprocess.run(["djxl", tmp_path / "b.jxl", tmp_path / "b.png"], check=True, capture_output=True)
        assert np.array_equal(read_picture(tmp_path / "b.png", max_pixels=10**6).pixels, read(data).pixels)


@needs_cjxl
@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L", "LA", "I;16"])
@pytest.mark.parametrize("options", [("-d", "0"), ("-d", "1"), ("-d", "1", "--container=1")])
def test_headers_of_cjxl_are_parsed_as_libjxl_does(tmp_path: Path, kind: str, options: tuple[str, ...]) -> None:
    array = photograph(np.uint16, 1)[:, :, 0] if kind == "I;16" else samples(48, 64, {"L": 1, "LA": 2, "RGB": 3}.get(kind, 4))
    path = cjxl(tmp_path, Image.fromarray(array[:, :, 0] if kind == "L" else array), *options)
    header = jxl_header.header_of(jxl_header.found_in(path.read_bytes()).codestream)
    said = subprocess.run(["jxlinfo", path], check=True, capture_output=True, text=True).stdout
    assert f"{header.width}x{header.height}" in said and f"{header.bits}-bit" in said
    assert ("Grayscale" in said or "Gray" in said) == (header.space == jxl_header.GREY)
    assert ("+Alpha" in said or "RGBA" in said) == bool(header.extras)
    assert ("lossless" in said) == (not header.transformed)


def test_a_box_of_compressed_metadata_is_read_within_its_limit() -> None:
    stream = bytes(imagecodecs.jpegxl_encode(photograph(), lossless=True))
    for content, expected in ((exif_block(), True), (bytes(40 << 20), False)):
        body = b"Exif" + bytes(imagecodecs.brotli_encode(b"\0\0\0\0" + content))
        data = jxl_header.CONTAINER + jxl_header._box(b"ftyp", b"jxl \0\0\0\0jxl ") + jxl_header._box(b"brob", body) + jxl_header._box(b"jxlc", stream)
        picture = read(data)
        assert np.array_equal(picture.pixels, photograph())
        assert (b"Camera works" in picture.metadata.exif) is expected
        assert picture.notes == (() if expected else ("the EXIF block is damaged or too long and was left out",))


def test_a_limit_of_pixels_refuses_before_decoding() -> None:
    data = imagecodecs.jpegxl_encode(photograph(), lossless=True)
    with pytest.raises(OverLimit, match=r"^expected at most 0.003 million pixels, got 64 x 48"):
        read(data, 3000)
    with pytest.raises(PixlateError, match=r"^the image is truncated or damaged \(there is no codestream\)"):
        read(jxl_header.CONTAINER + jxl_header._box(b"ftyp", b"jxl \0\0\0\0jxl "))


def test_the_name_of_a_file_that_is_another_format_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.jpegxl_encode(photograph(), lossless=True))
    with ImageFile(tmp_path / "a.png", max_pixels=10**6, formats=FORMATS) as file:
        assert file.read().notes == ("the file is JPEG XL inside, whatever its name says",)


def test_16_bits_of_another_profile_are_converted_before_writing() -> None:
    muted = (photograph(np.uint16) // 3 + 20000).astype(np.uint16)  # of colours that sRGB has
    data, notes = written(Picture(muted, None, Metadata(icc=P3)), "jxl", lossless=True)
    by_lcms, _ = written(Picture(np.rint(muted / 257).astype(np.uint8), None, Metadata(icc=P3)), "jxl", lossless=True)
    assert "colours converted to sRGB" in notes
    assert np.abs(read(data).pixels / 257 - read(by_lcms).pixels).max() < 1.5, "a level for 8 bits of the source, and what lcms rounds"
