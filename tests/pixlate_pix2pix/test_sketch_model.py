"""The model that ships with Pix2Pix."""

import numpy as np

import pixlate
from pixlate.inference.ready import cards

MOST_BYTES = 8_000_000


def test_model_is_small_and_says_what_it_is() -> None:
    card, spec = cards()["sketch-to-photo"], pixlate.load("sketch-to-photo", "cpu").spec
    assert card.path.stat().st_size < MOST_BYTES and card.card is not None and card.card.is_file()
    assert (spec.method, spec.scale, spec.channels_in, spec.channels_out) == ("pix2pix", 1, 3, 3)
    assert "contours" in spec.provenance.data and "non-commercial" in spec.provenance.licence


def test_drawing_of_a_horizon_becomes_a_picture_in_colours_with_a_bluer_sky() -> None:
    drawing = np.full((1, 200, 320, 3), 255, np.uint8)
    drawing[:, 98:101] = 30
    (picture,) = pixlate.load("sketch-to-photo", "cpu")(drawing)
    assert picture.shape == (200, 320, 3)
    above, below = picture[20:80, 40:280].mean((0, 1)), picture[120:180, 40:280].mean((0, 1))
    assert above[2] - above[0] > below[2] - below[0] + 10
