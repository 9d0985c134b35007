"""The shipped models as users meet them: tiles give the same picture as the whole image."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image

import pixlate
from pixlate.images.picture import Pixels
from pixlate.inference.executor import AUTO_TILE, Executor
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard

SIZES = [(1, 1), (1, 200), (211, 1), (2, 3), (69, 70), (97, 131), (125, 170), (90, 230)]


@pytest.fixture(scope="module", params=["upscale-x2", "upscale-x4", "photo-x4", "photo-x2", "clean"])
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def translator(name: str) -> pixlate.Translator:
    return pixlate.load(name, "cpu")


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """A photograph at any size, with noise, so that every pixel has something to say."""
    astronaut = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    photograph = Image.fromarray(astronaut).resize((width, height), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(height * 10_007 + width).integers(-12, 13, (height, width, 3))
    pixels: NDArray[np.uint8] = np.clip(np.array(photograph, np.int16) + noise, 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture(scope="module")
def whole(translator: pixlate.Translator) -> Callable[[int, int], Pixels]:
    """Return a function that gives the translated picture of a size, made once."""
    return cache(lambda height, width: translator(picture(height, width)[None])[0])


def difference(translator: pixlate.Translator, pixels: NDArray[np.uint8], whole: Pixels, executor: Executor) -> int:
    tiled = executor(pixels[None])[0]
    assert whole.shape == tiled.shape == (pixels.shape[0] * translator.spec.scale, pixels.shape[1] * translator.spec.scale, 3)
    difference = 0
    for first, second in zip(np.array_split(whole, 16), np.array_split(tiled, 16), strict=True):  # strips, to spare memory
        difference = max(difference, int(np.abs(first.astype(np.int16) - second).max(initial=0)))
    return difference


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("beyond", [20, 52])
def test_tiles_give_the_whole_picture_within_one_level(
    translator: pixlate.Translator, whole: Callable[[int, int], Pixels], size: tuple[int, int], beyond: int
) -> None:
    tile = 2 * translator.spec.halo + beyond
    assert difference(translator, picture(*size), whole(*size), Executor(translator, tile, "auto")) <= 1


def cut_by_itself(translator: pixlate.Translator, height: int, width: int) -> tuple[int, int]:
    """Return the difference that automatic tiles make, and the runs of the model."""
    executor = Executor(translator, "auto", "auto")
    runs: list[tuple[int, ...]] = []

    class Counting:
        spec, device = translator.spec, translator.device

        def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
            assert pixels is not None
            runs.append(pixels.shape)
            return translator(pixels)

    executor.translator = Counting()
    pixels = picture(height, width)
    return difference(translator, pixels, translator(pixels[None])[0], executor), len(runs)


def test_automatic_tiles_give_the_whole_picture_within_one_level(translator: pixlate.Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AUTO_TILE, "cpu", 104)
    largest, runs = cut_by_itself(translator, 130, 180)
    assert largest <= 1
    assert runs > 1, "the photograph was cut into tiles"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["upscale-x2", "upscale-x4"], scope="module")  # photo-x4 is the network of upscale-x4
def test_automatic_tiles_of_a_large_photograph_give_the_whole_picture_within_one_level(translator: pixlate.Translator) -> None:
    largest, runs = cut_by_itself(translator, 1100, 1500)
    assert largest <= 1
    assert runs > 1, "the photograph was cut into tiles"


def test_flat_colours_stay_flat(translator: pixlate.Translator) -> None:
    for level in (0, 64, 128, 255):
        output = translator(np.full((1, 40, 40, 3), level, np.uint8))
        inner = output[:, 8:-8, 8:-8].astype(int)
        assert np.abs(inner - level).max() <= 4


def test_noise_stays_in_range_and_black_and_white_are_reached(translator: pixlate.Translator) -> None:
    stripes = np.zeros((1, 48, 48, 3), np.uint8)
    stripes[:, :, 24:] = 255
    output = translator(stripes)
    assert output.min() == 0
    assert output.max() == 255


def test_the_card_says_what_the_file_says(name: str, translator: pixlate.Translator) -> None:
    model = installed().offered(ModelCard)[name]
    assert model.card is not None
    card, provenance = model.card.read_text(), translator.spec.provenance
    assert f"{provenance.steps:,} steps" in card
    assert f"seed {provenance.seed}" in card
    assert "non-commercial research and education" in provenance.licence
    assert "non-commercial research and education" in card
    assert "BSDS500" in provenance.data
    assert f"{translator.spec.halo} source pixels around" in card
