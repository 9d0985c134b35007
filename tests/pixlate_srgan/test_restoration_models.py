"""The shipped models that restore pictures at their own size, on photographs that none of them has seen."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image

import pixlate
from pixlate.data.degradation import darkened
from pixlate.evaluation.metrics import psnr
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard

MOST_BYTES = 8_000_000
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def photograph() -> Pixels:
    pixels: Pixels = skimage.data.astronaut()[:256, 100:420]  # type: ignore[no-untyped-call]
    return pixels


@pytest.fixture(scope="module")
def run() -> Callable[[str, Pixels], Pixels]:
    models = {name: pixlate.load(name, "cpu") for name in ("clean", "brighten")}
    return lambda name, pixels: models[name](pixels[None])[0]


def stored(pixels: Pixels, quality: int) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


@pytest.mark.parametrize("name", ["clean", "brighten"])
def test_model_is_small_and_says_what_it_is(name: str) -> None:
    card, spec = installed().offered(ModelCard)[name], pixlate.load(name, "cpu").spec
    assert card.path.stat().st_size < MOST_BYTES and card.card is not None
    assert (spec.method, spec.scale, spec.channels_in, spec.channels_out) == ("srgan", 1, 3, 3)
    text = card.card.read_text()
    assert f"{spec.provenance.steps:,} steps" in text and f"seed {spec.provenance.seed}" in text
    assert "non-commercial research and education" in spec.provenance.licence and "non-commercial research and education" in text


@pytest.mark.parametrize("deviation", [10, 25, 40])
def test_clean_removes_noise(run: Callable[[str, Pixels], Pixels], photograph: Pixels, deviation: float) -> None:
    noise = np.random.default_rng(0).normal(0, deviation, photograph.shape)
    noisy = np.rint(photograph + noise).clip(0, 255).astype(np.uint8)
    assert psnr(run("clean", noisy), photograph) > psnr(noisy, photograph) + 4


@pytest.mark.parametrize("grey", [False, True])
def test_clean_lessens_jpeg_blocks(run: Callable[[str, Pixels], Pixels], photograph: Pixels, grey: bool) -> None:
    given = np.repeat(photograph.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8) if grey else photograph
    blocks = stored(given, 10)
    output = run("clean", blocks)
    assert psnr(output, given) > psnr(blocks, given) + 0.3
    if grey:
        assert np.ptp(output.astype(int), axis=2).mean() < 2, "grey stays grey"


@pytest.mark.parametrize("name", ["clean", "brighten"])
def test_grey_photograph_comes_out_grey(name: str, photograph: Pixels, tmp_path: Path) -> None:
    Image.fromarray(photograph).convert("L").save(tmp_path / "grey.jpg", quality=20)
    assert pixlate.convert(tmp_path / "grey.jpg", tmp_path / "out.png", name, pixlate.ConvertOptions(device="cpu")).converted == 1
    with Image.open(tmp_path / "out.png") as made:
        assert made.mode == "L"


def test_clean_leaves_a_clean_photograph_nearly_as_it_is(run: Callable[[str, Pixels], Pixels], photograph: Pixels) -> None:
    assert psnr(run("clean", photograph), photograph) > 34


@pytest.mark.parametrize("stops", [2, 3, 4])
def test_brighten_lifts_what_was_taken_with_too_little_light(run: Callable[[str, Pixels], Pixels], photograph: Pixels, stops: int) -> None:
    light = darkened((photograph / 255).astype(np.float32), stops, 0.01, 0.002, np.random.default_rng(0))
    dark = np.rint(255 * light).astype(np.uint8)
    output = run("brighten", dark)
    assert psnr(output, photograph) > psnr(dark, photograph) + 5
    assert 0.6 < output.mean() / photograph.mean() < 1.5
