"""Camera raw files: negatives made here, developed by LibRaw."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.pixlate_formats.conftest import FORMATS, LIMIT, read
from tests.pixlate_formats.raws import dng

from pixlate.errors import OverLimit, PixlateError
from pixlate.images import ImageFile
from pixlate.images.metadata import exif
from pixlate.images.signalled import srgb_encoded

Negative = Callable[[bytes], Path]
DEVELOPED = "with the camera's white balance to 16 bits of sRGB, not brightened"


@pytest.fixture
def negative(tmp_path: Path) -> Negative:
    """Write a negative to a file of its suffix, which alone says that it is none of TIFF."""

    def write(data: bytes, name: str = "a.dng") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("pattern", [(0, 1, 1, 2), (2, 1, 1, 0), (1, 0, 2, 1), (1, 2, 0, 1)])
def test_a_colour_is_developed_to_its_srgb_value(negative: Negative, pattern: tuple[int, int, int, int]) -> None:
    picture = read(negative(dng((0.2, 0.4, 0.1), pattern=pattern)))
    assert picture.pixels.shape == (48, 64, 3) and picture.pixels.dtype == np.uint16
    expected = srgb_encoded(np.array([0.2, 0.4, 0.1])) * 65535
    assert np.abs(picture.pixels[8:-8, 8:-8] - expected).max() < 65, "a thousandth of white"
    assert len(picture.notes) == 1 and picture.notes[0].endswith(DEVELOPED)


def test_black_and_white_levels_are_those_of_the_file(negative: Negative) -> None:
    picture = read(negative(dng((0.3, 0.3, 0.3), black=512, white=16383)))
    assert np.abs(picture.pixels[8:-8, 8:-8] - srgb_encoded(np.array(0.3)) * 65535).max() < 65


def test_the_white_balance_of_the_camera_makes_grey_grey(negative: Negative) -> None:
    picture = read(negative(dng((0.2, 0.4, 0.1), neutral=(0.5, 1, 0.25))))
    middle = picture.pixels[8:-8, 8:-8].astype(int)
    assert np.ptp(middle, axis=2).max() < 65


@pytest.mark.parametrize(("orientation", "dark"), [(1, (0, 0)), (3, (1, 1)), (6, (0, 1)), (8, (1, 0))])
def test_the_orientation_is_applied_once(negative: Negative, orientation: int, dark: tuple[int, int]) -> None:
    picture = read(negative(dng(mark=True, orientation=orientation)))
    height, width = picture.pixels.shape[:2]
    assert (height, width) == ((64, 48) if orientation >= 5 else (48, 64))
    corners = {
        (down, right): picture.pixels[height // 4 if not down else -height // 4, width // 4 if not right else -width // 4, 1]
        for down in (0, 1)
        for right in (0, 1)
    }
    assert min(corners, key=lambda corner: corners[corner]) == dark
    assert exif.orientation(picture.metadata.exif) == 1


def test_exif_is_that_of_the_negative_and_its_storage_is_left_out(negative: Negative) -> None:
    picture = read(negative(dng(xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")))
    assert b"Test camera" in picture.metadata.exif and b"2024:01:02 03:04:05" in picture.metadata.exif
    assert b"Pixlate test camera" not in picture.metadata.exif
    assert picture.notes[1:] == ("XMP of the raw file, with the settings of other developers, was left out",)


def test_a_file_that_is_no_known_raw_is_refused_in_words(negative: Negative) -> None:
    stream = BytesIO()
    tifffile.imwrite(stream, np.zeros((48, 64, 3), np.uint8), photometric="rgb")
    for data in (stream.getvalue(), b"FUJIFILMCCD-RAW 0201FF123456Camera of tomorrow".ljust(4000, b"\0")):
        with pytest.raises(
            PixlateError, match=r"^unsupported by LibRaw [\d.]+: a raw file of a camera that it does not know, or no raw file; convert it to DNG"
        ):
            read(negative(data))


def test_a_negative_named_as_a_tiff_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(dng())
    with pytest.raises(
        PixlateError, match=r"^a RAW photograph \(DNG, NEF, ARW and the like\) is not read as TIFF; give the file its own suffix, such as \.dng"
    ):
        read(tmp_path / "a.tif")


def test_a_limit_of_pixels_refuses_before_developing(negative: Negative) -> None:
    with pytest.raises(OverLimit, match=r"^expected at most 0.003 million pixels, got 64 x 48"):
        read(negative(dng()), 3000)


def test_a_cut_file_is_no_picture(negative: Negative) -> None:
    data = dng()
    for end in (len(data) // 2, len(data) - 2000):
        with pytest.raises(PixlateError):
            read(negative(data[:end]))


def test_raw_files_are_only_read() -> None:
    assert FORMATS[".nef"] is FORMATS[".dng"] and FORMATS[".dng"].write is None
    with ImageFile(dng(), max_pixels=LIMIT, formats={".dng": FORMATS[".dng"]}) as file:
        assert file.size == (64, 48)
