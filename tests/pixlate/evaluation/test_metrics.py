"""Metrics against scikit-image, the published baseline and closed forms."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from pixlate.evaluation import luma, luma_correlation, psnr_luma, sliced_wasserstein
from pixlate.evaluation.metrics import patch_distance, patches_of_each


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.integers(0, 4))
def test_psnr_luma_agrees_with_scikit_image(seed: int, height: int, width: int, border: int) -> None:
    first, second = np.random.default_rng(seed).integers(0, 256, (2, height + 2 * border, width + 2 * border, 3), dtype=np.uint8)
    inner = slice(border, -border or None)
    expected = peak_signal_noise_ratio(rgb2ycbcr(first)[inner, inner, 0], rgb2ycbcr(second)[inner, inner, 0], data_range=255)  # type: ignore[no-untyped-call]
    assert psnr_luma(first, second, border) == pytest.approx(expected, abs=1e-6)


def test_luma_spans_16_to_235() -> None:
    assert luma(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).tolist() == [[16, pytest.approx(235)]]


def test_equal_images_have_infinite_psnr() -> None:
    image = np.full((4, 4, 3), 7, np.uint8)
    assert math.isinf(psnr_luma(image, image, 1))


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="two images of one shape"):
        psnr_luma(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8), 0)


def test_border_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 4 pixels on each side for a border of 2"):
        psnr_luma(np.zeros((4, 9, 3), np.uint8), np.ones((4, 9, 3), np.uint8), 2)


def test_bicubic_on_set5_gives_the_published_figure(data: Path) -> None:
    values = []
    for path in sorted((data / "set5").glob("*_x4_HR.png")):
        target = Image.open(path).convert("RGB")
        source = Image.open(path.with_name(path.name.replace("_HR", "_LR"))).convert("RGB")
        output = source.resize(target.size, Image.Resampling.BICUBIC)
        values.append(psnr_luma(np.array(output), np.array(target), 4))
    assert len(values) == 5
    assert float(np.mean(values)) == pytest.approx(28.43, abs=0.005)


@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(2, 9))
def test_luma_correlation_agrees_with_scikit_image(seed: int, height: int, width: int) -> None:
    first, second = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    luma_of = [rgb2ycbcr(image)[:, :, 0].ravel() for image in (first, second)]
    centred = [values - values.mean() for values in luma_of]
    expected = centred[0] @ centred[1] / math.sqrt((centred[0] @ centred[0]) * (centred[1] @ centred[1]))
    assert luma_correlation(first, second) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_luma_correlation_ignores_brightness_and_contrast(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 100, (6, 7, 1), dtype=np.uint8).repeat(channels, axis=2)
    assert luma_correlation(2 * image + 30, image) == pytest.approx(1)
    assert luma_correlation(255 - image, image) == pytest.approx(-1)


def test_luma_correlation_takes_a_grey_image_against_a_colour_one() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (6, 7, 1), dtype=np.uint8)
    assert luma_correlation(grey, grey.repeat(3, axis=2)) == pytest.approx(1)


def test_luma_correlation_with_a_constant_image_is_zero() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    assert luma_correlation(np.full_like(image, 9), image) == 0


def test_luma_correlation_refuses_different_sizes() -> None:
    with pytest.raises(ValueError, match="one height and width"):
        luma_correlation(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))


def flat(level: int, channels: int = 3, side: int = 9) -> np.ndarray:
    return np.full((side, side, channels), level, np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_distance_of_shifted_constant_images_is_the_expected_projection(channels: int) -> None:
    length = 49 * channels
    # a direction of unit length sums to sqrt(length) times one coordinate of a point on the sphere
    projection = math.sqrt(length) * math.exp(math.lgamma(length / 2) - math.lgamma((length + 1) / 2)) / math.sqrt(math.pi)
    distance = sliced_wasserstein([flat(10, channels)], [flat(61, channels)], patches=4, directions=40_000)
    assert distance == pytest.approx(51 / 255 * projection, rel=0.02)


def test_equal_sets_are_at_distance_zero_whatever_their_sizes() -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (side, side + 3, 3), dtype=np.uint8) for side in (7, 12, 30)]
    assert sliced_wasserstein(images, images) == 0


@given(st.integers(0, 1000))
def test_distance_is_symmetric_and_positive(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = ([random.integers(0, high, (8, 9, 3), dtype=np.uint8) for _ in range(count)] for high, count in ((256, 2), (128, 3)))
    forth, back = (sliced_wasserstein(*order, patches=64) for order in ((first, second), (second, first)))
    assert forth == pytest.approx(back)
    assert forth > 0


def test_two_draws_of_one_distribution_are_nearer_than_another_colour() -> None:
    random = np.random.default_rng(1)
    first, second = (random.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(2))
    assert 10 * sliced_wasserstein([first], [second]) < sliced_wasserstein([first], [second // 2])


def test_distance_on_a_line_is_the_mean_difference_of_the_sorted_values() -> None:
    first, second = np.array([[3.0], [1.0]], np.float32), np.array([[2.0], [7.0]], np.float32)
    assert patch_distance(first, second) == pytest.approx((abs(1 - 2) + abs(3 - 7)) / 2)


@given(st.integers(1, 300), st.integers(1, 300))
def test_patches_are_spread_evenly_and_completely(images: int, patches: int) -> None:
    counts = patches_of_each(images, patches)
    assert len(counts) == images
    assert sum(counts) == patches
    assert max(counts) - min(counts) <= 1


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        sliced_wasserstein([], [flat(0)])


def test_an_image_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 7x7"):
        sliced_wasserstein([flat(0, side=6)], [flat(0)])


def test_grey_against_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="as many channels"):
        sliced_wasserstein([flat(0, 1)], [flat(0, 3)])


def test_another_seed_draws_other_patches_and_the_same_one_the_same() -> None:
    first, second = np.random.default_rng(1).integers(0, 256, (2, 24, 31, 3), dtype=np.uint8)
    one, again, other = (sliced_wasserstein([first], [second], patches=64, seed=seed) for seed in (1, 1, 2))
    assert one == again != other
