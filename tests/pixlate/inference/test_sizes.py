"""Sizes a network takes, and how images are padded up to them; tiles cover an axis, keep every pixel once, and see enough around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.inference.sizes import allowed_size, blended_halo, least_tile, pad, padding_indices, ramps, spans
from pixlate.plugin.spec import ModelSpec

AXES = st.integers(0, 20).flatmap(lambda halo: st.tuples(st.integers(1, 400), st.integers(2 * halo + 1, 2 * halo + 60), st.just(halo)))


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


@given(AXES)
def test_every_pixel_is_kept_exactly_once(axis: tuple[int, int, int]) -> None:
    length, tile, halo = axis
    kept = [pixel for span in spans(length, tile, halo) for pixel in range(span.keep, span.until)]
    assert kept == list(range(length))


@given(AXES)
def test_all_tiles_have_one_size_and_are_inside_the_image(axis: tuple[int, int, int]) -> None:
    length, tile, halo = axis
    parts = spans(length, tile, halo)
    assert {span.stop - span.start for span in parts} == {min(tile, length)}
    assert parts[0].start == 0
    assert parts[-1].stop == length


@given(AXES)
def test_kept_pixels_have_their_context_or_the_edge_of_the_image(axis: tuple[int, int, int]) -> None:
    length, tile, halo = axis
    for span in spans(length, tile, halo):
        assert span.start == 0 or span.keep - span.start >= halo
        assert span.stop == length or span.stop - span.until >= halo


@given(st.integers(1, 12), st.integers(1, 60), st.integers(1, 12), st.integers(0, 20))
def test_tiles_on_a_grid_begin_at_its_multiples_and_keep_every_pixel_with_its_context(grid: int, blocks: int, more: int, halo: int) -> None:
    length, tile = blocks * grid, (-(-2 * halo // grid) + more) * grid
    parts = spans(length, tile, halo, grid)
    assert [pixel for span in parts for pixel in range(span.keep, span.until)] == list(range(length))
    for span in parts:
        assert span.start % grid == 0
        assert span.start == 0 or span.keep - span.start >= halo
        assert span.stop == length or span.stop - span.until >= halo


@given(AXES)
def test_ramps_add_up_to_one_and_fall_towards_shared_edges(axis: tuple[int, int, int]) -> None:
    length, tile, halo = axis
    parts = spans(length, tile, halo)
    total = np.zeros(length)
    for span, weight in zip(parts, ramps(parts, length), strict=True):
        assert weight.dtype == np.float32
        assert (weight > 0).all()
        total[span.start : span.stop] += weight
    np.testing.assert_allclose(total, 1, rtol=1e-6)
    if len(parts) == 2 and halo:
        first = ramps(parts, length)[0]
        shared = first[parts[1].start :]
        assert (np.diff(shared) < 0).all()


def test_a_tile_no_larger_than_its_context_is_refused() -> None:
    with pytest.raises(ValueError, match="larger than their context"):
        spans(100, 20, 10)
