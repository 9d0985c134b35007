"""Metrics against scikit-image and the published baseline."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from pixlate.evaluation import luma, luma_correlation, psnr_luma


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
