"""Every kind of pixels that a file may hold: palettes, 1 bit, CMYK, transparency, animations."""

import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from tests.pixlate.images.conftest import LIMIT, grey_profile, photograph, profile, samples, saved

from pixlate.errors import PixlateError
from pixlate.images import Metadata, Picture, read_picture, to_srgb, write_picture
from pixlate.images.colour import srgb

Write = Callable[[str, bytes], Path]


def _read(file: Write, data: bytes) -> Picture:
    return read_picture(file("x", data), max_pixels=LIMIT)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_1_bit_becomes_black_and_white(file: Write, format: str) -> None:
    image = Image.fromarray(photograph()).convert("1")
    picture = _read(file, saved(image, format))
    assert picture.pixels.shape == (48, 64, 1) and picture.alpha is None
    assert np.array_equal(picture.pixels[:, :, 0], np.asarray(image) * np.uint8(255))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "JPEG"])
def test_grey_stays_one_channel(file: Write, format: str) -> None:
    picture = _read(file, saved(Image.fromarray(photograph(channels=1)[:, :, 0]), format))
    assert picture.pixels.shape == (48, 64, 1)
    assert np.abs(picture.pixels.astype(int) - photograph(channels=1)).max() <= (40 if format == "JPEG" else 0)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_with_alpha_keeps_both(file: Write, format: str) -> None:
    both = samples(9, 7, 2)
    picture = _read(file, saved(Image.fromarray(both, "LA"), format))
    assert np.array_equal(picture.pixels, both[:, :, :1])
    assert picture.alpha is not None and np.array_equal(picture.alpha, both[:, :, 1])


def test_16_bit_grey_png_of_pillow_is_read_at_full_depth(file: Write) -> None:
    pixels = photograph(np.uint16, 1)
    picture = _read(file, saved(Image.fromarray(pixels[:, :, 0]), "PNG"))
    assert np.array_equal(picture.pixels, pixels)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "GIF", "BMP"])
def test_a_palette_becomes_rgb(file: Write, format: str) -> None:
    image = Image.fromarray(photograph()).quantize(17)
    picture = _read(file, saved(image, format))
    assert picture.alpha is None
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(("format", "transparency"), [("PNG", 3), ("GIF", 3), ("PNG", bytes([0, 40, 255, 128] + [255] * 13))])
def test_a_palette_with_transparency_becomes_rgb_with_alpha(file: Write, format: str, transparency: int | bytes) -> None:
    image = Image.fromarray(photograph()).quantize(17)
    picture = _read(file, saved(image, format, transparency=transparency))
    indices = np.asarray(image)
    table = np.full(256, 255, np.uint8)
    if isinstance(transparency, int):
        table[transparency] = 0
    else:
        table[: len(transparency)] = list(transparency)
    assert picture.alpha is not None and np.array_equal(picture.alpha, table[indices])
    seen = table[indices] > 0
    assert np.array_equal(picture.pixels[seen], np.asarray(image.convert("RGB"))[seen])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_becomes_alpha(file: Write, channels: int) -> None:
    pixels = photograph(channels=channels)
    colour = pixels[3, 4]
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    picture = _read(file, saved(image, "PNG", transparency=int(colour[0]) if channels == 1 else tuple(int(value) for value in colour)))
    assert np.array_equal(picture.pixels, pixels)
    assert picture.alpha is not None and np.array_equal(picture.alpha == 0, (pixels == colour).all(axis=2))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_grey_below_8_bits_is_met_exactly(file: Write, bits: int) -> None:
    most = 2**bits - 1
    levels = np.tile(np.arange(most + 1, dtype=np.uint8), (4, 1))
    rows = b"".join(b"\0" + np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:].reshape(-1)).tobytes() for row in levels)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", most + 1, 4, bits, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tRNS", struct.pack(">H", 1)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    picture = _read(file, data)
    assert np.array_equal(picture.pixels[:, :, 0], levels * (255 // most))
    assert picture.alpha is not None and np.array_equal(picture.alpha == 0, levels == 1)


def _cmyk_profile() -> bytes:
    """Return a CMYK profile made by hand: an A2B0 table of 2 points an axis that mixes the inks into Lab."""
    corners = []
    for index in range(16):
        cyan, magenta, yellow, black = ((index >> shift) & 1 for shift in (3, 2, 1, 0))
        light = (1 - 0.3 * cyan) * (1 - 0.4 * magenta) * (1 - 0.1 * yellow) * (1 - black)
        corners += [round(light * 65280), round((128 + 60 * magenta - 30 * cyan) * 256), round((128 + 80 * yellow - 40 * cyan) * 256)]
    ramp = struct.pack(">HH", 0, 65535)
    table = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + struct.pack(">HH", 2, 2)
    table += ramp * 4 + struct.pack(f">{len(corners)}H", *corners) + ramp * 3
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"inks\0" + bytes(12 + 67)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    body, entries, offset = b"", b"", 128 + 4 + 3 * 12
    for name, tag in ((b"A2B0", table), (b"desc", text), (b"wtpt", white)):
        entries += name + struct.pack(">II", offset + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ") + bytes(12) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", 3) + entries + body


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_goes_to_srgb_through_its_profile(file: Write, format: str) -> None:
    icc = _cmyk_profile()
    image = Image.fromarray(samples(24, 32, 4) // 2, "CMYK").resize((64, 48))
    data = saved(image, format, icc_profile=icc)
    picture = _read(file, data)
    with Image.open(BytesIO(data)) as stored:
        expected = ImageCms.profileToProfile(stored, ImageCms.ImageCmsProfile(BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert expected is not None and np.array_equal(picture.pixels, np.asarray(expected))
    assert picture.metadata.icc == srgb()
    assert picture.notes == ("CMYK converted to sRGB through its ICC profile",)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_is_converted_and_noted(file: Write, format: str) -> None:
    data = saved(Image.fromarray(photograph()).convert("CMYK"), format)
    picture = _read(file, data)
    assert np.abs(picture.pixels.astype(int) - photograph()).mean() < 8
    assert picture.metadata.icc == b"" and picture.notes == ("CMYK without an ICC profile converted to RGB; colours may differ",)


def test_16_bit_cmyk_comes_with_8_bits_and_says_so(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", samples(9, 7, 4, np.uint16), photometric="separated")
    picture = read_picture(tmp_path / "x.tif", max_pixels=LIMIT)
    assert picture.pixels.shape == (9, 7, 3) and "16-bit CMYK read with 8 bits" in picture.notes


def test_lab_is_converted_to_srgb(file: Write) -> None:
    lab = ImageCms.profileToProfile(Image.fromarray(photograph()), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
    assert lab is not None
    picture = _read(file, saved(lab, "TIFF"))
    assert np.abs(picture.pixels.astype(int) - photograph()).mean() < 3
    assert picture.notes == ("Lab converted to sRGB",)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_several_frames_the_first_is_read_and_their_number_noted(file: Write, format: str) -> None:
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (10, 120, 240)]
    options = {"lossless": True} if format == "WEBP" else {}
    picture = _read(file, saved(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert np.abs(picture.pixels.astype(int) - 10).max() <= 2
    assert picture.notes == (f"first of 3 {'pages' if format == 'TIFF' else 'frames'}",)


def test_a_jpeg_of_several_pictures_gives_the_first(file: Write) -> None:
    images = [Image.fromarray(photograph()), Image.fromarray(photograph()[:20, :20])]
    picture = _read(file, saved(images[0], "MPO", save_all=True, append_images=images[1:]))
    assert picture.pixels.shape == (48, 64, 3) and picture.notes == ("first of 2 pictures",)


def test_10_bit_avif_is_noted(file: Write) -> None:
    data = imagecodecs.avif_encode(photograph(np.uint16) // 64, bitspersample=10, level=95)
    assert _read(file, bytes(data)).notes == ("10- or 12-bit AVIF read with 8 bits",)


def test_32_bit_whole_grey_is_refused(file: Write) -> None:
    with pytest.raises(PixlateError, match="32-bit signed whole numbers; convert the file to unsigned 16 bits"):
        _read(file, saved(Image.fromarray(np.ones((4, 5), np.int32)), "TIFF"))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_profile_for_other_colours_is_left_out_and_noted(file: Write, format: str) -> None:
    colour = _read(file, saved(Image.fromarray(photograph()), format, icc_profile=grey_profile()))
    grey = _read(file, saved(Image.fromarray(photograph()[:, :, 0]), format, icc_profile=profile()))
    for picture in (colour, grey):
        assert picture.metadata.icc == b"" and picture.notes == ("the ICC profile is for another kind of colours and was left out",)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "avif"])
def test_a_grey_picture_keeps_its_grey_profile(tmp_path: Path, format: str) -> None:
    picture = Picture(photograph(channels=1), None, Metadata(icc=grey_profile()))
    assert write_picture(picture, tmp_path / "x", format) == ()
    again = read_picture(tmp_path / "x", max_pixels=LIMIT)
    assert again.pixels.shape == (48, 64, 1) and again.metadata.icc == grey_profile()


def test_a_grey_profile_does_not_go_into_webp_which_is_rgb(tmp_path: Path) -> None:
    notes = write_picture(Picture(photograph(channels=1), None, Metadata(icc=grey_profile())), tmp_path / "x", "webp")
    assert notes == ("the ICC profile is for another kind of colours and was left out",)
    assert read_picture(tmp_path / "x", max_pixels=LIMIT).notes == ()


def _wide_profile() -> bytes:
    """Return sRGB with red and blue exchanged: no colour space anyone uses, but one whose effect is plain."""
    icc = bytearray(profile())
    for position in range(132, 132 + 12 * int.from_bytes(icc[128:132], "big"), 12):
        if icc[position + 1 : position + 4] == b"XYZ":
            icc[position] = {ord("r"): ord("b"), ord("b"): ord("r")}.get(icc[position], icc[position])
    return bytes(icc).replace("sRGB".encode("utf-16-be"), "odd.".encode("utf-16-be"))


def _grey_gamma_profile() -> bytes:
    """Return a grey profile of a gamma of 1.4."""
    values = {b"kTRC": b"curv" + struct.pack(">IIH", 0, 1, round(1.4 * 256)) + bytes(2), b"wtpt": b"XYZ " + struct.pack(">4i", 0, 63190, 65536, 54061)}
    table, body = struct.pack(">I", len(values)), b""
    for name, value in values.items():
        table += name + struct.pack(">II", 132 + 12 * len(values) + len(body), len(value))
        body += value
    head = bytearray(profile()[:128])
    head[16:20], head[:4] = b"GRAY", struct.pack(">I", 128 + len(table) + len(body))
    return bytes(head) + table + body


def test_stripping_metadata_turns_other_colours_into_srgb() -> None:
    pixels = photograph()
    plain = to_srgb(Picture(pixels, pixels[:, :, 0].copy(), Metadata(icc=_wide_profile(), dpi=(72, 72), xmp=b"x")))
    assert np.abs(plain.pixels.astype(int) - pixels[:, :, ::-1]).max() <= 2
    assert plain.metadata == Metadata() and plain.notes == () and plain.alpha is not None


def test_stripping_metadata_leaves_srgb_pixels_as_they_are() -> None:
    pixels = photograph()
    assert np.array_equal(to_srgb(Picture(pixels, None, Metadata(icc=profile()))).pixels, pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_stripping_metadata_turns_16_bits_into_srgb_as_lcms_does_8(channels: int) -> None:
    icc = _wide_profile() if channels == 3 else _grey_gamma_profile()
    pixels = photograph(channels=channels)
    by_lcms = to_srgb(Picture(pixels, None, Metadata(icc=icc))).pixels
    picture = to_srgb(Picture(pixels.astype(np.uint16) * np.uint16(257), None, Metadata(icc=icc)))
    assert not np.array_equal(by_lcms, pixels) and picture.metadata == Metadata() and not picture.notes
    assert np.abs(picture.pixels / 257 - by_lcms).max() < 0.7, "half a level, and what lcms rounds on its way"


def test_stripping_metadata_notes_that_16_bit_colours_of_a_profile_of_tables_stay() -> None:
    icc = _wide_profile().replace(b"rTRC", b"xTRC")
    picture = to_srgb(Picture(photograph(np.uint16), None, Metadata(icc=icc)))
    assert np.array_equal(picture.pixels, photograph(np.uint16)) and picture.metadata == Metadata()
    assert picture.notes == ("the ICC profile was dropped, colours of 16-bit pixels were left as they are",)


def test_stripping_a_damaged_profile_is_noted() -> None:
    damaged = bytes(16) + b"RGB " + bytes(200)
    picture = to_srgb(Picture(photograph(), None, Metadata(icc=damaged)))
    assert np.array_equal(picture.pixels, photograph()) and picture.notes == ("the ICC profile is damaged and was dropped; colours were left as they are",)


def test_the_srgb_profile_is_the_same_in_two_processes() -> None:
    script = "import sys, time; sys.stdout.buffer.write(__import__('pixlate.images.colour', fromlist=['srgb']).srgb())"
    profiles = []
    for wait in (0, 1.1):  # profiles carry the second in which they were made
        time.sleep(wait)
        profiles.append(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60).stdout)
    assert profiles[0] == profiles[1]
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profiles[0]))).strip() == "sRGB built-in"
