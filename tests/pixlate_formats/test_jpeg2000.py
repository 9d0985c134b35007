"""JPEG 2000 files, made by OpenJPEG: through Pillow, imagecodecs, and opj_compress where it is installed."""

import shutil
import struct
import subprocess
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from tests.pixlate.images.conftest import exif_block, photograph, profile, samples
from tests.pixlate_formats.conftest import decibels, read

from pixlate.errors import OverLimit, PixlateError
from pixlate.images import add_origin
from pixlate.images.metadata import exif

XMP = add_origin(b"", "algorithmicallyEnhanced")[0]


def made(image: Image.Image, **how: object) -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG2000", **how)
    return stream.getvalue()


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


def with_header_box(data: bytes, extra: bytes) -> bytes:
    """Return a JP2 file with one more box about its picture."""
    at = data.index(b"jp2h") - 4
    length = int.from_bytes(data[at : at + 4])
    return data[:at] + struct.pack(">I", length + len(extra)) + data[at + 4 : at + length] + extra + data[at + length :]


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_8_bits_of_pillow_are_read_exactly(mode: str, channels: int) -> None:
    pixels = samples(48, 64, channels)
    picture = read(made(Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)))
    assert np.array_equal(picture.samples, pixels) and (picture.alpha is not None) == (channels in (2, 4)) and not picture.notes


@pytest.mark.parametrize("format", ["jp2", "j2k"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_read_exactly_in_boxes_and_bare(format: str, channels: int) -> None:
    pixels = photograph(np.uint16, channels)
    data = imagecodecs.jpeg2k_encode(pixels[:, :, 0] if channels == 1 else pixels, level=0, reversible=True, codecformat=format)
    assert np.array_equal(read(data).pixels, pixels)


@pytest.mark.parametrize("bits", [10, 12])
def test_10_and_12_bits_are_spread_over_16(bits: int) -> None:
    stored = (photograph(np.uint16).astype(np.uint32) >> (16 - bits)).astype(np.uint16)
    picture = read(imagecodecs.jpeg2k_encode(stored, level=0, reversible=True, bitspersample=bits))
    assert np.array_equal(picture.pixels, np.rint(stored * (65535 / ((1 << bits) - 1))).astype(np.uint16))


def test_lossy_files_look_the_same() -> None:
    assert decibels(read(made(Image.fromarray(photograph().astype(np.uint8)), quality_layers=[8], irreversible=True)).pixels, photograph()) > 27


def test_channels_of_no_stated_meaning_are_left_out_with_a_note() -> None:
    pixels = samples(48, 64, 5)
    picture = read(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True))
    assert np.array_equal(picture.pixels, pixels[:, :, :3]) and picture.alpha is None and picture.notes == ("2 further channels left out",)


def test_metadata_are_read_and_the_orientation_of_exif_applied() -> None:
    data = made(Image.fromarray(photograph().astype(np.uint8)))
    data = with_header_box(data, box(b"res ", box(b"resd", struct.pack(">4H2b", 11811, 1, 5906, 1, 0, 0))))
    data += box(b"uuid", b"JpgTiffExif->JP2" + exif_block(6)) + box(b"uuid", bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC") + XMP)
    picture = read(data)
    assert np.array_equal(picture.pixels, np.rot90(photograph(), -1)) and exif.orientation(picture.metadata.exif) == 1
    assert picture.metadata.xmp == XMP and picture.metadata.dpi is not None
    assert [round(value) for value in picture.metadata.dpi] == [300, 150], "turned as the picture"


def test_a_profile_is_read() -> None:
    icc = profile()
    data = made(Image.fromarray(photograph().astype(np.uint8)))
    at = data.index(b"colr") - 4
    length = int.from_bytes(data[at : at + 4])
    without = data[:at] + data[at + length :]
    header = without.index(b"jp2h") - 4
    size = int.from_bytes(without[header : header + 4])
    without = without[:header] + struct.pack(">I", size - length) + without[header + 4 :]
    picture = read(with_header_box(without, box(b"colr", b"\2\0\0" + icc)))
    assert picture.metadata.icc == icc and np.array_equal(picture.pixels, photograph())


@pytest.mark.skipif(shutil.which("opj_compress") is None, reason="opj_compress is not installed (libopenjp2-tools)")
def test_luminance_and_chroma_are_converted_as_opj_decompress_does(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(samples(1, 48 * 64 * 3 // 2, 1).tobytes())
    subprocess.run(["opj_compress", "-i", tmp_path / "a.raw", "-F", "64,48,3,8,u@1x1:2x2:2x2", "-o", tmp_path / "a.jp2"], check=True, capture_output=True)
    subprocess.run(["opj_decompress", "-i", tmp_path / "a.jp2", "-o", tmp_path / "a.ppm"], check=True, capture_output=True)
    with Image.open(tmp_path / "a.ppm") as image:
        assert np.array_equal(read(tmp_path / "a.jp2").pixels, np.asarray(image))


def test_samples_that_are_not_read_are_refused_in_words() -> None:
    data = bytearray(imagecodecs.jpeg2k_encode(photograph(), level=0, reversible=True, codecformat="j2k"))
    data[42] |= 128
    with pytest.raises(PixlateError, match=r"^a JPEG 2000 file of signed samples is unsupported; "):
        read(bytes(data))
    data[42] = 11
    with pytest.raises(PixlateError, match=r"^unsupported samples of a JPEG 2000 file: of 8 and 12 bits; "):
        read(bytes(data))


def test_a_limit_of_pixels_refuses_before_decoding() -> None:
    with pytest.raises(OverLimit, match=r"^expected at most 0.003 million pixels, got 64 x 48"):
        read(made(Image.fromarray(photograph().astype(np.uint8))), 3000)
