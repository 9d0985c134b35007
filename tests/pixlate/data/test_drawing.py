"""Line drawings made from photographs."""

from math import erf
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pixlate.data.drawing import WIDER, draw_lines, random_lines
from pixlate.plugin.testing import make_photographs


def step(height: int = 64, width: int = 64, dark: int = 60, light: int = 200) -> NDArray[np.uint8]:
    pixels = np.full((height, width, 1), dark, np.uint8)
    pixels[:, width // 2 :] = light
    return pixels


def photograph(folder: Path) -> NDArray[np.uint8]:
    with Image.open(make_photographs(folder, 1, 96, 128) / "000.png") as image:
        return np.array(image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("level", [0, 130, 255])
def test_flat_image_is_drawn_as_white(channels: int, level: int) -> None:
    assert (draw_lines(np.full((40, 30, channels), level, np.uint8), 1.0) == 255).all()


@pytest.mark.parametrize("thickness", [1.0, 1.5, 2.0])
def test_line_of_a_straight_edge_is_the_difference_of_two_error_functions(thickness: float) -> None:
    """Smoothing along a straight edge changes nothing, so equation 7 can be written down: u = 140 (Phi(x / s) - Phi(x / (1.6 s)))."""
    lines = draw_lines(step(), thickness, sharpness=0.05, threshold=2.0)
    places = np.arange(64) - 31.5
    difference = 70 * np.array([erf(x / thickness / 2**0.5) - erf(x / (WIDER * thickness) / 2**0.5) for x in places])
    expected = 255 * (1 + np.tanh(np.minimum(0, 0.05 * (difference + 2.0))))
    assert np.abs(lines[32].astype(float) - expected).max() < 16  # of 255: sums approximate the integrals of the Gaussians
    assert (lines == lines[32]).all()
    assert lines[32].argmin() < 32 and (lines[32, 32:] == 255).all()  # on the dark side


def test_thicker_lines_take_more_ink_and_a_higher_threshold_leaves_out_detail(tmp_path: Path) -> None:
    pixels = photograph(tmp_path)
    ink = [float((255 - draw_lines(step(), thickness).astype(float)).mean()) for thickness in (0.6, 1.0, 1.6, 2.5)]
    assert ink == sorted(ink) and ink[-1] > 2 * ink[0]
    detail = [float((255 - draw_lines(pixels, 1.0, threshold=threshold).astype(float)).mean()) for threshold in (1.0, 4.0, 12.0)]
    assert detail == sorted(detail, reverse=True) and detail[0] > detail[-1]


def test_specks_and_fine_noise_are_not_drawn() -> None:
    noisy = np.clip(150 + 6 * np.random.default_rng(0).standard_normal((96, 96, 3)), 0, 255).astype(np.uint8)
    noisy[20:23, 20:23] = 0
    noisy[60:64, 70:73] = 40
    assert (draw_lines(noisy, 1.0) == 255).all()


def test_edge_keeps_its_line_under_noise() -> None:
    noisy = np.clip(step(96, 96) + 6 * np.random.default_rng(0).standard_normal((96, 96, 1)), 0, 255).astype(np.uint8)
    dark = draw_lines(noisy, 1.0) < 128
    assert dark[:, 43:48].any(axis=1).all() and dark[:, :40].sum() + dark[:, 52:].sum() == 0


def test_photograph_gives_few_dark_lines_on_pure_white_with_soft_edges(tmp_path: Path) -> None:
    lines = draw_lines(photograph(tmp_path), 1.0)
    assert lines.shape == (96, 128) and lines.dtype == np.uint8
    assert (lines == 255).mean() > 0.7 and 0.005 < (lines < 64).mean() < 0.25
    assert ((lines > 0) & (lines < 255)).any()


def test_real_photographs_give_mostly_white_paper(data: Path) -> None:
    for path in sorted((data / "photos" / "train").iterdir())[:10]:
        with Image.open(path) as image:
            lines = draw_lines(np.array(image), 1.0)
        assert (lines == 255).mean() > 0.6 and (lines < 64).any()


def test_random_drawings_differ_in_thickness_and_detail_and_repeat_with_the_seed(tmp_path: Path) -> None:
    pixels = photograph(tmp_path)
    ink = [float((255 - random_lines(pixels, np.random.default_rng(seed)).astype(float)).mean()) for seed in range(12)]
    assert len(set(ink)) == 12 and max(ink) > 2 * min(ink)
    assert np.array_equal(random_lines(pixels, np.random.default_rng(3)), random_lines(pixels, np.random.default_rng(3)))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 3), (5, 3, 3)])
def test_tiny_images_are_drawn_too(shape: tuple[int, int, int]) -> None:
    assert draw_lines(np.zeros(shape, np.uint8), 2.0).shape == shape[:2]
