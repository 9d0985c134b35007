"""Distances of sets of images against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.evaluation import sliced_wasserstein
from pixlate.evaluation.distribution import patch_distance, patches_of_each


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
