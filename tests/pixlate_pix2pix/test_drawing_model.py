"""The shipped model that colours drawings."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pixlate
from pixlate.data.paper import on_paper
from pixlate.inference.ready import cards

MOST_BYTES = 8_000_000


def face(side: int, thickness: float = 0.03) -> NDArray[np.uint8]:
    """A smiling face in black lines on white, (side, side, 3)."""
    width = max(1, round(side * thickness))
    drawing = np.full((side, side), 255, np.uint8)
    centre = side // 2
    cv2.circle(drawing, (centre, centre), round(side * 0.36), 0, width, cv2.LINE_AA)
    for x in (0.4, 0.6):
        cv2.circle(drawing, (round(side * x), round(side * 0.42)), round(side * 0.03), 0, -1, cv2.LINE_AA)
    cv2.ellipse(drawing, (centre, round(side * 0.53)), (round(side * 0.17), round(side * 0.12)), 0, 10, 170, 0, width, cv2.LINE_AA)
    return np.repeat(drawing[:, :, None], 3, axis=2)


def cheeks(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The mean colour below the eyes, inside the outline."""
    side = picture.shape[0]
    colour: NDArray[np.float64] = picture[round(side * 0.47) : round(side * 0.52), round(side * 0.3) : round(side * 0.7)].mean((0, 1))
    return colour


def test_model_is_small_and_says_what_it_is() -> None:
    card, spec = cards()["colour-drawing"], pixlate.load("colour-drawing", "cpu").spec
    assert card.path.stat().st_size < MOST_BYTES and card.card is not None and not card.demonstration
    assert spec.method == "pix2pix" and spec.whole
    text = card.card.read_text()
    assert "OpenMoji" in spec.provenance.data and "CC BY-SA 4.0" in spec.provenance.licence and "CC BY-SA 4.0" in text
    assert f"{spec.provenance.steps:,} steps" in text and f"seed {spec.provenance.seed}" in text


@pytest.mark.parametrize("side", [180, 288, 1200])
def test_a_face_of_any_size_is_yellow_its_lines_black_and_the_paper_white(side: int) -> None:
    drawing = face(side)
    (picture,) = pixlate.load("colour-drawing", "cpu")(drawing[None])
    red, green, blue = cheeks(picture)
    assert red > 200 and green > 150 and blue < 140
    assert picture[drawing[:, :, 0] < 40].mean() < 40
    edge = side // 20
    assert picture[:edge, :edge].mean() > 235


def test_a_drawing_of_which_the_lines_alone_are_opaque_is_coloured_as_the_same_on_white(tmp_path: Path) -> None:
    drawing = face(288)
    Image.fromarray(np.dstack([np.zeros_like(drawing), 255 - drawing[:, :, :1]])).save(tmp_path / "lines.png")
    Image.fromarray(drawing).save(tmp_path / "white.png")
    pixlate.convert(tmp_path, tmp_path / "out", "colour-drawing", device="cpu")
    lines, white = (np.array(Image.open(tmp_path / "out" / name)).astype(int) for name in ("lines.png", "white.png"))
    assert lines.shape == white.shape and np.abs(lines - white).max() <= 2


@pytest.mark.parametrize("thickness", [0.007, 0.013, 0.03])
def test_nothing_black_appears_beside_lines_of_any_thickness(thickness: float) -> None:
    drawing = face(600, thickness)
    (picture,) = pixlate.load("colour-drawing", "cpu")(drawing[None])
    bare = drawing[:, :, 0] > 250
    assert (picture[bare].mean(axis=1) < 90).mean() < 0.002


@pytest.mark.parametrize(("height", "width", "top", "left"), [(600, 900, 20, 170), (600, 900, 20, 20), (1120, 1120, 0, 0), (1400, 2000, 700, 1300)])
def test_a_drawing_on_much_paper_is_coloured_as_the_drawing_alone(height: int, width: int, top: int, left: int) -> None:
    model = pixlate.load("colour-drawing", "cpu")
    drawing = face(560)
    page = np.full((height, width, 3), 255, np.uint8)
    inside = slice(top, top + 560), slice(left, left + 560)
    page[inside] = drawing
    alone, coloured = (model(pixels[None])[0] for pixels in (drawing, page))
    red, green, blue = cheeks(coloured[inside])
    assert red > 200 and green > 150 and blue < 140
    assert np.abs(coloured[inside].astype(float) - alone).mean() < 12
    coloured[inside] = 255
    assert coloured.min() > 240


def test_blank_paper_and_a_photograph_of_it_stay_blank() -> None:
    model = pixlate.load("colour-drawing", "cpu")
    blank = np.full((300, 400), 255, np.uint8)
    assert model(np.repeat(blank[None, :, :, None], 3, axis=3)).min() > 250
    assert model(on_paper(blank, np.random.default_rng(3))[None]).min() > 230


def test_a_photograph_of_the_drawing_gets_the_same_colour() -> None:
    model = pixlate.load("colour-drawing", "cpu")
    for seed in range(4):
        photographed = on_paper(face(288)[:, :, 0], np.random.default_rng(seed))
        red, green, blue = cheeks(model(photographed[None])[0])
        assert red > blue + 60 and green > blue + 30
