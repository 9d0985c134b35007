"""One ImageFile from header to pixels, frames, arrays, and formats that a plugin reads and writes."""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from tests.pixlate.images.conftest import FORMATS, LIMIT, everything, photograph, same, samples, saved

from pixlate.errors import PixlateError
from pixlate.images import BUILT_IN, ImageFile, Picture, read_picture, write_picture
from pixlate.images.formats import by_suffix, named
from pixlate.images.write import encode_picture
from pixlate.plugin.image_format import Frame, Header, ImageFormat, Opened

File = Callable[[str, bytes], Path]


@pytest.mark.parametrize("format", FORMATS)
def test_file_is_opened_once_and_its_bytes_give_the_same(tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    write_picture(Picture(photograph()), path, format)
    opened: list[Path] = []
    real = Path.open

    def counted(self: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(self)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", counted)
    with ImageFile(path, max_pixels=LIMIT) as file:
        assert (file.format.name, file.size) == (format, (64, 48))
        picture = file.read()
    assert opened == [path]
    assert same(picture, read_picture(path.read_bytes(), max_pixels=LIMIT))


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"webp", "avif"}))  # whose decoders need the whole file for its size
def test_size_is_known_without_reading_the_pixels(tmp_path: Path, format: str) -> None:
    path = tmp_path / "x"
    write_picture(Picture(samples(900, 1200, 3)), path, format)
    with ImageFile(path, max_pixels=LIMIT) as file:
        assert file.size == (1200, 900)
        assert file._stream.tell() < 300_000 or format in ("tiff", "npy")  # which look at their end, and read nothing in between


@pytest.mark.parametrize(("format", "durations"), [("GIF", [40, 70, 100]), ("PNG", [40, 70, 100]), ("WEBP", [40, 70, 100]), ("AVIF", [40, 70, 100])])
def test_frames_come_one_by_one_with_their_time(file: File, format: str, durations: list[int]) -> None:
    images = [Image.fromarray(np.full((16, 24, 3), level, np.uint8)) for level in (20, 120, 220)]
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    path = file("x", saved(images[0], format, save_all=True, append_images=images[1:], duration=durations, **options))
    with ImageFile(path, max_pixels=LIMIT) as opened:
        frames = list(opened.frames())
    assert [frame.duration for frame in frames] == pytest.approx(durations, abs=1)
    assert [round(float(frame.picture.pixels.mean()) / 100) for frame in frames] == [0, 1, 2]
    assert all(frame.count == 3 and frame.picture.pixels.shape == (16, 24, 3) and frame.picture.notes == () for frame in frames)


def test_pages_of_a_tiff_are_frames_of_their_own_size_and_orientation(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(photograph(np.uint16), photometric="rgb")
        writer.write(photograph(channels=1)[:20, :30, 0], photometric="minisblack", extratags=[(274, 3, 1, 6, True)])
    with ImageFile(tmp_path / "x.tif", max_pixels=LIMIT) as opened:
        first, second = opened.frames()
    assert np.array_equal(first.picture.pixels, photograph(np.uint16)) and first.count == 2
    assert np.array_equal(second.picture.pixels, np.rot90(photograph(channels=1)[:20, :30], -1))


def test_later_page_counts_against_the_limit(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(np.zeros((4, 4), np.uint8))
        writer.write(np.zeros((40, 40), np.uint8))
    with ImageFile(tmp_path / "x.tif", max_pixels=20) as opened:
        frames = opened.frames()
        assert next(frames).picture.pixels.shape == (4, 4, 1)
        with pytest.raises(PixlateError, match="40 x 40"):
            next(frames)


def test_tiff_of_many_channels_is_grey_or_rgb_for_a_reader_that_takes_those(tmp_path: Path) -> None:
    pixels = samples(9, 7, 6)
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", extrasamples=["unspecified"] * 3)
    picture = read_picture(tmp_path / "x.tif", max_pixels=LIMIT, channels=3)
    assert np.array_equal(picture.pixels, pixels[:, :, :3]) and picture.notes == ("3 further channels left out",)
    assert np.array_equal(read_picture(tmp_path / "x.tif", max_pixels=LIMIT).pixels, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_arrays_of_any_type_and_channels_come_back_as_they_were(tmp_path: Path, dtype: type[Any], channels: int) -> None:
    pixels = (samples(6, 5, channels) * 3.5 - 9).astype(np.float32) if dtype == np.float32 else samples(6, 5, channels, dtype)
    assert write_picture(Picture(pixels), tmp_path / "x.npy", "npy") == ()
    assert np.array_equal(np.load(tmp_path / "x.npy"), pixels)
    assert same(read_picture(tmp_path / "x.npy", max_pixels=LIMIT), Picture(pixels))


@pytest.mark.parametrize("array", [samples(6, 5, 3, np.uint16).astype(">u2"), np.asfortranarray(samples(6, 5, 3)), samples(6, 5, 1)[:, :, 0]])
def test_arrays_of_other_layouts_are_read(tmp_path: Path, array: NDArray[Any]) -> None:
    np.save(tmp_path / "x.npy", array)
    picture = read_picture(tmp_path / "x.npy", max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, array.reshape(6, 5, -1)) and picture.pixels.flags.c_contiguous and picture.pixels.dtype.isnative


def test_array_that_claims_more_than_it_holds_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"shape": (9000, 9000, 4), "fortran_order": False, "descr": "<f4"})
    with pytest.raises(PixlateError, match=r"truncated or damaged .its samples end too soon"):
        ImageFile(tmp_path / "x.npy", max_pixels=LIMIT)
    np.save(tmp_path / "code.npy", np.array([[["text"]]], object), allow_pickle=True)
    with pytest.raises(PixlateError, match="Python objects, which are never read"):
        ImageFile(tmp_path / "code.npy", max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("descr", "shape", "sentence"),
    [
        ("'<f4'", "(" + "-" * 900 + "1, 2, 3)", "truncated or damaged"),
        ("'<f4'", "(" * 9000, "truncated or damaged"),
        ("'<f4'", "(1" + "0" * 900 + ", 2, 3)", "its samples end too soon"),
        ("'<f4'", "(True, True, True)", r"^expected an array of .height, width, channels., got \(True, True, True\)"),
        ("'<f4'", "(-1, 2, 3)", "2 x -1 pixels"),
        ("'|V0'", "(9000, 9000, 4)", r"^expected samples of uint8, uint16 or floating point, got \|V0"),
        ("('<f4', (9000, 9000))", "(1, 1, 1)", "^unsupported samples of an array: records; save one number a sample$"),
        ("[('red', '<f4')]", "(1, 1, 1)", "^unsupported samples of an array: records; save one number a sample$"),
    ],
)
def test_array_whose_header_is_absurd_is_one_sentence(descr: str, shape: str, sentence: str) -> None:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    with pytest.raises(PixlateError, match=sentence):
        read_picture(b"\x93NUMPY\2\0" + struct.pack("<I", len(text)) + text + bytes(64), max_pixels=10**9)


def test_array_notes_what_it_cannot_hold(tmp_path: Path) -> None:
    pixels = photograph()
    notes = write_picture(Picture(pixels, pixels[:, :, 0].copy(), everything()), tmp_path / "x", "npy")
    assert notes == ("NPY cannot hold EXIF, the ICC profile, XMP and the resolution", "NPY holds no transparency; laid on white")


@pytest.mark.parametrize(
    ("pixels", "format", "sentence"),
    [
        (np.zeros((4, 5, 5), np.uint8), "png", "expected a picture of 1 or 3 channels of uint8 or uint16 in PNG, got 5 of uint8; use --format tiff or npy"),
        (np.zeros((4, 5, 3), np.float32), "jpeg", "expected a picture of 1 or 3 channels of uint8 in JPEG, got 3 of float32; use --format tiff or npy"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_formats_that_can(pixels: NDArray[Any], format: str, sentence: str) -> None:
    assert not named(BUILT_IN)[format].holds(pixels.shape[2], pixels.dtype, (5, 4))
    with pytest.raises(PixlateError, match=f"^{sentence}$"):
        encode_picture(Picture(pixels), format)


def test_a_format_holds_what_it_writes_by_channels_type_and_size() -> None:
    formats = named(BUILT_IN)
    assert formats["jpeg"].holds(3, np.dtype(np.uint16), (65500, 1)), "16 bits are rounded, with a note"
    assert not formats["jpeg"].holds(3, "uint8", (65501, 1))
    assert formats["tiff"].holds(16, "uint16", (10**6, 1)) and formats["tiff"].holds(16, "float32", (1, 1))
    assert not formats["png"].holds(3, "float32", (1, 1))


def _probe(stream: BinaryIO) -> Header:
    width, height, count = stream.read(7)[4:]
    return Header(width, height, parsed=count)


def _frames(opened: Opened) -> Iterator[Frame]:
    width, height, count = opened.header.width, opened.header.height, opened.header.parsed
    levels = np.frombuffer(opened.data()[7:], np.uint8).reshape(count, height, width, 1)
    for level in levels:
        yield Frame(Picture(level.copy()), 40, count)


def _write(picture: Picture, quality: int) -> tuple[bytes, tuple[str, ...]]:
    height, width, _ = picture.pixels.shape
    return b"DOTS" + bytes([width, height, 1]) + picture.pixels.tobytes(), (f"quality {quality}",)


DOTS = ImageFormat(
    "dots", (".dots",), _frames, sniff=lambda head: head.startswith(b"DOTS"), probe=_probe, write=_write, channels=(1,), longest_side=255, frames="dots"
)
KNOWN = by_suffix([*BUILT_IN.values(), DOTS])


def test_a_plugins_format_is_known_by_content_probed_read_and_written(file: File, tmp_path: Path) -> None:
    pixels = samples(2, 5, 1)
    assert write_picture(Picture(pixels), tmp_path / "x", "dots", quality=7, formats=KNOWN) == ("quality 7",)
    with ImageFile(tmp_path / "x", max_pixels=10, formats=KNOWN) as opened:
        assert (opened.format, opened.size) == (DOTS, (5, 2))
        assert same(opened.read(), Picture(pixels))
    with pytest.raises(PixlateError, match=r"--max-pixels"):
        ImageFile(tmp_path / "x", max_pixels=9, formats=KNOWN)
    with pytest.raises(PixlateError, match=r"truncated or damaged"):
        read_picture(file("short.dots", b"DOTS\5\2\1 too little"[:9]), max_pixels=LIMIT, formats=KNOWN)
    with pytest.raises(PixlateError, match=r"expected a picture of 1 channels of uint8 in DOTS, got 3 of uint8; use --format jpeg or png"):
        write_picture(Picture(photograph()), tmp_path / "y", "dots", formats=KNOWN)


def test_8_bits_are_spread_for_a_format_of_16(tmp_path: Path) -> None:
    deep = ImageFormat("deep", (".deep",), _frames, write=lambda picture, quality: (picture.pixels.tobytes(), ()), dtypes=("uint16",))
    assert write_picture(Picture(photograph()), tmp_path / "x", "deep", formats=by_suffix([deep])) == ()
    assert np.array_equal(np.frombuffer((tmp_path / "x").read_bytes(), np.uint16), photograph().ravel() * np.uint16(257))


def test_frames_of_a_plugins_format_are_noted_and_given(file: File) -> None:
    path = file("x.dots", b"DOTS\2\1\3" + bytes(range(6)))
    with ImageFile(path, max_pixels=LIMIT, formats=KNOWN) as opened:
        assert opened.read().notes == ("first of 3 dots",)
        assert [(frame.picture.pixels.ravel().tolist(), frame.duration) for frame in opened.frames()] == [([0, 1], 40), ([2, 3], 40), ([4, 5], 40)]


def test_a_suffix_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(PixlateError, match=r"expected suffixes such as \('.exr',\) of the image format 'exr', got \('EXR',\)"):
        ImageFormat("exr", ("EXR",), _frames)


def test_file_that_changes_after_it_was_opened_is_parsed_again(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    write_picture(Picture(samples(4, 5, 3)), path, "png")
    with ImageFile(path, max_pixels=LIMIT) as opened:
        write_picture(Picture(photograph()), path, "png")
        os.utime(path, ns=(1, 1))
        assert same(opened.read(), Picture(photograph()))
