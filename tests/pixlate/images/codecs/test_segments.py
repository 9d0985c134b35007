"""Strips and tiles of TIFF: every kind gives what tifffile gives, and no bytes crash, stall or blow up the reader."""

import struct
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.pixlate.images.conftest import LIMIT, photograph, samples, saved

from pixlate.errors import PixlateError
from pixlate.images import ImageFile, Picture, read_picture
from pixlate.images.codecs.segments import Tag, file_of
from pixlate.images.metadata.exif import EXIF_DIRECTORY
from pixlate.images.metadata.tags import Field, Order, append, first_directory, long, rewritten, short

BROKEN_LZW = bytes.fromhex("8000402000040a0b078140e01613098441e091289c5221038240e020")
"""Kills a process that has imagecodecs decode it a few times."""
ENCODE: dict[int, Callable[[bytes], bytes | bytearray]] = {
    1: bytes,
    5: imagecodecs.lzw_encode,
    8: zlib.compress,
    32773: imagecodecs.packbits_encode,
    34925: imagecodecs.lzma_encode,
    50000: imagecodecs.zstd_encode,
}
"""Number of a compression -> what makes it."""


def _read(data: bytes, channels: int = 0, limit: int = LIMIT) -> Picture:
    return read_picture(data, max_pixels=limit, channels=channels)


def _fields(width: int, height: int, count: int = 1, bits: int = 8, compression: int = 1, order: Order = "<", **more: int) -> dict[int, Field]:
    fields: dict[int, Field] = {
        Tag.WIDTH: long(order, width),
        Tag.HEIGHT: long(order, height),
        Tag.BITS: short(order, *[bits] * count),
        Tag.SAMPLES: short(order, count),
    }
    fields |= {Tag.COMPRESSION: short(order, compression), Tag.PHOTOMETRIC: short(order, 2 if count == 3 else 1), Tag.ROWS: long(order, height)}
    return {**fields, **{Tag[name.upper()]: long(order, value) for name, value in more.items()}}


def _written(pixels: NDArray[Any], **options: Any) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float16, np.float32, np.float64]),
    channels=st.integers(1, 5),
    compression=st.sampled_from([None, "lzw", "adobe_deflate", "deflate", "packbits", "zstd", "lzma"]),
    predictor=st.booleans(),
    order=st.sampled_from(["<", ">"]),
    planar=st.booleans(),
    layout=st.sampled_from([{}, {"rowsperstrip": 7}, {"tile": (16, 32)}]),
    big=st.booleans(),
)
def test_every_kind_of_storage_gives_what_tifffile_gives(
    height: int, width: int, dtype: Any, channels: int, compression: str | None, predictor: bool, order: Order, planar: bool, layout: dict[str, Any], big: bool
) -> None:
    drawn = samples(height, width, channels, np.uint16)
    pixels = (drawn / 65535).astype(dtype) if np.issubdtype(dtype, np.floating) else drawn.astype(dtype)
    stored = np.ascontiguousarray(pixels.transpose(2, 0, 1)) if planar and channels > 1 else pixels
    options: dict[str, Any] = {"planarconfig": "separate" if planar else "contig"} if channels > 1 else {}
    differences = predictor and compression not in (None, "packbits")
    data = _written(
        stored.astype(stored.dtype.newbyteorder(order)), photometric="minisblack", byteorder=order, bigtiff=big, compression=compression, predictor=differences,
        **layout, **options,
    )  # fmt: skip
    expected = tifffile.imread(BytesIO(data)).reshape(stored.shape)
    expected = expected.transpose(1, 2, 0) if planar and channels > 1 else expected
    found = _read(data, channels if channels not in (1, 3) else 7).pixels
    assert np.array_equal(found, expected.astype(np.float32) if np.issubdtype(dtype, np.floating) else expected)


@pytest.mark.parametrize("layout", [{"rowsperstrip": 7}, {"tile": (16, 32)}, {"rowsperstrip": 7, "planarconfig": "separate"}])
def test_large_pictures_are_decoded_part_by_part(layout: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate.images.codecs.segments._BATCH_BYTES", 3000)  # two strips, or a tile
    pixels = photograph(np.uint16)
    stored = pixels.transpose(2, 0, 1) if "planarconfig" in layout else pixels
    assert np.array_equal(_read(_written(stored, photometric="rgb", compression="lzw", predictor=True, **layout)).pixels, pixels)


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 15])
@pytest.mark.parametrize("compression", [1, 5, 8])
def test_packed_samples_are_spread_over_16_bits(bits: int, compression: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate.images.codecs.segments._UNPACKED", 70)  # two rows at once
    values = np.random.default_rng(bits).integers(0, 2**bits, (5, 11, 3))
    rows = b"".join(np.packbits(np.array([[value >> bit & 1 for bit in range(bits)[::-1]] for value in row.ravel()], np.uint8)).tobytes() for row in values)
    stored = bytes(ENCODE[compression](rows))
    pixels = _read(file_of("<", _fields(11, 5, 3, bits, compression), [stored])).pixels
    assert np.array_equal(pixels, np.rint(values / (2**bits - 1) * 65535))


def test_bits_in_reverse_order_are_read() -> None:
    pixels = samples(6, 7, 1)
    for compression in (1, 5, 8):
        turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in ENCODE[compression](pixels.tobytes()))
        assert np.array_equal(_read(file_of("<", _fields(7, 6, compression=compression, fill_order=2), [turned])).pixels, pixels)


def test_old_lzw_of_the_first_writers_is_read() -> None:
    """Codes begin at the lowest bit of a byte: clear, 7, 8, end, of 9 bits each."""
    codes = sum(code << 9 * index for index, code in enumerate((256, 7, 8, 257))).to_bytes(5, "little")
    assert _read(file_of("<", _fields(2, 1, compression=5), [codes])).pixels.ravel().tolist() == [7, 8]


def test_files_without_lengths_of_strips_are_read() -> None:
    pixels = samples(6, 7, 1)
    for compression, stored in ((1, pixels.tobytes()), (8, zlib.compress(pixels.tobytes()))):
        data = file_of("<", _fields(7, 6, compression=compression), [stored])
        main = first_directory(BytesIO(data))
        assert np.array_equal(_read(rewritten(bytearray(data), main, {Tag.STRIP_COUNTS: None})).pixels, pixels)


def test_last_strip_may_be_padded_to_the_rows_of_the_others() -> None:
    pixels = samples(5, 7, 1)
    strips = [pixels[:4].tobytes(), np.pad(pixels[4:], ((0, 3), (0, 0), (0, 0))).tobytes()]
    for compression, encode in ENCODE.items():
        data = file_of("<", _fields(7, 5, compression=compression, rows=4), [bytes(encode(strip)) for strip in strips])
        assert np.array_equal(_read(data).pixels, pixels)


@pytest.mark.parametrize("name", ["jpegxl", "webp", "jpeg2000", "jpegxr", "lerc"])
def test_other_compressions_are_refused_by_name(name: str) -> None:
    data = _written(photograph(), photometric="rgb", compression=name)  # the header shows it, so that a dry run says it
    said = {"jpegxl": "JPEG XL", "webp": "WebP", "jpeg2000": "JPEG 2000", "jpegxr": "JPEG XR", "lerc": "LERC"}[name]
    with pytest.raises(PixlateError, match=f"^unsupported compression of a TIFF: {said}; save the file with deflate, LZW or none$"):
        ImageFile(data, max_pixels=LIMIT)


def test_other_compressions_are_refused_in_later_pages_too() -> None:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for compression in ("lzw", "jpegxr"):
            writer.write(photograph()[:, :, 0], photometric="minisblack", compression=compression)
    with pytest.raises(PixlateError, match=r"^unsupported compression of a TIFF: JPEG XR"):
        _read(stream.getvalue(), 2)
    with ImageFile(stream.getvalue(), max_pixels=LIMIT) as file:
        frames = file.frames()
        assert next(frames).picture.pixels.shape == (48, 64, 1)
        with pytest.raises(PixlateError, match=r"^unsupported compression of a TIFF: JPEG XR"):
            next(frames)


def test_compression_without_a_name_is_refused_by_its_number() -> None:
    with pytest.raises(PixlateError, match=r"^unsupported compression of a TIFF: number 4711;"):
        _read(file_of("<", _fields(4, 4, compression=4711), [bytes(16)]))


@pytest.mark.parametrize(("bits", "photometric"), [(6, 1), (3, 2), (16, 3)])
def test_other_depths_and_colours_are_called_unsupported(bits: int, photometric: int) -> None:
    fields = _fields(4, 4, 3 if photometric == 2 else 1, bits) | {Tag.PHOTOMETRIC: short("<", photometric)}
    with pytest.raises(PixlateError, match=r"^unsupported "):
        _read(file_of("<", fields, [bytes(100)]))


@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_of_0_to_1_is_read(photometric: str, dtype: Any) -> None:
    pixels = (photograph(np.uint16, 3 if photometric == "rgb" else 1) / 65535).astype(dtype)
    picture = _read(_written(pixels if photometric == "rgb" else pixels[:, :, 0], photometric=photometric))
    assert picture.pixels.dtype == np.float32 and np.array_equal(picture.pixels, pixels.astype(np.float32))


def test_samples_that_are_no_numbers_are_refused() -> None:
    pixels = np.zeros((5, 6), np.float32)
    pixels[2, 3] = np.nan
    with pytest.raises(PixlateError, match=r"^expected numbers as samples, got some that are none \(NaN\); replace them in the file"):
        _read(_written(pixels))


def test_floating_point_beyond_white_is_scene_linear_light() -> None:
    pixels = np.zeros((5, 6), np.float32)
    pixels[2, 3], pixels[1] = 1.5, 0.25
    picture = _read(_written(pixels))
    assert picture.peak == 1.5 and np.array_equal(picture.pixels[:, :, 0], pixels) and not picture.notes


def test_floating_point_below_0_is_read_as_0_with_a_note() -> None:
    pixels = np.zeros((5, 6), np.float32)
    pixels[2, 3], pixels[1] = -0.1, np.inf
    picture = _read(_written(pixels))
    assert picture.peak == 1 and picture.pixels.min() == 0 and picture.pixels[1].tolist() == [[1]] * 6
    assert picture.notes == ("6 samples are infinite, read as 1, the brightest there is, or as 0", "1 sample is below 0, read as 0")


def test_premultiplied_floating_point_is_divided_by_its_alpha() -> None:
    pixels, alpha = (samples(4, 5, 3) / 255).astype(np.float32), np.full((4, 5, 1), 0.25, np.float32)
    alpha[0] = 0
    picture = _read(_written(np.concatenate([pixels * alpha, alpha], 2), photometric="rgb", extrasamples=["assocalpha"]))
    assert picture.alpha is not None and np.array_equal(picture.alpha, alpha[:, :, 0])
    assert np.abs(picture.pixels[1:] - pixels[1:]).max() < 1e-6 and not picture.pixels[0].any()


def test_channels_are_pages_planes_samples_or_images_behind_each_other() -> None:
    stack = samples(9, 7, 5, np.uint16).transpose(2, 0, 1)
    pages = BytesIO()
    with tifffile.TiffWriter(pages) as writer:
        for plane in stack:
            writer.write(plane, compression="lzw", photometric="minisblack")
        writer.write(stack[0, :3], photometric="minisblack")  # a smaller picture is no channel
    behind = file_of(">", _fields(7, 9, 1, 16, order=">"), [stack.astype(">u2").tobytes()])
    described = rewritten(bytearray(behind), first_directory(BytesIO(behind)), {270: Field(2, 33, b"ImageJ=1.54f\nimages=5\nslices=5\n\0\0")})
    for data in (pages.getvalue(), described, _written(stack, imagej=True), _written(stack, metadata={"axes": "CYX"})):
        assert np.array_equal(_read(data, 5).pixels, stack.transpose(1, 2, 0))
    with pytest.raises(PixlateError, match=r"^expected a TIFF of height, width and channels, got 2 pages of 3 channels; save one image a file$"):
        _read(_written(samples(2 * 9, 7, 3).reshape(2, 9, 7, 3), photometric="rgb"), 5)
    with pytest.raises(PixlateError, match="truncated or damaged"):
        _read(described.replace(b"images=5", b"images=9"), 5)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [0, 5])
def test_broken_lzw_is_one_sentence(bits: int, channels: int) -> None:
    data = file_of("<", _fields(400 * 8 // bits, 250, 1, bits, 5), [BROKEN_LZW])
    for _ in range(20):
        with pytest.raises(PixlateError, match="truncated or damaged"):
            _read(data, channels)


@pytest.mark.parametrize("compression", sorted(ENCODE))
def test_strip_that_holds_less_than_its_rows_is_damaged(compression: int) -> None:
    stored = bytes(ENCODE[compression](samples(5, 7, 1).tobytes()))
    assert _read(file_of("<", _fields(7, 5, compression=compression), [stored])).pixels.shape == (5, 7, 1)
    with pytest.raises(PixlateError, match="truncated or damaged"):
        _read(file_of("<", _fields(7, 6, compression=compression), [stored]))


def test_wrong_checksum_of_deflate_is_damage() -> None:
    stored = zlib.compress(samples(5, 7, 1).tobytes())
    with pytest.raises(PixlateError, match="truncated or damaged"):
        _read(file_of("<", _fields(7, 5, compression=8), [stored[:-1] + bytes([stored[-1] ^ 1])]))


def test_many_samples_a_pixel_are_refused_before_they_are_decoded() -> None:
    plane = zlib.compress(bytes(1000 * 1000))
    data = file_of("<", _fields(1000, 1000, 1500, compression=8, planar=2), [plane] * 3)
    for channels in (0, 3, 5, 1500):
        with pytest.raises(PixlateError, match="got 1000 x 1000 of 1500 channels"):
            _read(data, channels)


def test_strips_that_all_name_the_same_bytes_are_refused() -> None:
    data = bytearray(file_of("<", _fields(100, 100, 9, compression=8, planar=2), [zlib.compress(samples(100, 100, 1).tobytes())] + [b""] * 8))
    main = first_directory(BytesIO(data))
    same: dict[int, Field | None] = {tag: long("<", *[main.number(tag)] * 9) for tag in (Tag.STRIP_OFFSETS, Tag.STRIP_COUNTS)}
    with pytest.raises(PixlateError, match="its strips name the same bytes many times"):
        _read(rewritten(data, main, same), 9)


def test_large_tile_of_a_small_picture_is_refused() -> None:
    for side in (60_000, 2**31):
        data = file_of("<", _fields(10, 10, compression=8, tile_width=side, tile_height=side), [b"x"], tiled=True)
        with pytest.raises(PixlateError, match=f"^expected tiles of at most 4.* million samples, got {side} x {side} of 1 channels"):
            _read(data, limit=1000)


def test_more_strips_than_a_picture_has_are_not_looked_at() -> None:
    pixels = samples(2, 3, 1)
    data = bytearray(file_of("<", _fields(3, 2), [pixels.tobytes()]))
    main = first_directory(BytesIO(data))
    many = Field(4, 500_000, struct.pack("<I", main.number(Tag.STRIP_OFFSETS)) + bytes(4 * 499_999))
    assert np.array_equal(_read(rewritten(data, main, {Tag.STRIP_OFFSETS: many})).pixels, pixels)
    with pytest.raises(PixlateError, match="expected at most 200000 strips or tiles in a TIFF, got 1000000"):
        _read(file_of("<", _fields(1, 10**6, rows=1), [b"x"]))


def test_of_tags_that_come_twice_the_first_counts_for_every_reader() -> None:
    palette = saved(Image.fromarray(photograph()).quantize(9), "TIFF")
    grey = file_of("<", _fields(7, 6), [samples(6, 7, 1).tobytes()])
    for data in (palette, grey):
        first = _read(data)
        main = first_directory(BytesIO(data))
        lines = [(Tag.WIDTH, long("<", 4000)), (Tag.HEIGHT, long("<", 5)), (Tag.BITS, short("<", 16)), (Tag.PHOTOMETRIC, short("<", 0))]
        block = bytearray(data)
        twice = sorted([*main.entries.items(), *lines], key=lambda line: line[0])
        table = struct.pack("<H", len(twice)) + b"".join(struct.pack("<HHI4s", tag, *field) for tag, field in twice) + bytes(4)
        block[4:8] = struct.pack("<I", append(block, table))
        assert np.array_equal(_read(bytes(block)).pixels, first.pixels)


def test_strip_of_jpeg_with_very_many_scans_is_refused() -> None:
    image = saved(Image.fromarray(photograph(channels=1)[:, :, 0]), "JPEG", progressive=True)
    scan = image[image.rfind(b"\xff\xda") : -2]
    assert _read(file_of("<", _fields(64, 48, compression=7), [image])).pixels.shape == (48, 64, 1)
    with pytest.raises(PixlateError, match=r"^expected at most 100 scans in a progressive JPEG of 64 x 48, got more"):
        _read(file_of("<", _fields(64, 48, compression=7), [image[:-2] + scan * 120 + image[-2:]]))


def test_raw_photographs_are_named_and_not_taken_for_their_thumbnail() -> None:
    thumbnail = _fields(4, 4) | {254: long("<", 1), 330: long("<", 8, 8)}
    sensor = _fields(4, 4, bits=16) | {Tag.PHOTOMETRIC: short("<", 32803)}
    for fields in (thumbnail, sensor):
        with pytest.raises(PixlateError, match=r"^a RAW photograph .* is not read as TIFF; give the file its own suffix, such as \.dng, "):
            _read(file_of("<", fields, [bytes(32)]))


def test_long_metadata_is_left_out_with_a_note() -> None:
    fields = _fields(4, 4) | {700: Field(1, 17 << 20, b"x" * (17 << 20))}
    picture = _read(file_of("<", fields, [bytes(16)]))
    assert picture.metadata.xmp == b"" and picture.notes == ("the XMP block is longer than 16 MB and was left out",)


@pytest.mark.parametrize(
    ("mode", "compression"), [("1", "group4"), ("L", "jpeg"), ("P", "packbits"), ("RGB", "jpeg"), ("RGB", "tiff_lzw"), ("CMYK", "tiff_lzw")]
)
def test_pillows_limit_of_pixels_is_not_used(mode: str, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.fromarray(photograph()).convert(mode), "TIFF", compression=compression)
    before = _read(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    assert np.array_equal(_read(data).pixels, before.pixels)


def test_exif_whose_entries_name_the_same_bytes_does_not_grow() -> None:
    block = bytearray(file_of("<", _fields(4, 4), [bytes(16)]))
    blob = append(block, b"blob" * 10_000)
    table = struct.pack("<H", 1500) + b"".join(struct.pack("<HHII", 40_000 + index, 7, 40_000, blob) for index in range(1500)) + bytes(4)
    main = first_directory(BytesIO(block))
    data = rewritten(block, main, {EXIF_DIRECTORY: long("<", append(block, table))})
    picture = _read(data)
    assert picture.notes == ("values of the EXIF directory that together are longer than the file were left out",)
    inner = first_directory(BytesIO(picture.metadata.exif)).directory(EXIF_DIRECTORY)
    assert len(picture.metadata.exif) < len(data) and inner is not None and inner.data(40_000) == b"blob" * 10_000


def test_directories_are_bounded_in_entries_and_number() -> None:
    line = struct.pack("<HHII", 40_000, 3, 1, 0)
    with pytest.raises(PixlateError, match="a directory of 5000 entries"):
        _read(b"II*\0" + struct.pack("<IH", 8, 5000) + line * 5000 + bytes(4))
    chain = b"".join(struct.pack("<HI", 0, 8 + 6 * (index + 1)) for index in range(30_000))
    data = b"II*\0" + struct.pack("<I", 8) + chain
    assert len(first_directory(BytesIO(data)).chain()) == 10_000
    assert len(first_directory(BytesIO(data[: 8 + 6 * 9] + struct.pack("<HI", 0, 8))).chain()) == 10, "a page that leads back"


def test_directories_inside_each_other_are_not_followed() -> None:
    """Each page begins inside the page before: 120 KB would make ten thousand pages of 4,000 entries."""
    body = bytearray(200_000)
    for offset in range(0, len(body), 2):
        struct.pack_into("<H", body, offset, 4000)
    data = b"II*\0" + struct.pack("<I", 8) + bytes(body)
    assert len(first_directory(BytesIO(data)).chain()) <= len(data) // 48_000 + 1


@pytest.mark.skipif(sys.platform == "win32", reason="libtiff is found by its symbols")
def test_damaged_lzw_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(saved(Image.fromarray(photograph()), "TIFF", compression="tiff_lzw"))
    data[40:200] = b"\xff" * 160
    with pytest.raises(PixlateError, match="damaged"):
        read_picture(bytes(data), max_pixels=LIMIT)
    assert capfd.readouterr().err == ""
