"""Picture, Metadata and the table of formats."""

import numpy as np
import pytest

from pixlate.images import BUILT_IN, Metadata, Picture
from pixlate.images.formats import named
from pixlate.images.picture import Pixels, on_white, to_8_bits, unmultiplied


def test_a_picture_counts_the_bytes_of_pixels_and_alpha() -> None:
    assert Picture(np.zeros((4, 5, 3), np.uint16), np.zeros((4, 5), np.uint16)).nbytes == 4 * 5 * 4 * 2


@pytest.mark.parametrize("pixels", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 0), np.uint8), np.zeros((0, 5, 3), np.uint8), np.zeros((4, 5, 3), np.float64)])
def test_a_picture_refuses_pixels_of_another_shape_or_type(pixels: Pixels) -> None:
    with pytest.raises(ValueError, match="expected pixels of"):
        Picture(pixels)


@pytest.mark.parametrize("alpha", [np.zeros((5, 4), np.uint8), np.zeros((4, 5), np.uint16)])
def test_a_picture_refuses_alpha_unlike_its_pixels(alpha: Pixels) -> None:
    with pytest.raises(ValueError, match="expected alpha"):
        Picture(np.zeros((4, 5, 3), np.uint8), alpha)


def test_alpha_belongs_to_grey_and_rgb_pictures_alone() -> None:
    with pytest.raises(ValueError, match="1 or 3 channels beside alpha, got 5"):
        Picture(np.zeros((4, 5, 5), np.uint8), np.zeros((4, 5), np.uint8))


@pytest.mark.parametrize("dpi", [(0.0, 72.0), (float("nan"), 1.0), (float("inf"), 1.0), (-1.0, 1.0)])
def test_metadata_refuses_a_resolution_that_is_none(dpi: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="dpi"):
        Metadata(dpi=dpi)


def test_every_format_has_a_usual_suffix_that_leads_back_to_it() -> None:
    assert (
        {BUILT_IN[format.suffixes[0]].name for format in BUILT_IN.values()}
        == set(named(BUILT_IN))
        == {"jpeg", "png", "webp", "tiff", "bmp", "avif", "gif", "npy"}
    )
    assert named(BUILT_IN)["jpeg"].suffixes[0] == ".jpg"


def test_16_bits_round_to_the_nearest_of_8() -> None:
    levels = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_8_bits(levels), np.rint(levels / 257))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compositing_over_white_is_exact_to_half_a_level(dtype: type[np.uint8]) -> None:
    full = np.iinfo(dtype).max
    values = np.linspace(0, full, 64).round().astype(dtype)
    pixels, alpha = np.meshgrid(values, values)
    exact = pixels * (alpha / full) + full * (1 - alpha / full)
    assert np.abs(on_white(pixels[:, :, None], alpha)[:, :, 0] - exact).max() <= 0.5 + 1e-6


def test_unmultiplying_undoes_multiplying_where_nothing_was_lost() -> None:
    alpha = np.full((3, 3), 128, np.uint8)
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3) * 9
    multiplied = np.rint(pixels * (128 / 255)).astype(np.uint8)
    assert np.abs(unmultiplied(multiplied, alpha).astype(int) - pixels).max() <= 1
