"""An error in a file is one sentence, and a damaged picture is never returned."""

import os
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.pixlate.images import hostile
from tests.pixlate.images.conftest import FORMATS, LIMIT, everything, exif_block, photograph, same, saved, size_of

from pixlate.errors import PixlateError
from pixlate.images import BUILT_IN, Picture, read_picture, write_picture
from pixlate.plugin.image_format import ImageFormat


def _written(format: str, dtype: type[np.uint8] | type[np.uint16]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        write_picture(Picture(photograph(dtype), None, everything()), path, format)
        return path.read_bytes()


WHOLE = {
    (format, deep): _written(format, np.uint16 if deep else np.uint8) for format in FORMATS for deep in (False, True) if format in ("png", "tiff") or not deep
}
CASES = st.sampled_from(sorted(WHOLE))


def _read(data: bytes) -> Picture | None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(data)
        try:
            return read_picture(path, max_pixels=LIMIT)
        except PixlateError as error:
            assert str(error) and "\n" not in str(error) and folder not in str(error)
            return None


@settings(max_examples=400, deadline=None)
@given(case=CASES, share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused_or_gives_the_whole_picture(case: tuple[str, bool], share: float) -> None:
    picture = _read(WHOLE[case][: int(len(WHOLE[case]) * share)])
    if picture is not None:
        whole = _read(WHOLE[case])
        assert whole is not None and same(picture, whole)


@settings(max_examples=200, deadline=None)
@given(case=st.sampled_from([("jpeg", False), ("png", False), ("png", True)]), share=st.floats(0, 1, exclude_max=True))
def test_a_file_whose_end_is_zeros_is_refused_or_gives_the_whole_picture(case: tuple[str, bool], share: float) -> None:
    data = WHOLE[case]
    kept = int(len(data) * share)
    picture = _read(data[:kept] + bytes(len(data) - kept))
    if picture is not None:
        whole = _read(data)
        assert whole is not None and same(picture, whole)


@pytest.mark.filterwarnings("default")
@settings(max_examples=400, deadline=None)
@given(case=CASES, share=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_changed_byte_raises_nothing_but_pixlate_error(case: tuple[str, bool], share: float, value: int) -> None:
    data = bytearray(WHOLE[case])
    data[int(len(data) * share)] = value
    _read(bytes(data))


@pytest.mark.parametrize("case", sorted(WHOLE))
def test_half_a_file_is_called_truncated_or_damaged(file: Callable[[str, bytes], Path], case: tuple[str, bool]) -> None:
    with pytest.raises(PixlateError, match=r"truncated or damaged"):
        read_picture(file("half", WHOLE[case][: len(WHOLE[case]) // 2]), max_pixels=LIMIT)


@pytest.mark.parametrize(("bits", "colour", "samples"), [(8, 2, 3), (1, 0, 1), (2, 3, 1), (16, 6, 4), (8, 4, 2)])
@pytest.mark.parametrize("interlaced", [0, 1])
def test_png_of_fewer_pixels_than_its_header_says_is_damaged(bits: int, colour: int, samples: int, interlaced: int) -> None:
    """However well its data end: ten pixels by nine; interlaced, the passes are of 2 x 2, 1 x 2, 3 x 1, 2 x 3, 5 x 2, 5 x 5 and 10 x 4."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    passes = [(2, 2), (1, 2), (3, 1), (2, 3), (5, 2), (5, 5), (10, 4)] if interlaced else [(10, 9)]
    size = sum(rows * (1 + -(-columns * samples * bits // 8)) for columns, rows in passes)
    for length in (size, size - 1):
        body = zlib.compress(bytes(length))
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 9, bits, colour, 0, 0, interlaced)) + chunk(b"PLTE", bytes(12))
        data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body[:5]) + chunk(b"IDAT", body[5:]) + chunk(b"IEND", b"")
        if length == size:
            assert read_picture(data, max_pixels=LIMIT).pixels.shape[:2] == (9, 10)
        else:
            with pytest.raises(PixlateError, match=r"truncated or damaged .pixels are missing"):
                read_picture(data, max_pixels=LIMIT)


@pytest.mark.parametrize("read", [lambda path: read_picture(path, max_pixels=LIMIT), size_of])
def test_a_file_that_is_not_an_image_is_refused_with_its_real_type(tmp_path: Path, file: Callable[[str, bytes], Path], read: Callable[[Path], object]) -> None:
    with pytest.raises(PixlateError, match=r"the file is empty"):
        read(file("empty.png", b""))
    with pytest.raises(PixlateError, match=r"expected JPEG, got a file that is none of JPEG, PNG"):
        read(file("text.jpg", b"hello, world" * 9))
    with pytest.raises(PixlateError, match=r"got a folder"):
        read(tmp_path)
    with pytest.raises(PixlateError, match=r"no such file"):
        read(tmp_path / "missing.png")


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="the administrator may read everything")
def test_a_file_that_may_not_be_read_says_so(file: Callable[[str, bytes], Path]) -> None:
    path = file("locked.png", WHOLE["png", False])
    path.chmod(0)
    with pytest.raises(PixlateError, match=r"permission denied"):
        read_picture(path, max_pixels=LIMIT)


def test_permission_denied_is_one_sentence(file: Callable[[str, bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    path = file("locked.png", WHOLE["png", False])
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(PixlateError, match=r"^permission denied; make the file readable for this user$"):
        read_picture(path, max_pixels=LIMIT)


def _png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IEND\xaeB`\x82"


@pytest.mark.parametrize("read", [lambda path: read_picture(path, max_pixels=LIMIT), size_of])
def test_a_header_of_60000_by_60000_is_refused_before_decoding(file: Callable[[str, bytes], Path], read: Callable[[Path], object]) -> None:
    with pytest.raises(PixlateError, match=r"at most 100 million pixels, got 60000 x 60000 = 3600 million; raise the limit with --max-pixels"):
        read(file("bomb.png", _png_header(60_000, 60_000)))


@pytest.mark.parametrize("format", FORMATS)
def test_the_limit_holds_for_every_format_and_lets_its_own_size_pass(file: Callable[[str, bytes], Path], format: str) -> None:
    path = file("x", WHOLE[format, False])
    assert read_picture(path, max_pixels=64 * 48).pixels.shape == (48, 64, 3)
    with pytest.raises(PixlateError, match=r"--max-pixels"):
        read_picture(path, max_pixels=64 * 48 - 1)


def test_many_channels_count_against_the_limit_before_they_are_decoded(tmp_path: Path) -> None:
    write_picture(Picture(np.zeros((10, 10, 9), np.uint8)), tmp_path / "x.tif", "tiff")
    assert read_picture(tmp_path / "x.tif", max_pixels=225).pixels.shape == (10, 10, 9)
    with pytest.raises(PixlateError, match=r"at most 0.000896 million samples, 4 for each of --max-pixels, got 10 x 10 of 9 channels"):
        read_picture(tmp_path / "x.tif", max_pixels=224)


@pytest.mark.parametrize("format", ["png", "jpeg", "bmp", "tiff", "webp", "gif"])
def test_pillows_own_pixel_limit_is_neither_used_nor_changed(file: Callable[[str, bytes], Path], format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file("x", WHOLE[format, False])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(Image.DecompressionBombError), Image.open(path):
        pass
    assert read_picture(path, max_pixels=LIMIT).pixels.shape == (48, 64, 3)
    assert Image.MAX_IMAGE_PIXELS == 5


def test_pillows_pixel_limit_is_reported_in_one_sentence_when_it_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    disposed = hostile.gif(8, 8, [(0, 0, 8, 8)] * 2, b"\x21\xf9\4\x08\0\0\0\0")
    with pytest.raises(PixlateError, match="which is what Pillow decodes in this format"):
        read_picture(disposed, max_pixels=LIMIT)


@pytest.mark.parametrize(("width", "height", "control"), [(20, 10, b""), (8, 8, b""), (20, 10, b"\x21\xf9\4\x08\0\0\0\0")])
def test_gif_whose_frame_reaches_beyond_or_is_disposed_of_leaves_pillows_limit_aside(
    width: int, height: int, control: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = hostile.gif(width, height, [(19, 9, 1, 1)], control)
    with Image.open(BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    assert np.array_equal(np.broadcast_to(read_picture(data, max_pixels=200).pixels, (10, 20, 3)), expected)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_a_corrupt_byte_in_exif_does_not_lose_the_picture(share: float, value: int, cut: bool) -> None:
    block = bytearray(exif_block())
    position = int(len(block) * share)
    block[position] = value
    picture = _read(saved(Image.fromarray(photograph()), "JPEG", exif=b"Exif\0\0" + bytes(block[:position] if cut else block)))
    assert picture is not None and sorted(picture.pixels.shape) == [3, 48, 64]
    with TemporaryDirectory() as folder:
        for format in ("jpeg", "tiff", "webp"):
            write_picture(picture, Path(folder) / "x", format)
            assert same_size(read_picture(Path(folder) / "x", max_pixels=LIMIT), picture)


def same_size(first: Picture, second: Picture) -> bool:
    return first.pixels.shape == second.pixels.shape


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.uint32, "32-bit whole numbers"),
        (np.int16, "16-bit signed whole numbers"),
        (np.int8, "8-bit signed whole numbers"),
        (np.complex64, "64-bit complex or mixed numbers"),
    ],
)
def test_samples_that_are_neither_unsigned_nor_floating_point_are_refused_by_name(tmp_path: Path, dtype: type[np.generic], name: str) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.ones((5, 6), dtype), photometric="minisblack")
    with pytest.raises(PixlateError, match=rf"^unsupported samples of a TIFF: {name}; convert the file to (unsigned )?16 bits$"):
        read_picture(tmp_path / "x.tif", max_pixels=LIMIT)


def test_memory_that_runs_out_is_one_sentence(file: Callable[[str, bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr("pixlate.images.codecs.decode.as_stored", exhausted)
    with pytest.raises(PixlateError, match=r"does not fit in memory"):
        read_picture(file("x", WHOLE["jpeg", False]), max_pixels=LIMIT)


def test_four_threads_read_and_write_the_same_as_one(tmp_path: Path) -> None:
    paths = []
    for number, case in enumerate(sorted(WHOLE) * 6):
        path = tmp_path / f"{number}"
        path.write_bytes(WHOLE[case])
        paths.append(path)
    alone = [read_picture(path, max_pixels=LIMIT) for path in paths]

    def there_and_back(path: Path) -> Picture:
        copy = path.with_name(f"{path.name}.copy")
        write_picture(read_picture(path, max_pixels=LIMIT), copy, "tiff")
        return read_picture(copy, max_pixels=LIMIT)

    with ThreadPoolExecutor(4) as threads:
        assert all(same(one, other) for one, other in zip(alone, threads.map(there_and_back, paths), strict=True))


def test_every_suffix_leads_to_its_format_whatever_its_case(file: Callable[[str, bytes], Path]) -> None:
    for suffix, format in BUILT_IN.items():
        assert read_picture(file(f"x{suffix.upper()}", WHOLE[format.name, False]), max_pixels=LIMIT).notes == ()


def test_content_that_differs_from_the_suffix_is_read_and_noted(file: Callable[[str, bytes], Path]) -> None:
    assert read_picture(file("x.jpg", WHOLE["png", False]), max_pixels=LIMIT).notes == ("the file is PNG inside, whatever its name says",)
    assert read_picture(file("x.part", WHOLE["png", False]), max_pixels=LIMIT).notes == ()


def _dots(path: Path) -> Picture:
    if path.stat().st_size < 3:
        raise ValueError("too few dots")
    return Picture(np.zeros((2, 5, 1), np.uint8))


def test_a_plugins_format_is_read_by_the_plugin(file: Callable[[str, bytes], Path]) -> None:
    formats = {".dots": ImageFormat("dots", (".dots",), _dots)}
    path = file("x.DOTS", b"...")
    assert read_picture(path, max_pixels=LIMIT, formats=formats).pixels.shape == (2, 5, 1)
    assert size_of(path, formats) == (5, 2)
    with pytest.raises(PixlateError, match=r"--max-pixels"):
        read_picture(path, max_pixels=9, formats=formats)
    with pytest.raises(PixlateError, match=r"the dots file is truncated or damaged .too few dots"):
        read_picture(file("y.dots", b"."), max_pixels=LIMIT, formats=formats)


def test_a_plugin_that_gives_no_picture_is_named(file: Callable[[str, bytes], Path]) -> None:
    formats = {".odd": ImageFormat("odd", (".odd",), lambda path: path)}
    with pytest.raises(PixlateError, match=r"expected a Picture from the plugin that reads odd"):
        read_picture(file("x.odd", b"1"), max_pixels=LIMIT, formats=formats)


def test_a_broken_exif_block_does_not_lose_the_picture(file: Callable[[str, bytes], Path]) -> None:
    picture = read_picture(file("x.jpg", saved(Image.fromarray(photograph()), "JPEG", exif=b"Exif\0\0garbage that is no TIFF")), max_pixels=LIMIT)
    assert picture.pixels.shape == (48, 64, 3) and picture.metadata.exif == b""


def test_the_picture_of_a_closed_reader_stays_usable(file: Callable[[str, bytes], Path]) -> None:
    path = file("x.jpg", WHOLE["jpeg", False])
    picture = read_picture(path, max_pixels=LIMIT)
    path.unlink()
    with Image.open(BytesIO(WHOLE["jpeg", False])) as image:
        assert np.array_equal(picture.pixels, np.asarray(image))
    assert picture.pixels.flags.writeable and picture.pixels.flags.c_contiguous
