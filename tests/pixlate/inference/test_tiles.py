"""Tiles cover an axis, keep every pixel once, and see enough around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.inference.tiles import ramps, spans

AXES = st.integers(0, 20).flatmap(lambda halo: st.tuples(st.integers(1, 400), st.integers(2 * halo + 1, 2 * halo + 60), st.just(halo)))


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
