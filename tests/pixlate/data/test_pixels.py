"""Files to pixels with the channels a network takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pixlate.data.check import check
from pixlate.data.folders import list_images
from pixlate.data.patches import PixelCache, resized, size_for
from pixlate.data.pixels import UnreadableImage, image_formats, read_pixels, size_of, to_unit
from pixlate.errors import PixlateError
from pixlate.images import Picture, Pixels
from pixlate.images.picture import luma, to_8_bits
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import Plugins


def samples(channels: int, kind: Any = np.uint8, height: int = 12, width: int = 9) -> NDArray[Any]:
    generator = np.random.default_rng(channels)
    return (
        generator.random((height, width, channels)).astype(kind)
        if kind == np.float32
        else generator.integers(0, np.iinfo(kind).max, (height, width, channels), kind)
    )


@pytest.mark.parametrize("channels", [2, 4, 5, 16])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("layout", ["npy", "pixels", "planes", "pages"])
def test_many_channels_come_from_arrays_and_tiffs_of_every_layout(channels: int, kind: Any, layout: str, tmp_path: Path) -> None:
    pixels = samples(channels, kind)
    path = tmp_path / ("image.npy" if layout == "npy" else "image.tif")
    if layout == "npy":
        np.save(path, pixels)
    elif layout == "pixels":
        tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    elif layout == "planes":
        tifffile.imwrite(path, pixels.transpose(2, 0, 1), photometric="minisblack", planarconfig="separate")
    else:
        tifffile.imwrite(path, pixels.transpose(2, 0, 1), photometric="minisblack", metadata={"axes": "CYX"})
    read = read_pixels(path, channels)
    assert read.dtype == kind and np.array_equal(read, pixels)
    assert size_of(path) == (12, 9)


@pytest.mark.parametrize("name", ["image.npy", "image.tif"])
def test_other_numbers_of_channels_are_refused_by_name(name: str, tmp_path: Path) -> None:
    if name.endswith("npy"):
        np.save(tmp_path / name, samples(5))
    else:
        tifffile.imwrite(tmp_path / name, samples(5), photometric="minisblack", planarconfig="contig")
    with pytest.raises(PixlateError, match=rf"/{name}: expected an image of 4 channels, got 5; take it out") as refused:
        read_pixels(tmp_path / name, 4)
    assert not isinstance(refused.value, UnreadableImage)  # --damaged skip must not leave out half of a data set
    Image.new("RGB", (4, 4)).save(tmp_path / "rgb.png")
    with pytest.raises(PixlateError, match=r"/rgb\.png: expected an image of 2 channels, got 3"):
        read_pixels(tmp_path / "rgb.png", 2)


def test_picture_with_extra_samples_does_not_lose_them_silently(tmp_path: Path) -> None:
    for channels in (2, 5, 7):
        tifffile.imwrite(tmp_path / "stack.tif", samples(channels), photometric="minisblack", planarconfig="contig")
        with pytest.raises(PixlateError, match=f"expected an image of 3 channels, got {channels}"):
            read_pixels(tmp_path / "stack.tif", 3)
    tifffile.imwrite(tmp_path / "alpha.tif", samples(4), photometric="rgb", extrasamples=["unassalpha"])
    assert read_pixels(tmp_path / "alpha.tif", 3).shape == (12, 9, 3)
    tifffile.imwrite(tmp_path / "grey.tif", samples(2), photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    assert read_pixels(tmp_path / "grey.tif", 3).shape == (12, 9, 3)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_one_channel_is_the_luma_of_bt_601_as_opencv_has_it(kind: Any) -> None:
    import cv2

    pixels: Pixels = samples(3, kind, 60, 70)
    theirs = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(luma(pixels)[:, :, 0].astype(int) - theirs).max() <= (1 if kind == np.uint8 else 4)  # OpenCV has 14 bits for the weights
    assert np.allclose(luma(to_unit(pixels))[:, :, 0], theirs / np.iinfo(kind).max, atol=(1 if kind == np.uint8 else 4) / np.iinfo(kind).max)


def test_three_channels_repeat_grey_and_transparency_is_composited_over_white(tmp_path: Path) -> None:
    Image.fromarray(samples(1)[:, :, 0]).save(tmp_path / "grey.png")
    grey = read_pixels(tmp_path / "grey.png", 3)
    assert all(np.array_equal(grey[:, :, index], samples(1)[:, :, 0]) for index in range(3))
    clear = samples(4)
    clear[:, :, 3] = 0
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (read_pixels(tmp_path / "clear.png", 3) == 255).all()


def test_deep_pictures_stay_deep_and_rotated_ones_are_upright(tmp_path: Path) -> None:
    deep = samples(3, np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb")
    assert np.array_equal(read_pixels(tmp_path / "deep.tif", 3), deep)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(samples(3)).save(tmp_path / "turned.png", exif=exif)
    assert size_of(tmp_path / "turned.png") == (9, 12)
    assert np.array_equal(read_pixels(tmp_path / "turned.png", 3), np.rot90(samples(3), -1))


def test_unit_range_reaches_both_ends_and_levels_round() -> None:
    for kind in (np.uint8, np.uint16):
        ends: Pixels = np.array([[[0], [np.iinfo(kind).max]]], kind)
        assert to_unit(ends).ravel().tolist() == [0.0, 1.0]
    assert to_8_bits(np.array([[[128], [129], [65535]]], np.uint16)).ravel().tolist() == [0, 1, 255]
    assert to_8_bits(np.array([[[0.5], [1.0]]], np.float32)).ravel().tolist() == [128, 255]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((4, 4, 2), 1.5), "floating point samples in [0, 1], got 1.5 to 1.5"),
        (np.full((4, 4, 2), -0.1), "got -0.1 to -0.1"),
        (np.full((4, 4, 2), np.nan), "got some that are none (NaN)"),
        (np.zeros((4, 4, 2), np.int32), "uint8, uint16 or floating point, got int32"),
        (np.zeros((4, 4, 2, 1)), "(height, width, channels), got (4, 4, 2, 1)"),
        (np.zeros((0, 4, 2)), "got (0, 4, 2)"),
    ],
)
def test_arrays_that_are_no_images_are_refused_by_name(array: NDArray[Any], message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "wrong.npy", array)
    with pytest.raises(PixlateError) as refused:
        read_pixels(tmp_path / "wrong.npy", 2)
    assert "/wrong.npy: expected " in str(refused.value) and message in str(refused.value)


def test_arrays_that_hold_code_archives_and_damage_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "code.npy", np.array([{"a": 1}]), allow_pickle=True)
    with (tmp_path / "archive.npy").open("wb") as stream:
        np.savez(stream, a=np.zeros(3))
    np.save(tmp_path / "half.npy", samples(2))
    (tmp_path / "half.npy").write_bytes((tmp_path / "half.npy").read_bytes()[:-50])
    (tmp_path / "empty.npy").touch()
    tifffile.imwrite(tmp_path / "half.tif", samples(5), photometric="minisblack", planarconfig="contig")
    (tmp_path / "half.tif").write_bytes((tmp_path / "half.tif").read_bytes()[:300])
    for name in ("code.npy", "archive.npy", "half.npy", "empty.npy", "half.tif", "missing.npy", "missing.tif", "missing.png"):
        with pytest.raises(UnreadableImage, match=f"/{name}: "):
            read_pixels(tmp_path / name, 5)


def test_grey_tiff_of_floating_point_keeps_its_values_and_is_repeated_for_three_channels(tmp_path: Path) -> None:
    depth = np.linspace(0, 1, 20 * 24, dtype=np.float32).reshape(20, 24)
    tifffile.imwrite(tmp_path / "depth.tif", depth)
    assert np.array_equal(read_pixels(tmp_path / "depth.tif", 1)[:, :, 0], depth)
    assert np.array_equal(read_pixels(tmp_path / "depth.tif", 3), np.repeat(depth[:, :, None], 3, axis=2))
    report = check([tmp_path], None, 0)
    assert report.problems == [] and (report.folders[0].channels, report.folders[0].bits) == ({"1": 1}, {"32": 1})


def test_grey_array_of_two_axes_is_one_channel(tmp_path: Path) -> None:
    np.save(tmp_path / "grey.npy", samples(1, np.float32)[:, :, 0])
    assert np.array_equal(read_pixels(tmp_path / "grey.npy", 1), samples(1, np.float32))
    assert read_pixels(tmp_path / "grey.npy", 3).shape == (12, 9, 3)


@pytest.mark.parametrize("channels", [1, 3, 5, 16])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_resizing_averages_what_shrinks_in_any_type_and_channels(channels: int, kind: Any) -> None:
    pixels = samples(channels, kind)
    half = resized(pixels, 6, 3)
    exact = pixels.astype(np.float64).reshape(6, 2, 3, 3, channels).mean(axis=(1, 3))
    assert half.dtype == kind and np.abs(half - exact).max() <= (1e-6 if kind == np.float32 else 0.51)
    larger = resized(pixels, 30, 4)  # grows in one axis, shrinks in the other
    assert larger.shape == (30, 4, channels) and larger.dtype == kind
    assert kind != np.float32 or (larger.min() >= 0 and larger.max() <= 1)  # bicubic overshoots


def test_size_is_a_square_the_shorter_side_or_the_images_own() -> None:
    pixels = samples(1, height=30, width=40)
    assert [size_for(pixels, 20, keep_aspect=False), size_for(pixels, 20, keep_aspect=True), size_for(pixels, 0, keep_aspect=True)] == [
        (20, 20),
        (20, 27),
        (30, 40),
    ]


def test_cache_keeps_what_fits_and_never_evicts() -> None:
    cache = PixelCache(1)
    read: list[str] = []

    def get(name: str, side: int) -> int:
        def make() -> tuple[NDArray[np.uint8], ...]:
            read.append(name)
            return (np.zeros((side, side, 1), np.uint8),)

        (image,) = cache.get(name, make)
        assert not image.flags.writeable
        return len(image)

    for _ in range(2):
        assert (get("large", 1000), get("too much", 300), get("small", 50)) == (1000, 300, 50)
    assert read == ["large", "too much", "small", "too much"]


def test_images_of_a_plugins_format_are_found_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = {".grey": ImageFormat("grey", (".grey",), lambda path: Picture(np.full((2, 3, 1), path.read_bytes()[0], np.uint8)))}
    monkeypatch.setattr(Plugins, "image_formats", lambda self: offered)
    image_formats.cache_clear()
    (tmp_path / "a.grey").write_bytes(b"\x07")
    try:
        assert list_images([tmp_path]) == [tmp_path / "a.grey"]
        assert read_pixels(tmp_path / "a.grey", 3).tolist() == [[[7] * 3] * 3] * 2
        assert size_of(tmp_path / "a.grey") == (2, 3)
    finally:
        image_formats.cache_clear()
