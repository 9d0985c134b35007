"""PNG and TIFF return what was written, and other readers agree."""

import resource
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import io as skimage_io
from tests.pixlate.images.conftest import LIMIT, everything, photograph, same, samples

from pixlate.errors import PixlateError
from pixlate.images import Metadata, Picture, Pixels, read_picture, write_picture
from pixlate.images.metadata.tags import Order


@settings(max_examples=120, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    deep=st.booleans(),
    channels=st.sampled_from([1, 3]),
    with_alpha=st.booleans(),
    with_metadata=st.booleans(),
    format=st.sampled_from(["png", "tiff"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_picture_of_any_size_depth_and_channels_comes_back_as_it_was(
    height: int, width: int, deep: bool, channels: int, with_alpha: bool, with_metadata: bool, format: str, seed: int
) -> None:
    dtype = np.uint16 if deep else np.uint8
    both = samples(height, width, 4, dtype, seed)
    picture = Picture(np.ascontiguousarray(both[:, :, :channels]), both[:, :, 3].copy() if with_alpha else None, everything() if with_metadata else Metadata())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.tmp"
        write_picture(picture, path, format)
        assert same(read_picture(path, max_pixels=LIMIT), picture)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_imagecodecs_and_tifffile_read_what_was_written(tmp_path: Path, dtype: type[np.uint8], channels: int, with_alpha: bool) -> None:
    pixels = photograph(dtype, channels)
    picture = Picture(pixels, pixels[:, :, 0].copy() if with_alpha else None, everything())
    expected = np.dstack([pixels, pixels[:, :, :1]]) if with_alpha else pixels
    write_picture(picture, tmp_path / "one.png", "png")
    write_picture(picture, tmp_path / "one.tif", "tiff")
    assert np.array_equal(imagecodecs.png_decode((tmp_path / "one.png").read_bytes()).reshape(expected.shape), expected)
    with tifffile.TiffFile(tmp_path / "one.tif") as file:
        assert np.array_equal(file.asarray().reshape(expected.shape), expected)
        assert file.pages.first.compression == 8
    assert np.array_equal(skimage_io.imread(tmp_path / "one.tif").reshape(expected.shape), expected)
    deep = dtype == np.uint16
    if deep and channels == 1 and with_alpha:
        return  # Pillow knows no 16-bit grey with alpha in TIFF
    with Image.open(tmp_path / "one.tif") as image:  # of 16-bit colour it gives the upper 8 bits
        assert np.array_equal(np.asarray(image).reshape(expected.shape), expected // 256 if deep and channels == 3 else expected)


@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate", "zstd", "packbits"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_of_other_writers_is_read_at_full_depth(tmp_path: Path, compression: str | None, byteorder: Order, planar: str, dtype: type[np.uint8]) -> None:
    pixels = photograph(dtype)
    stored = pixels.transpose(2, 0, 1) if planar == "separate" else pixels
    predictor = compression in ("lzw", "adobe_deflate", "zstd")
    path = tmp_path / "other.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, compression=compression, byteorder=byteorder, predictor=predictor, rowsperstrip=7)
    assert np.array_equal(read_picture(path, max_pixels=LIMIT).pixels, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiled_big_tiff_is_read(tmp_path: Path, dtype: type[np.uint8]) -> None:
    pixels = photograph(dtype)
    tifffile.imwrite(tmp_path / "big.tif", pixels, photometric="rgb", tile=(16, 32), bigtiff=True, compression="lzw")
    assert np.array_equal(read_picture(tmp_path / "big.tif", max_pixels=LIMIT).pixels, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_where_least_is_white_is_turned_over(tmp_path: Path, dtype: type[np.uint8]) -> None:
    pixels = photograph(dtype, 1)
    tifffile.imwrite(tmp_path / "white.tif", np.iinfo(dtype).max - pixels[:, :, 0], photometric="miniswhite")
    assert np.array_equal(read_picture(tmp_path / "white.tif", max_pixels=LIMIT).pixels, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_premultiplied_tiff_is_divided_by_its_alpha(tmp_path: Path, dtype: type[np.uint8]) -> None:
    full = int(np.iinfo(dtype).max)
    pixels, alpha = photograph(dtype), np.full((48, 64), full // 2, dtype)
    multiplied = (pixels * (alpha[:, :, None] / full)).round().astype(dtype)
    tifffile.imwrite(tmp_path / "pre.tif", np.dstack([multiplied, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    picture = read_picture(tmp_path / "pre.tif", max_pixels=LIMIT)
    assert picture.alpha is not None and np.array_equal(picture.alpha, alpha)
    assert np.abs(picture.pixels.astype(int) - pixels).max() <= 2


def test_an_extra_channel_that_is_no_alpha_is_left_out_and_noted(tmp_path: Path) -> None:
    pixels = photograph(np.uint16)
    tifffile.imwrite(tmp_path / "extra.tif", np.dstack([pixels, pixels[:, :, :1]]), photometric="rgb", extrasamples=["unspecified"])
    picture = read_picture(tmp_path / "extra.tif", max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, pixels)
    assert picture.alpha is None and picture.notes == ("1 further channel left out",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4, 5, 16])
def test_tiff_of_any_number_of_channels_comes_back_as_it_was(tmp_path: Path, dtype: type[np.uint8], channels: int) -> None:
    pixels = samples(9, 7, channels, dtype)
    assert write_picture(Picture(pixels, None, everything()), tmp_path / "x.tif", "tiff") == (
        "the ICC profile is for another kind of colours and was left out",
    )
    for wanted in (0, channels):
        assert same(read_picture(tmp_path / "x.tif", max_pixels=LIMIT, channels=wanted), Picture(pixels))
    assert np.array_equal(tifffile.imread(tmp_path / "x.tif"), pixels)


def test_rgb_with_opacity_is_four_channels_where_four_are_wanted(tmp_path: Path) -> None:
    pixels, alpha = photograph(), photograph()[:, :, 0].copy()
    write_picture(Picture(pixels, alpha), tmp_path / "x.tif", "tiff")
    assert same(read_picture(tmp_path / "x.tif", max_pixels=LIMIT), Picture(pixels, alpha))
    assert same(read_picture(tmp_path / "x.tif", max_pixels=LIMIT, channels=4), Picture(np.dstack([pixels, alpha])))


def test_12_bit_tiff_is_stretched_to_16(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2048, 4095]], np.uint16)
    packed = bytes.fromhex("".join(f"{value:03x}" for value in values[0]))  # two values in three bytes, most significant bits first
    tifffile.imwrite(tmp_path / "twelve.tif", iter([packed]), shape=values.shape, dtype=np.uint16, bitspersample=12, photometric="minisblack", rowsperstrip=1)
    assert read_picture(tmp_path / "twelve.tif", max_pixels=LIMIT).pixels[0, :, 0].tolist() == [0, 16, 32776, 65535]


def _png16(pixels: Pixels, *, interlaced: bool) -> bytes:
    """Return a PNG of 16 bits that is written by hand: filters none, sub and up in turn; Adam7 where interlaced (PNG 3, 8.2 and 9.2)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    def rows(part: Pixels) -> Iterator[bytes]:
        above = np.zeros(part[0].size * 2, np.uint8)
        for number, row in enumerate(part.astype(">u2")):
            own = np.frombuffer(row.tobytes(), np.uint8)
            left = np.concatenate([np.zeros(2 * pixels.shape[2], np.uint8), own])[: own.size]
            yield bytes([number % 3]) + (own - (0, left, above)[number % 3]).astype(np.uint8).tobytes()
            above = own

    height, width, channels = pixels.shape
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)] if interlaced else [(0, 0, 1, 1)]
    raw = b"".join(b"".join(rows(part)) for top, left, down, across in passes if (part := pixels[top::down, left::across]).size)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_16_bit_png_is_read_as_libpng_reads_it(channels: int, interlaced: bool) -> None:
    pixels = samples(21, 13, channels, np.uint16)
    data = _png16(pixels, interlaced=interlaced)
    assert np.array_equal(imagecodecs.png_decode(data).reshape(pixels.shape), pixels)
    assert np.array_equal(read_picture(data, max_pixels=LIMIT).samples, pixels)


def test_damaged_16_bit_png_costs_no_memory() -> None:
    data = _png16(samples(1000, 1000, 3, np.uint16), interlaced=False)
    raw = zlib.decompress(data[41:-16])
    body = b"IDAT" + zlib.compress(raw[: len(raw) // 2], 1)
    short = data[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + data[-12:]
    for number in range(25):
        with pytest.raises(PixlateError, match="truncated or damaged"):
            read_picture(short, max_pixels=LIMIT)
        if number == 4:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KB; 60 MB would be lost with what libpng had decoded


def test_16_bit_png_with_a_transparent_colour_has_alpha(tmp_path: Path) -> None:
    pixels = photograph(np.uint16)
    data = imagecodecs.png_encode(pixels)
    body = b"tRNS" + struct.pack(">3H", *pixels[5, 7])
    chunk = struct.pack(">I", 6) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "clear.png").write_bytes(data[:33] + chunk + data[33:])
    picture = read_picture(tmp_path / "clear.png", max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, pixels)
    assert picture.alpha is not None and picture.alpha[5, 7] == 0 and (picture.alpha == 65535).sum() == (pixels != pixels[5, 7]).any(axis=2).sum()
