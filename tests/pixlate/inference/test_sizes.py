"""Sizes a network takes, and how images are padded up to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.inference.sizes import allowed_size, blended_halo, least_tile, pad, padding_indices
from pixlate.plugin.spec import ModelSpec


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.integers(1, 100))
def test_allowed_size_is_the_least_multiple_from_the_minimum_on(height: int, width: int, multiple: int, minimum: int) -> None:
    for side, allowed in zip((height, width), allowed_size(height, width, ModelSpec(multiple=multiple, minimum=minimum)), strict=True):
        assert allowed % multiple == 0 and allowed >= max(side, minimum) > allowed - multiple


@given(st.integers(2, 40), st.integers(0, 39))
def test_reflection_is_that_of_numpy_where_the_image_reaches(side: int, missing: int) -> None:
    padded = side + min(missing, side - 1)
    np.testing.assert_array_equal(padding_indices(side, padded, "reflect"), np.pad(np.arange(side), (0, padded - side), mode="reflect"))


@pytest.mark.parametrize(("side", "padded", "expected"), [(1, 4, [0, 0, 0, 0]), (3, 8, [0, 1, 2, 1, 0, 0, 0, 0]), (2, 2, [0, 1]), (5, 3, [0, 1, 2])])
def test_edge_is_repeated_where_the_image_is_too_short_to_reflect(side: int, padded: int, expected: list[int]) -> None:
    assert padding_indices(side, padded, "reflect").tolist() == expected


@given(st.integers(1, 20), st.integers(1, 60), st.sampled_from(["edge", "symmetric"]))
def test_edge_and_symmetric_are_those_of_numpy(side: int, padded: int, padding: str) -> None:
    rows = np.arange(side)[: min(side, padded)]
    expected = np.pad(rows, (0, max(0, padded - side)), mode=padding)  # type: ignore[call-overload]
    np.testing.assert_array_equal(padding_indices(side, padded, padding), expected)  # type: ignore[arg-type]


def test_images_of_the_right_size_are_not_copied() -> None:
    images = np.zeros((1, 8, 8, 3), np.uint8)
    assert pad(images, 8, 8, "reflect") is images
    assert pad(images, 9, 12, "reflect").shape == (1, 9, 12, 3)


def test_tiles_hold_their_context_on_both_sides_and_what_the_network_takes() -> None:
    assert least_tile(ModelSpec()) == 65
    assert least_tile(ModelSpec(halo=0)) == 32
    assert least_tile(ModelSpec(halo=50, multiple=8)) == 112
    assert [blended_halo(halo) for halo in (0, 64, 765)] == [32, 64, 128]
