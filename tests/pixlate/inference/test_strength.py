"""Outputs blended with their sources: closed forms, and bicubic enlarging by another library."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.pixlate.conftest import NEAREST, Nearest, nearest, noise

import pixlate
from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.strength import STRIP, blend, enlarged
from pixlate.plugin.spec import ModelSpec

Kinds = st.sampled_from([np.uint8, np.uint16])
Scales = st.sampled_from([1, 2, 3, 4])


def pair(kind: type[np.uint8] | type[np.uint16], scale: int, channels: int, seed: int) -> tuple[Pixels, Pixels]:
    """Return an output and its source, unlike each other."""
    return noise(6 * scale, 5 * scale, channels, seed, kind), noise(6, 5, channels, seed + 1, kind)


def bicubic(source: Pixels, scale: int) -> Pixels:
    """Return each channel enlarged."""
    return np.dstack([enlarged(source[:, :, channel], scale) for channel in range(source.shape[2])])


@given(strength=st.floats(0, 1), kind=Kinds, scale=Scales, channels=st.sampled_from([1, 3]), seed=st.integers(0, 99))
def test_blend_is_the_weighted_mean_of_output_and_enlarged_source(
    strength: float, kind: type[np.uint8] | type[np.uint16], scale: int, channels: int, seed: int
) -> None:
    output, source = pair(kind, scale, channels, seed)
    found, ends = blend(output, source, strength), bicubic(source, scale).astype(float)
    assert found.dtype == kind and found.shape == output.shape
    assert (found >= np.minimum(output, ends)).all() and (found <= np.maximum(output, ends)).all()
    expected = strength * output + (1 - strength) * ends
    assert np.abs(found - expected).max() <= 1.01  # the enlarged source of ``expected`` is rounded too


@given(kind=Kinds, scale=Scales, seed=st.integers(0, 99))
def test_ends_are_the_output_itself_and_the_source_alone(kind: type[np.uint8] | type[np.uint16], scale: int, seed: int) -> None:
    output, source = pair(kind, scale, 3, seed)
    assert blend(output, source, 1) is output
    np.testing.assert_array_equal(blend(output, source, 0), bicubic(source, scale))


def keys(side: int, scale: int) -> NDArray[np.float64]:
    """Return the weights (side * scale, side) of cubic convolution, Keys 1981, equation 15 with a = -0.5, without what is beyond the edges."""
    away = np.abs((np.arange(side * scale)[:, None] + 0.5) / scale - 0.5 - np.arange(side))
    near, far = 1.5 * away**3 - 2.5 * away**2 + 1, -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
    weights: NDArray[np.float64] = np.where(away <= 1, near, np.where(away < 2, far, 0))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("strength", [0, 0.25])
def test_source_is_enlarged_by_the_cubic_convolution_of_keys(scale: int, strength: float) -> None:
    source = noise(STRIP + 9, 12, 1)
    whole = keys(STRIP + 9, scale) @ source[:, :, 0] @ keys(12, scale).T
    output = noise(whole.shape[0], whole.shape[1], 1, 5)
    expected = strength * output[:, :, 0] + (1 - strength) * np.clip(whole, 0, 255)
    assert np.abs(blend(output, source, strength)[:, :, 0] - expected).max() <= 0.501


def test_alike_pictures_stay_as_they_are() -> None:
    source = np.full((7, 4, 3), 200, np.uint8)
    for strength in (0.0, 0.1, 0.3, 0.7, 0.9):
        assert (blend(nearest(source[None], 2)[0], source, strength) == 200).all()


def test_translator_is_blended_image_by_image() -> None:
    images = np.stack([noise(5, 6, seed=seed) for seed in (1, 2)])
    found = pixlate.blended(Nearest(), 0.25)
    assert found.spec is NEAREST and found.device == "cpu"
    expected = [blend(nearest(image[None], 2)[0], image, 0.25) for image in images]
    np.testing.assert_array_equal(found(images), np.stack(expected))


def test_strength_one_is_the_translator_itself() -> None:
    translator = Nearest()
    assert pixlate.blended(translator, 1) is translator


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5"])
def test_strength_that_is_no_number_from_0_to_1_is_refused(strength: float) -> None:
    with pytest.raises(PixlateError, match=r"expected strength from 0 to 1 \(the model alone\), got .*; choose a number in between"):
        pixlate.blended(Nearest(), strength)


@pytest.mark.parametrize("spec", [ModelSpec(channels_in=1), replace(NEAREST, channels_out=1)])
def test_model_that_changes_the_number_of_channels_is_refused(spec: ModelSpec) -> None:
    with pytest.raises(
        PixlateError, match=r"expected a model that gives as many channels as it takes for a strength below 1, got one that takes . and gives ."
    ):
        pixlate.blended(Nearest(spec), 0.5)
