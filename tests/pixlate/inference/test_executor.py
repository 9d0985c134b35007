"""Tiling changes nothing where the model is exact, leaves no seam where it is not, and memory that runs out costs time only."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pixlate.conftest import Nearest, nearest, noise

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.executor import Executor
from pixlate.inference.sizes import LEAST_TILE
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator


class Box:
    """The mean of a square around each pixel, zeros outside, enlarged: looks exactly ``radius`` pixels around."""

    device = "cpu"

    def __init__(self, radius: int, scale: int = 1, halo: int | None = None) -> None:
        self.radius = radius
        self.spec = ModelSpec(scale=scale, tiling_exact=True, halo=radius if halo is None else halo)

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        assert pixels is not None
        radius = self.radius
        padded = np.pad(pixels.astype(np.int64), ((0, 0), (radius, radius), (radius, radius), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1, 2 * radius + 1), axis=(1, 2))
        return nearest((windows.sum(axis=(-1, -2)) // (2 * radius + 1) ** 2).astype(pixels.dtype), self.spec.scale)


class Blocks:
    """The mean of blocks of ``multiple`` pixels aligned to a grid, over a box: as networks that halve and double the size do.

    Like the runner, it repeats the last row and column until the size suits.
    """

    device = "cpu"

    def __init__(self, radius: int, multiple: int, minimum: int = 1) -> None:
        self.box = Box(radius)
        self.spec = ModelSpec(tiling_exact=True, multiple=multiple, minimum=minimum, halo=radius + multiple - 1)

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        assert pixels is not None
        batch, height, width, channels = pixels.shape
        size = self.spec.multiple
        rows, columns = (-(-max(side, self.spec.minimum) // size) for side in (height, width))
        padded = np.pad(pixels, ((0, 0), (0, rows * size - height), (0, columns * size - width), (0, 0)), mode="edge")
        blocks = self.box(padded).astype(np.int64).reshape(batch, rows, size, columns, size, channels).sum(axis=(2, 4)) // size**2
        return nearest(blocks.astype(pixels.dtype), size)[:, :height, :width]


class Shifted:
    """Adds the mean of what it is given: no tile agrees with its neighbour, as with statistics per image."""

    device = "cpu"
    spec = ModelSpec(scale=2, tiling_exact=False, halo=16)

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        assert pixels is not None
        mean = pixels.mean(axis=(1, 2, 3), keepdims=True)
        return nearest(np.rint(pixels * 0.5 + mean * 0.5).astype(pixels.dtype), 2)


class Small:
    """Has memory for so many pixels; keeps what it was asked."""

    def __init__(self, most: int, device: str = "cpu", inner: Translator | None = None) -> None:
        self.most, self.device, self.inner = most, device, inner or Nearest()
        self.spec = self.inner.spec
        self.asked: list[tuple[int, int]] = []
        self.refused = 0

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        assert pixels is not None
        batch, height, width, _ = pixels.shape
        self.asked.append((batch, height * width))
        if batch * height * width > self.most:
            self.refused += 1
            raise OutOfDeviceMemory("full")
        return self.inner(pixels)


@settings(max_examples=60, deadline=None)
@given(
    height=st.one_of(st.integers(1, 5), st.integers(1, 130)),
    width=st.one_of(st.integers(1, 5), st.integers(1, 130)),
    tile=st.integers(LEAST_TILE, 70),
    radius=st.integers(0, 7),
    scale=st.integers(1, 3),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    batch=st.sampled_from(["auto", 1, 3]),
)
def test_tiled_equals_whole_for_an_exact_model(
    height: int, width: int, tile: int, radius: int, scale: int, dtype: type[np.uint8] | type[np.uint16], batch: int
) -> None:
    model = Box(radius, scale)
    pixels = noise(height, width, dtype=dtype)[None]
    tiled = Executor(model, tile, batch)(pixels)
    assert tiled.dtype == dtype
    np.testing.assert_array_equal(tiled, model(pixels))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 110),
    width=st.integers(1, 110),
    tile=st.integers(40, 60),
    radius=st.integers(0, 4),
    multiple=st.integers(1, 8),
    minimum=st.integers(1, 30),
)
def test_tiles_are_aligned_to_the_multiple_of_the_model(height: int, width: int, tile: int, radius: int, multiple: int, minimum: int) -> None:
    model = Blocks(radius, multiple, minimum)
    pixels = noise(height, width)[None]
    np.testing.assert_array_equal(Executor(model, tile, 2)(pixels), model(pixels))


def test_too_little_context_changes_the_picture() -> None:
    """The test above has teeth: with a halo one pixel short, the pictures differ."""
    pixels = noise(80, 80)[None]
    assert (Executor(Box(5, halo=4), 32, 1)(pixels) != Box(5)(pixels)).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_batch_of_large_images_is_tiled_each(dtype: type[np.uint8] | type[np.uint16]) -> None:
    model = Box(3, 2)
    pixels = np.stack([noise(50, 90, dtype=dtype, seed=seed) for seed in range(3)])
    np.testing.assert_array_equal(Executor(model, 40, 2)(pixels), model(pixels))


def test_inexact_models_are_blended_without_seams() -> None:
    """The input is a smooth slope; between neighbours the blended output steps no more than a little, where cut tiles jump."""
    slope = np.repeat(np.linspace(0, 60000, 200).astype(np.uint16)[None, None, :, None], 3, axis=3).repeat(100, axis=1)
    output = Executor(Shifted(), 64, "auto")(slope).astype(np.int64)
    source_step = 60000 / 199
    assert np.abs(np.diff(output, axis=2)).max() < 6 * source_step
    cut = [Shifted()(slope[:, :, start : start + 64])[0, 0, :, 0].astype(np.int64) for start in (0, 32)]
    assert abs(cut[0][96] - cut[1][32]) > 12 * source_step  # the same pixel of two tiles: what a hard cut would show


@pytest.mark.parametrize(("dtype", "level"), [(np.uint8, 0), (np.uint8, 255), (np.uint16, 65535), (np.uint16, 40001)])
def test_blending_keeps_an_even_picture_exactly(dtype: type[np.uint8] | type[np.uint16], level: int) -> None:
    even = np.full((1, 200, 170, 3), level, dtype)
    model = Nearest(ModelSpec(scale=2, tiling_exact=False, halo=8))
    assert (Executor(model, 40, 1)(even) == level).all()


def test_a_batch_that_does_not_fit_is_halved_and_the_size_remembered() -> None:
    model = Small(most=2 * 100)
    executor = Executor(model, "auto", 8)
    pixels = np.stack([noise(10, 10, seed=seed) for seed in range(8)])
    np.testing.assert_array_equal(executor(pixels), nearest(pixels, 2))
    assert [batch for batch, _ in model.asked] == [8, 4, 2, 2, 2, 2]
    refused = model.refused
    np.testing.assert_array_equal(executor(pixels), nearest(pixels, 2))
    assert model.refused == refused
    assert executor.batch_size(10, 10) == 2


def test_what_fits_is_counted_in_pixels_so_small_images_keep_large_batches() -> None:
    model = Small(most=3 * 10_000, device="cuda:0")
    executor = Executor(model, "auto", "auto")
    large = np.stack([noise(100, 100, seed=seed) for seed in range(8)])
    np.testing.assert_array_equal(executor(large), nearest(large, 2))
    assert executor.batch_size(100, 100) == 2
    assert executor.batch_size(10, 10) == 64


def test_one_image_that_does_not_fit_is_tiled_and_the_tile_remembered() -> None:
    model = Small(most=50 * 50)
    executor = Executor(model, "auto", "auto")
    pixels = noise(170, 90)[None]
    np.testing.assert_array_equal(executor(pixels), nearest(pixels, 2))
    refused = model.refused
    assert refused > 0
    again = noise(170, 90, seed=1)[None]
    np.testing.assert_array_equal(executor(again), nearest(again, 2))
    assert model.refused == refused


def test_tiles_that_do_not_fit_are_halved_first_in_number_then_in_size() -> None:
    model = Small(most=40 * 40)
    executor = Executor(model, 128, 4)
    pixels = noise(300, 260)[None]
    np.testing.assert_array_equal(executor(pixels), nearest(pixels, 2))
    assert model.asked[:3] == [(4, 128 * 128), (2, 128 * 128), (1, 128 * 128)]


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 150), width=st.integers(1, 150), most=st.integers(LEAST_TILE**2, 20_000), batch=st.integers(1, 5), radius=st.integers(0, 5))
def test_the_picture_stays_right_whatever_memory_there_is(height: int, width: int, most: int, batch: int, radius: int) -> None:
    box = Box(radius)
    pixels = np.stack([noise(height, width, seed=seed) for seed in range(batch)])
    np.testing.assert_array_equal(Executor(Small(most, inner=box), "auto", batch)(pixels), box(pixels))


def test_memory_for_not_even_the_smallest_tile_is_an_error_that_says_so() -> None:
    with pytest.raises(PixlateError, match=f"memory of cpu does not hold even a tile of {LEAST_TILE} pixels"):
        Executor(Small(most=10), "auto", 4)(noise(100, 100)[None])


def test_an_image_smaller_than_the_smallest_tile_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(PixlateError, match="does not hold even a tile of 9 pixels"):
        Executor(Small(most=10), "auto", 1)(noise(9, 9)[None])


def test_a_tile_too_small_for_the_context_is_refused() -> None:
    with pytest.raises(PixlateError, match=r"--tile of at least 101 pixels.*looks 50 pixels around, got 64"):
        Executor(Nearest(ModelSpec(halo=50)), 64, 1)


def test_auto_takes_a_tile_large_enough_for_any_context() -> None:
    spec = ModelSpec(halo=600, tiling_exact=True)
    pixels = noise(1, 2500)[None]
    np.testing.assert_array_equal(Executor(Nearest(spec), "auto", 1)(pixels), pixels)


def test_off_never_tiles() -> None:
    model = Nearest()
    Executor(model, "off", "auto")(noise(3, 5000)[None])
    assert model.shapes == [(1, 3, 5000, 3)]


def test_off_refuses_an_image_that_does_not_fit_instead_of_tiling_it() -> None:
    model = Small(most=1000)
    with pytest.raises(PixlateError, match=r"does not hold the whole image of 70x60; leave out --tile off"):
        Executor(model, "off", "auto")(noise(60, 70)[None])
    assert model.asked == [(1, 4200)]


def test_automatic_batches_hold_one_image_on_the_cpu_and_eight_million_pixels_on_a_gpu() -> None:
    assert Executor(Nearest(), "auto", "auto").batch_size(1, 1) == 1
    gpu = Executor(Nearest(device="cuda:0"), "auto", "auto")
    assert gpu.batch_size(1000, 1000) == 8
    assert gpu.batch_size(10_000, 10_000) == 1
    assert gpu.batch_size(1, 1) == 64


def test_a_named_batch_is_never_exceeded() -> None:
    model = Nearest()
    Executor(model, "auto", 3)(np.stack([noise(5, 5)] * 8))
    assert [shape[0] for shape in model.shapes] == [3, 3, 2]


def test_callback_before_each_batch_can_end_a_long_translation() -> None:
    class EnoughError(Exception):
        pass

    model = Nearest()

    def twice() -> Callable[[], None]:
        def count() -> None:
            if len(model.shapes) == 2:
                raise EnoughError

        return count

    with pytest.raises(EnoughError):
        Executor(model, 32, 1)(noise(200, 200)[None], twice())
    assert len(model.shapes) == 2


@pytest.mark.parametrize("exact", [True, False])
def test_pixels_reported_after_each_tile_add_up_to_those_of_the_images(exact: bool) -> None:
    model = Nearest(ModelSpec(tiling_exact=exact, halo=8, multiple=4))
    reported: list[int] = []
    Executor(model, 64, 2, bucket=32)(noise(150, 130)[None], on_tile=reported.append)
    assert sum(reported) == 150 * 130
    assert len(reported) == sum(shape[0] for shape in model.shapes) > 4
    reported.clear()
    Executor(model, "off", 2, bucket=32).translate([noise(20, 30), noise(21, 10)], on_tile=reported.append)
    assert reported == [600, 210]


def test_pixels_reported_of_tiles_that_are_done_again_are_taken_back() -> None:
    reported: list[int] = []
    model = Small(most=64 * 64)

    def watch(pixels: int) -> None:
        reported.append(pixels)
        model.most = 40 * 40

    Executor(model, 64, 1)(noise(150, 130)[None], on_tile=watch)
    assert sum(reported) == 150 * 130
    assert [pixels for pixels in reported if pixels < 0] == [-reported[0]]


def test_what_is_raised_after_a_tile_ends_the_translation() -> None:
    class EnoughError(Exception):
        pass

    def raising(_: int) -> None:
        raise EnoughError

    model = Nearest()
    with pytest.raises(EnoughError):
        Executor(model, 32, 1)(noise(200, 200)[None], on_tile=raising)
    assert len(model.shapes) == 1
