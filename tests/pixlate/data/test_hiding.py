"""Parts of images that are hidden, for masked reconstruction."""

import numpy as np
import pytest
from numpy.typing import DTypeLike

from pixlate.data.hiding import hidden


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_share_of_squares_is_black_and_the_rest_stays(dtype: DTypeLike) -> None:
    pixels = np.ones((1000, 1300, 3), dtype)
    found = hidden(pixels, 0.4, np.random.default_rng(0))
    assert found.shape == pixels.shape and found.dtype == dtype
    squares = [found[top : top + 32, left : left + 32] for top in range(0, 1000, 32) for left in range(0, 1300, 32)]
    assert all(square.min() == square.max() for square in squares)
    assert np.mean([square.max() == 0 for square in squares]) == pytest.approx(0.4, abs=0.05)


def test_squares_are_drawn_by_the_generator() -> None:
    pixels = np.full((128, 128, 1), 9, np.uint8)
    first, again, other = (hidden(pixels, 0.5, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(hidden(pixels, 0.0, np.random.default_rng(0)), pixels)
