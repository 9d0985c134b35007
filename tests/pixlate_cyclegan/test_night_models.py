"""The models that ship with CycleGAN: small, exact in tiles, and true to the photographs they translate."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pixlate
from pixlate.evaluation import luma_correlation
from pixlate.evaluation.metrics import psnr
from pixlate.inference.ready import cards

MOST_BYTES = 8_000_000


def photographs(folder: Path, count: int) -> list[NDArray[np.uint8]]:
    """Return a few of a folder's photographs, evenly spread over it."""
    paths = sorted(folder.glob("*.jpg"))
    pixels = []
    for path in paths[:: len(paths) // count][:count]:
        with Image.open(path) as image:
            pixels.append(np.array(image.convert("RGB")))
    return pixels


@pytest.mark.parametrize(("name", "direction"), [("day-to-night", "source-to-target"), ("night-to-day", "target-to-source")])
def test_model_is_small_and_says_what_it_is(name: str, direction: str) -> None:
    card, spec = cards()[name], pixlate.load(name, "cpu").spec
    assert card.path.stat().st_size < MOST_BYTES and card.card is not None and card.card.is_file()
    assert (spec.method, spec.direction, spec.scale, spec.tiling_exact) == ("cyclegan", direction, 1, True)
    assert "night" in spec.provenance.data and "non-commercial" in spec.provenance.licence


def test_night_keeps_structure_and_has_the_brightness_of_the_night_set(data: Path) -> None:
    translator = pixlate.load("day-to-night", "cpu")
    sources, nights = photographs(data / "photos/test", 40), photographs(data / "night", 100)
    outputs = [translator(source[None])[0] for source in sources]
    assert min(luma_correlation(output, source) for output, source in zip(outputs, sources, strict=True)) > 0.9
    assert np.mean([output.mean() for output in outputs]) == pytest.approx(np.mean([night.mean() for night in nights]), rel=0.1)


def test_night_to_day_inverts_day_to_night(data: Path) -> None:
    there, back = pixlate.load("day-to-night", "cpu"), pixlate.load("night-to-day", "cpu")
    for source in photographs(data / "photos/test", 5):
        assert psnr(back(there(source[None]))[0], source) > 25
