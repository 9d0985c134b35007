"""A sheet shows pictures pixel for pixel, each under its caption's row."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pixlate.images.contact_sheet import MARGIN, contact_sheet

SIDE = 200


def pictures(count: int, side: int = SIDE) -> list[Image.Image]:
    return [Image.fromarray(np.random.default_rng((side, number)).integers(0, 256, (side, side, 3), np.uint8)) for number in range(count)]


def at(sheet: Image.Image, row: int, right: int) -> NDArray[np.uint8]:
    """Return the picture of a row of the first block, by its number from the right border."""
    left, top = sheet.width - (right + 1) * (SIDE + MARGIN), MARGIN + row * (SIDE + MARGIN)
    return np.asarray(sheet)[top : top + SIDE, left : left + SIDE]


def test_pictures_are_shown_pixel_for_pixel_and_small_ones_with_their_pixels_repeated() -> None:
    large, small = pictures(2), pictures(2, SIDE // 4)
    sheet = contact_sheet({"source": small, "target": large}, {})
    for number in range(2):
        assert np.array_equal(at(sheet, 0, 1 - number), np.kron(np.asarray(small[number]), np.ones((4, 4, 1), np.uint8)))
        assert np.array_equal(at(sheet, 1, 1 - number), np.asarray(large[number]))


@pytest.mark.parametrize(("widest", "columns", "blocks"), [(2000, 8, 1), (1100, 4, 2), (100, 1, 8)])
def test_samples_that_do_not_fit_the_width_go_into_further_blocks(widest: int, columns: int, blocks: int) -> None:
    sheet = contact_sheet({"picture": pictures(8)}, {}, widest)
    captions = sheet.width - columns * (SIDE + MARGIN)
    assert 0 < captions < 100
    assert sheet.height == MARGIN + blocks * (SIDE + 2 * MARGIN)


def test_captions_of_several_lines_and_of_larger_letters_do_not_run_into_pictures() -> None:
    for caption, letters in (("a caption\nof several lines", 14), ("a caption", 30)):
        sheet = contact_sheet({caption: pictures(1)}, {}, letters=letters)
        words = np.asarray(sheet)[:, : sheet.width - SIDE - MARGIN]
        assert words.min() < 100 and (words[:, -MARGIN:] > 250).all()
    assert contact_sheet({"one\ntwo": pictures(1)}, {}).width < contact_sheet({"one two": pictures(1)}, {}).width
