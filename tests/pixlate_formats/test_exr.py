"""OpenEXR files, made by OpenEXR's own library, and scene-linear light on its way through models."""

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import tifffile
from numpy.typing import NDArray
from tests.pixlate.images.conftest import photograph
from tests.pixlate_formats.conftest import FORMATS, read, written

from pixlate.errors import OverLimit, PixlateError
from pixlate.images import Metadata, Picture, add_origin
from pixlate.images.signalled import srgb_encoded, srgb_light

Floats = NDArray[np.floating]


def light(channels: int = 3, peak: float = 40.0, dtype: Any = np.float32) -> Any:
    """Return light from dark to a lamp."""
    dark = srgb_light(photograph(np.uint16, channels) / 65535)
    dark[:8, :8] = np.geomspace(1, peak, 64).reshape(8, 8, 1)
    return dark.astype(dtype)


def made(channels: dict[str, Any], **header: Any) -> bytes:
    """Return a file that OpenEXR writes, which takes no steps between samples."""
    stream = BytesIO()
    channels = {name: np.ascontiguousarray(plane) for name, plane in channels.items()}
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}, channels).write(stream)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("compression", ["NO", "RLE", "ZIPS", "ZIP", "PIZ"])
def test_half_and_float_are_read_exactly(dtype: Any, compression: str) -> None:
    pixels = light(dtype=dtype)
    picture = read(made({"RGB": pixels}, compression=getattr(OpenEXR, f"{compression}_COMPRESSION")))
    assert picture.pixels.dtype == np.float32 and np.array_equal(picture.pixels, pixels.astype(np.float32))
    assert picture.peak == 40 and picture.lossless == (dtype == np.float32) and not picture.notes


def test_luminance_alone_is_grey() -> None:
    pixels = light(1)
    assert np.array_equal(read(made({"Y": pixels[:, :, 0]})).pixels, pixels)


def test_an_opacity_is_divided_out_and_light_without_a_surface_stays() -> None:
    pixels, alpha = light(), np.full((48, 64), 0.5, np.float32)
    alpha[0], alpha[1] = 0, 1
    planes = {name: pixels[:, :, index] * np.where(alpha > 0, alpha, 1) for index, name in enumerate("RGB")}
    picture = read(made(planes | {"A": alpha}))
    assert picture.alpha is not None and np.array_equal(picture.alpha, alpha)
    assert np.allclose(picture.pixels, pixels, rtol=1e-6)
    again = OpenEXR.File(BytesIO(written(picture, "exr")[0]), separate_channels=True).channels()
    assert all(np.allclose(again[name].pixels, plane, rtol=1e-6) for name, plane in planes.items())


def test_other_layers_are_left_out_with_a_note() -> None:
    pixels = light()
    planes = {f"diffuse.{name}": pixels[:, :, 0] for name in "RGB"} | {"Z": pixels[:, :, 0]} | {name: pixels[:, :, index] for index, name in enumerate("RGB")}
    picture = read(made(planes))
    assert np.array_equal(picture.pixels, pixels) and picture.notes == ("further layers or channels were left out: Z, diffuse",)


def test_a_layer_with_a_name_is_read_where_there_is_no_other() -> None:
    pixels = light()
    picture = read(made({f"beauty.{name}": pixels[:, :, index] for index, name in enumerate("RGB")}))
    assert np.array_equal(picture.pixels, pixels) and picture.notes == ("the layer beauty was read",)


def test_of_several_parts_the_first_with_colours_is_read() -> None:
    depth, colours = OpenEXR.Part({"name": "depth"}, {"Z": light(1)[:, :, 0]}), OpenEXR.Part({"name": "rgb"}, {"RGB": light()})
    stream = BytesIO()
    OpenEXR.File([depth, colours]).write(stream)
    picture = read(stream.getvalue())
    assert np.array_equal(picture.pixels, light()) and picture.notes == ("further layers or channels were left out: Z",)


def test_what_is_displayed_is_the_picture() -> None:
    window = (np.array([10, 5], np.int32), np.array([73, 52], np.int32))
    display = (np.array([0, 0], np.int32), np.array([49, 99], np.int32))
    picture = read(made({"RGB": light()}, dataWindow=window, displayWindow=display))
    expected = np.zeros((100, 50, 3), np.float32)
    expected[5:53, 10:] = light()[:, :40]
    assert np.array_equal(picture.pixels, expected)
    assert picture.notes == ("the part that is displayed was read, black where there is no data",)


def test_light_of_other_primaries_becomes_that_of_srgb() -> None:
    grey = np.broadcast_to(light(1), (48, 64, 3)).astype(np.float32)
    aces = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    picture = read(made({"RGB": grey}, chromaticities=tuple(float(value) for value in (*(0.708, 0.292, 0.170, 0.797, 0.131, 0.046), 0.3127, 0.329))))
    assert np.allclose(picture.pixels, grey, rtol=1e-4), "white stays white"
    assert picture.notes == ("light of other primaries (OpenEXR) turned to those of sRGB",)
    wide = np.zeros((4, 4, 3), np.float32)
    wide[..., 0] = 0.5
    bt2020 = read(made({"RGB": wide}, chromaticities=(0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.329)))
    assert np.allclose(bt2020.pixels[0, 0], [0.5 * 1.6605, 0, 0], atol=1e-3), "ITU-R BT.2087, and what displays cannot show is 0"
    assert read(made({"RGB": grey}, chromaticities=aces)).pixels.shape == grey.shape


def test_samples_that_are_no_numbers_or_infinite_are_replaced_in_words() -> None:
    pixels = light()
    pixels[20, 20], pixels[21, 21, 0], pixels[22, 22, 1], pixels[23, 23] = np.nan, np.inf, -np.inf, -0.25
    picture = read(made({"RGB": pixels}))
    assert np.isfinite(picture.pixels).all() and picture.peak == 40
    assert picture.pixels[20, 20].tolist() == [0, 0, 0] and picture.pixels[21, 21, 0] == 40 and picture.pixels[22, 22, 1] == 0
    assert picture.notes == (
        "3 samples are no numbers (NaN), read as 0",
        "2 samples are infinite, read as 40, the brightest there is, or as 0",
        "3 samples are below 0, read as 0",
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_a_written_file_is_half_or_float_as_its_source_was(channels: int) -> None:
    for lossless, name in ((False, "float16"), (True, "float32")):
        pixels = light(channels)
        data, notes = written(Picture(pixels, peak=40.0, lossless=lossless), "exr")
        found = OpenEXR.File(BytesIO(data), separate_channels=True).channels()
        assert list(found) == (["Y"] if channels == 1 else ["B", "G", "R"]) and not notes
        assert {channel.pixels.dtype.name for channel in found.values()} == {name}
        assert np.array_equal(read(data).pixels, pixels.astype(name).astype(np.float32))


def test_light_that_half_cannot_hold_is_written_as_float() -> None:
    pixels = light(peak=1e6)
    assert np.array_equal(read(written(Picture(pixels, peak=1e6), "exr")[0]).pixels, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_photograph_becomes_light(dtype: Any) -> None:
    pixels = photograph(dtype)
    picture = read(written(Picture(pixels), "exr", lossless=True)[0])
    assert np.allclose(picture.pixels, srgb_light(pixels / np.iinfo(dtype).max), atol=1e-7)


def test_light_becomes_a_photograph_with_a_note() -> None:
    data, notes = written(Picture(light(), peak=40.0), "png")
    shown = read(data).pixels
    assert notes == ("PNG holds no light beyond white; highlights up to 40 were compressed",) and shown.dtype == np.uint16
    dark = light() <= 0.5
    assert np.abs(shown[dark] - srgb_encoded(light()[dark].astype(float)) * 65535).max() <= 0.51, "as sRGB has it"
    assert shown[7, 7].tolist() == [65535] * 3 and (np.diff(shown[:8, :8, 0].ravel().astype(int)) > 0).all()


def test_floating_point_tiff_keeps_light_exactly() -> None:
    data, notes = written(Picture(light(), peak=40.0), "tiff")
    assert np.array_equal(tifffile.imread(BytesIO(data)), light()) and not notes
    picture = read(data)
    assert np.array_equal(picture.pixels, light()) and picture.peak == 40


def test_deep_files_and_strange_channels_are_refused_in_words() -> None:
    with pytest.raises(PixlateError, match=r"^expected channels R, G and B, or Y, in an OpenEXR file, got normal.X; save the picture as RGB$"):
        read(made({"normal.X": light(1)[:, :, 0]}))


def test_a_limit_of_pixels_counts_all_channels_before_decoding() -> None:
    with pytest.raises(OverLimit, match=r"^expected at most 0.003 million pixels, got 64 x 48"):
        read(made({"RGB": light()}), 3000)
    many = {f"layer{index}.Z": light(1)[:, :, 0] for index in range(20)}
    with pytest.raises(OverLimit, match=r"^expected at most 0.0128 million samples"):
        read(made({"RGB": light(), **many}), 3200)


@pytest.mark.skipif(shutil.which("exrheader") is None, reason="exrheader is not installed (openexr)")
def test_another_openexr_reads_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(written(Picture(light(), peak=40.0), "exr")[0])
    said = subprocess.run(["exrheader", tmp_path / "a.exr"], check=True, capture_output=True, text=True).stdout
    assert "R, 16-bit floating-point" in said and "zip" in said and "(63 47)" in said


def test_xmp_and_resolution_are_kept() -> None:
    metadata = Metadata(xmp=add_origin(b"", "algorithmicallyEnhanced")[0], dpi=(300.0, 300.0))
    data, notes = written(Picture(light(), None, metadata, peak=40.0), "exr")
    assert read(data).metadata == metadata and not notes


def test_formats_says_that_only_light_is_held() -> None:
    exr = FORMATS[".exr"]
    assert exr.holds(3, "uint8", (9, 9)) and exr.holds(3, "float32", (9, 9)) and not exr.holds(5, "uint8", (9, 9))
