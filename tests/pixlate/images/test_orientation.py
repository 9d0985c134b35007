"""Orientation is applied once, and reset in the file's metadata."""

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageOps
from tests.pixlate.images.conftest import LIMIT, exif_block, photograph, same, saved, size_of

from pixlate.images import Metadata, Picture, read_picture, write_picture
from pixlate.images.picture import turned

ORIENTATIONS = range(1, 9)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" \
xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'


def _tagged(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turning_agrees_with_pillow(orientation: int) -> None:
    pixels = photograph()
    image = Image.fromarray(pixels)
    image.info["exif"] = _tagged(orientation).tobytes()
    assert np.array_equal(turned(pixels, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
def test_orientation_is_applied_once_to_pixels_and_alpha(file: Callable[[str, bytes], Path], orientation: int, format: str) -> None:
    pixels = photograph()
    with_alpha = format != "JPEG"
    stored = np.dstack([pixels, pixels[:, :, 1]]) if with_alpha else pixels
    options: dict[str, dict[str, object]] = {
        "WEBP": {"lossless": True, "exact": True},
        "JPEG": {"quality": 100, "subsampling": 0},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    data = saved(Image.fromarray(stored), format, exif=_tagged(orientation), **options.get(format, {}))
    path = file("turned.img", data)
    expected = turned(stored, orientation)
    picture = read_picture(path, max_pixels=LIMIT)
    tolerance = 12 if format in ("JPEG", "AVIF") else 0
    assert picture.pixels.shape == expected[:, :, :3].shape
    assert np.abs(picture.pixels.astype(int) - expected[:, :, :3]).max() <= tolerance
    assert (picture.alpha is not None) == with_alpha
    if picture.alpha is not None:
        assert np.abs(picture.alpha.astype(int) - expected[:, :, 3]).max() <= tolerance
    assert size_of(path) == (expected.shape[1], expected.shape[0])

    again = path.with_name("again")
    write_picture(picture, again, "png")
    assert same(read_picture(again, max_pixels=LIMIT), picture)
    with Image.open(again) as image:
        assert image.getexif().get(274, 1) == 1


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_orientation_is_applied_to_16_bits(tmp_path: Path, orientation: int, format: str, channels: int) -> None:
    pixels = photograph(np.uint16, channels)
    path = tmp_path / "deep"
    write_picture(Picture(pixels, pixels[:, :, 0].copy(), Metadata(exif=exif_block(orientation), dpi=(100, 50))), path, format)
    picture = read_picture(path, max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, turned(pixels, orientation))
    assert picture.alpha is not None and np.array_equal(picture.alpha, turned(pixels[:, :, 0], orientation))
    assert picture.metadata.dpi == pytest.approx((100, 50) if orientation < 5 else (50, 100), abs=0.02)


@pytest.mark.parametrize(
    ("mode", "compression"), [(mode, compression) for mode in ("L", "CMYK", "P", "1") for compression in ("raw", "tiff_lzw")] + [("L", "jpeg"), ("RGB", "jpeg")]
)
def test_tiff_that_goes_through_pillow_is_turned_once(file: Callable[[str, bytes], Path], mode: str, compression: str) -> None:
    image = Image.fromarray(photograph()).convert(mode)
    upright = read_picture(file("upright.tif", saved(image, "TIFF", compression=compression)), max_pixels=LIMIT)
    picture = read_picture(file("turned.tif", saved(image, "TIFF", compression=compression, exif=_tagged(6))), max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, turned(upright.pixels, 6))


def test_orientation_found_only_in_xmp_is_applied_as_pillow_does(file: Callable[[str, bytes], Path]) -> None:
    pixels = photograph()
    path = file("xmp.jpg", saved(Image.fromarray(pixels), "JPEG", xmp=XMP))
    picture = read_picture(path, max_pixels=LIMIT)
    with Image.open(path) as image:
        assert np.array_equal(picture.pixels, np.asarray(ImageOps.exif_transpose(image)))
    assert b'tiff:Orientation="1"' in picture.metadata.xmp


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_orientation_in_xmp_of_utf_16_is_applied_and_set_upright(codec: str, mark: str, format: str) -> None:
    packet, image = (mark + XMP.decode()).encode(codec), Image.fromarray(photograph())
    data = saved(image, "JPEG", xmp=packet) if format == "JPEG" else saved(image, "TIFF", tiffinfo={700: packet})
    picture = read_picture(data, max_pixels=LIMIT)
    plain = read_picture(saved(image, format), max_pixels=LIMIT).pixels
    assert np.array_equal(picture.pixels, turned(plain, 6))
    assert 'tiff:Orientation="1"' in picture.metadata.xmp.decode(codec)


def test_exif_and_xmp_both_say_upright_afterwards(file: Callable[[str, bytes], Path]) -> None:
    path = file("both.jpg", saved(Image.fromarray(photograph()), "JPEG", exif=_tagged(8), xmp=XMP))
    picture = read_picture(path, max_pixels=LIMIT)
    assert picture.pixels.shape == (64, 48, 3)
    assert b'tiff:Orientation="1"' in picture.metadata.xmp
    exif = Image.Exif()
    exif.load(picture.metadata.exif)
    assert exif[274] == 1


def test_an_orientation_out_of_range_is_taken_for_upright(file: Callable[[str, bytes], Path]) -> None:
    picture = read_picture(file("odd.jpg", saved(Image.fromarray(photograph()), "JPEG", exif=_tagged(9))), max_pixels=LIMIT)
    assert picture.pixels.shape == (48, 64, 3)


def test_tifffile_finds_the_written_tiff_upright(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "side.tif", photograph(np.uint16), photometric="rgb", extratags=[(274, 3, 1, 8, True)])
    picture = read_picture(tmp_path / "side.tif", max_pixels=LIMIT)
    write_picture(picture, tmp_path / "up.tif", "tiff")
    with tifffile.TiffFile(tmp_path / "up.tif") as file:
        assert file.pages.first.tags[274].value == 1
        assert np.array_equal(file.asarray(), np.rot90(photograph(np.uint16)))


def test_the_thumbnail_of_the_old_picture_is_gone(file: Callable[[str, bytes], Path]) -> None:
    block = bytearray(exif_block(6))
    thumbnail = saved(Image.fromarray(photograph()[:8, :8]), "JPEG")
    end_of_main = 8 + 2 + struct.unpack(">H", block[8:10])[0] * 12
    second = len(block)
    block[end_of_main : end_of_main + 4] = struct.pack(">I", second)
    block += struct.pack(">HHHIIHHIII", 2, 513, 4, 1, second + 30, 514, 4, 1, len(thumbnail), 0) + thumbnail
    path = file("thumb.jpg", saved(Image.fromarray(photograph()), "JPEG", exif=b"Exif\0\0" + bytes(block)))
    with Image.open(path) as image:
        assert image.getexif().get_ifd(0x8769)[37500] and image.getexif().get_ifd(ExifTags.IFD.IFD1)[513]
    picture = read_picture(path, max_pixels=LIMIT)
    exif = Image.Exif()
    exif.load(picture.metadata.exif)
    assert exif.get_ifd(ExifTags.IFD.IFD1) == {} and thumbnail not in picture.metadata.exif and len(picture.metadata.exif) < len(block)
    assert exif[274] == 1 and exif[271] == "Camera works" and exif.get_ifd(0x8769)[37500] == b"maker's own" * 7
    with Image.open(BytesIO(path.read_bytes())) as image:
        assert image.size == (64, 48)
