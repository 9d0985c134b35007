"""Pictures are resized in linear light by Lanczos' filter; compared with weights and formulas written down here, apart from the code."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ImageCms
from tests.pixlate.conftest import noise

from pixlate.images import Metadata, Picture, Pixels, resize
from pixlate.images.colour import srgb
from pixlate.images.curves import SRGB, curves_of
from pixlate.images.resize import resized, resized_rows
from pixlate.images.signalled import profile

Values = NDArray[np.float64]
ADOBE = profile("Adobe RGB", (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), gamma=563 / 256)


def weights(length: int, wanted: int) -> Values:
    """Return the matrix (wanted, length) of Lanczos' filter with three lobes, widened where it reduces."""
    ratio = length / wanted
    wide = max(1.0, ratio)
    distance = (np.arange(length)[None, :] + 0.5 - (np.arange(wanted)[:, None] + 0.5) * ratio) / wide
    matrix = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    found: Values = matrix / matrix.sum(axis=1, keepdims=True)
    return found


def light(samples: Values) -> Values:
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def encoded(values: Values) -> Values:
    values = np.clip(values, 0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def filtered(plane: Values, size: tuple[int, int]) -> Values:
    return weights(plane.shape[0], size[1]) @ plane @ weights(plane.shape[1], size[0]).T


def expected(pixels: Pixels, size: tuple[int, int]) -> Values:
    full = 255 if pixels.dtype == np.uint8 else 65535
    return np.dstack([encoded(filtered(light(pixels[:, :, channel] / full), size)) * full for channel in range(pixels.shape[2])])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(20, 15), (31, 23), (53, 41), (107, 80), (1, 1), (40, 7)])
def test_resized_is_lanczos_of_linear_light(size: tuple[int, int], channels: int, dtype: type[np.uint8] | type[np.uint16]) -> None:
    pixels = noise(29, 37, channels, dtype=dtype)
    found = resized(Picture(pixels), size).pixels
    assert found.shape == (size[1], size[0], channels)
    assert found.dtype == dtype
    assert np.abs(found - expected(pixels, size)).max() <= (0.54 if dtype == np.uint8 else 0.75)  # half a level, and what 32 bits and the table leave open


def test_a_checkerboard_of_black_and_white_becomes_188_and_not_128() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None]
    found = resized(Picture(board), (32, 32)).pixels
    assert (found[4:-4, 4:-4] == 188).all()
    assert np.abs(found.astype(int) - 188).max() <= 4


@pytest.mark.parametrize("size", [(5, 3), (64, 64), (200, 301)])
def test_flat_colours_stay_exact_at_every_level(size: tuple[int, int]) -> None:
    for level in range(256):
        found = resized(Picture(np.full((9, 11, 3), (level, 255 - level, 7), np.uint8)), size).pixels
        assert (found == (level, 255 - level, 7)).all()
    for deep in (0, 1, 2, 77, 300, 12345, 43210, 65534, 65535):
        assert (resized(Picture(np.full((9, 11, 1), deep, np.uint16)), size).pixels == deep).all()


def test_a_picture_of_the_size_asked_for_is_the_picture() -> None:
    picture = Picture(noise(5, 7))
    assert resized(picture, (7, 5)) is picture


@pytest.mark.parametrize("size", [(10, 12), (61, 50)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_are_weighted_by_their_opacity(dtype: type[np.uint8] | type[np.uint16], size: tuple[int, int]) -> None:
    full = np.iinfo(dtype).max
    pixels, alpha = noise(25, 21, dtype=dtype), noise(25, 21, 1, 5, dtype)[:, :, 0]
    found = resized(Picture(pixels, alpha), size)
    weight = filtered(alpha / full, size)
    assert found.alpha is not None
    assert np.abs(found.alpha - np.clip(weight, 0, 1) * full).max() <= 0.51
    shown = weight > 0.2
    for channel in range(3):
        premultiplied = filtered(light(pixels[:, :, channel] / full) * (alpha / full), size)
        right = encoded(premultiplied[shown] / weight[shown]) * full
        assert np.abs(found.pixels[:, :, channel][shown] - right).max() <= (0.55 if dtype == np.uint8 else 1)


def test_hidden_colours_never_show_and_are_not_turned_black() -> None:
    pixels = np.full((20, 40, 3), (200, 30, 90), np.uint8)
    pixels[:, 20:] = 0, 255, 0
    alpha = np.zeros((20, 40), np.uint8)
    alpha[:, :20] = 255
    found = resized(Picture(pixels, alpha), (26, 13))
    assert found.alpha is not None
    assert (found.pixels[found.alpha > 0] == (200, 30, 90)).all()
    assert (found.pixels[:, -4:] == (0, 255, 0)).all()


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.lists(st.integers(1, 20), min_size=1),
    st.booleans(),
    st.integers(20, 4000),
)
def test_rows_that_come_in_strips_give_the_whole_picture(source: tuple[int, int], size: tuple[int, int], strips: list[int], opaque: bool, band: int) -> None:
    height, width = source
    picture = Picture(noise(height, width), None if opaque else noise(height, width, 1, 3)[:, :, 0])

    def cut() -> Iterator[Picture]:
        top, turn = 0, 0
        while top < height:
            rows = slice(top, top + strips[turn % len(strips)])
            yield replace(picture, pixels=picture.pixels[rows], alpha=None if picture.alpha is None else picture.alpha[rows])
            top, turn = rows.stop, turn + 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resize, "BAND", band)
        parts = list(resized_rows(cut(), height, size))
        whole = resized(picture, size)
    np.testing.assert_array_equal(np.concatenate([part.samples for part in parts]), whole.samples)
    assert whole.pixels.shape[:2] == size[::-1]
    one = resized(picture, size)  # in a single band
    assert np.abs(one.samples.astype(int) - whole.samples).max() <= 1


def test_no_more_rows_are_in_memory_than_the_next_ones_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resize, "BAND", 4000)
    seen: list[int] = []
    before = resize._resampled

    def watched(samples: Pixels, *words: Any) -> object:
        seen.append(len(samples))
        return before(samples, *words)

    monkeypatch.setattr(resize, "_resampled", watched)
    taken = 0

    def strips() -> Iterator[Picture]:
        nonlocal taken
        for _ in range(500):
            taken += 4
            yield Picture(np.zeros((4, 100, 3), np.uint8))

    made = 0
    for band in resized_rows(strips(), 2000, (50, 1000)):
        made += len(band.pixels)
        assert taken <= 2 * made + 40 + 4
    assert made == 1000
    assert max(seen) <= 40 + 2 * 8


def test_a_picture_of_another_curve_is_resized_in_its_own_light() -> None:
    pixels = noise(30, 30)
    found = resized(Picture(pixels, metadata=Metadata(icc=ADOBE)), (15, 15)).pixels
    gamma = 563 / 256
    right = np.dstack([np.clip(filtered((pixels[:, :, channel] / 255) ** gamma, (15, 15)), 0, 1) ** (1 / gamma) * 255 for channel in range(3)])
    assert np.abs(found - right).max() <= 0.8
    assert (found != resized(Picture(pixels), (15, 15)).pixels).any()


def test_profiles_that_say_srgb_and_those_that_cannot_be_read_are_srgb() -> None:
    levels = np.arange(256, dtype=np.uint8)
    for icc in (srgb(), profile("Display P3", (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06))):
        np.testing.assert_allclose(curves_of(icc, 3)[1].decoded(levels), light(levels / 255), atol=2e-4)
    for damaged in (b"", b"no profile", ADOBE[:200], ADOBE[:150] + b"\xff" * 400, srgb()[:16] + b"GRAY" + srgb()[20:]):
        assert curves_of(damaged, 3) == (SRGB,) * 3
    assert curves_of(ADOBE, 1) == (SRGB,)


@pytest.mark.parametrize("cut", range(0, 600, 7))
def test_a_profile_cut_anywhere_never_raises(cut: int) -> None:
    for whole in (ADOBE, srgb()):
        assert len(curves_of(whole[:cut], 3)) == 3
        assert len(curves_of(whole[:cut] + bytes(50) + whole[cut + 50 :], 3)) == 3


def test_little_cms_sees_the_curves_that_are_read() -> None:
    """The middle grey of a profile, as Little CMS converts it to linear sRGB's luminance."""
    (curve, _, _) = curves_of(ADOBE, 3)
    mine = float(curve.decoded(np.array([128], np.uint8))[0])
    from io import BytesIO

    from PIL import Image

    grey = ImageCms.profileToProfile(Image.new("RGB", (1, 1), (128, 128, 128)), BytesIO(ADOBE), ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert grey is not None
    assert abs(encoded(np.array(mine)) * 255 - np.asarray(grey)[0, 0, 0]) <= 1


def test_many_channels_and_floating_point_are_resized_as_they_are() -> None:
    five = noise(12, 10, 5)
    found = resized(Picture(five), (5, 6)).pixels
    right = np.dstack([filtered(five[:, :, channel] / 255, (5, 6)) * 255 for channel in range(5)])
    assert np.abs(found - np.clip(right, 0, 255)).max() <= 0.51
    bright = noise(12, 10).astype(np.float32) / np.float32(10)
    there = resized(Picture(bright), (5, 6)).pixels
    assert there.dtype == np.float32
    np.testing.assert_allclose(there, np.dstack([filtered(bright[:, :, channel].astype(float), (5, 6)) for channel in range(3)]), atol=1e-3)
