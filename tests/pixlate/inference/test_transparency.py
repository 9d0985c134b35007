"""What is hidden under transparency never reaches a network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.pixlate.conftest import noise

from pixlate.convert import ConvertOptions, convert
from pixlate.errors import PixlateError
from pixlate.images import Picture, Pixels
from pixlate.inference.pictures import from_model, opacity_to_model, to_model
from pixlate.inference.strength import enlarged
from pixlate.inference.transparency import STRIP, with_hidden_filled
from pixlate.plugin.spec import ModelSpec

SIDE = 64


def disc(side: int = SIDE) -> NDArray[np.uint8]:
    """Return the opacity of a disc with a smooth edge."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    cover: NDArray[np.uint8] = (np.clip(0.38 * side - np.hypot(x, y), 0, 1) * 255).astype(np.uint8)
    return cover


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_disc_of_one_colour_is_filled_with_that_colour_whatever_is_hidden(channels: int, kind: type[np.generic]) -> None:
    full = 1 if kind is np.float32 else np.iinfo(kind).max  # type: ignore[type-var]
    alpha = (disc().astype(np.float64) / 255 * full).astype(kind)
    own = (np.array([0.9, 0.2, 0.4][:channels]) * full).astype(kind)
    hidden = noise(SIDE, SIDE, channels, dtype=np.uint16).astype(np.float64) / 65535 * full
    pixels = np.where(alpha[:, :, None] > 0, own, hidden.astype(kind))
    np.testing.assert_allclose(with_hidden_filled(pixels, alpha).astype(np.float64), np.broadcast_to(own, pixels.shape).astype(np.float64), rtol=1e-6)


def test_visible_pixels_keep_their_colours_however_little_they_cover() -> None:
    alpha, pixels = disc(), noise(SIDE, SIDE)
    filled = with_hidden_filled(pixels, alpha)
    assert 0 < alpha[alpha > 0].min() < 255
    assert (filled == pixels)[alpha > 0].all()
    assert (filled != pixels)[alpha == 0].any()


def test_what_is_hidden_takes_the_nearer_of_two_colours() -> None:
    alpha = np.zeros((40, 80), np.uint8)
    alpha[:, :10] = alpha[:, 70:] = 255
    pixels = np.zeros((40, 80, 1), np.uint8)
    pixels[:, 40:] = 200
    filled = with_hidden_filled(pixels, alpha)[:, :, 0].astype(int)
    assert (filled[:, :16] < 50).all()
    assert (filled[:, 64:] > 150).all()
    assert (np.diff(filled, axis=1) < 40).all()  # smoothly from one to the other


def test_pictures_without_hidden_pixels_are_not_copied() -> None:
    pixels = noise(5, 7)
    assert with_hidden_filled(pixels, np.full((5, 7), 1, np.uint8)) is pixels
    assert with_hidden_filled(pixels, np.zeros((5, 7), np.uint8)) is pixels  # nothing is visible
    assert to_model(Picture(pixels), ModelSpec()) is pixels


def test_floating_point_that_is_no_number_may_be_hidden() -> None:
    pixels, alpha = np.full((9, 9, 3), 0.5, np.float32), np.ones((9, 9), np.float32)
    pixels[4:, 4:], alpha[4:, 4:] = np.nan, 0
    assert (with_hidden_filled(pixels, alpha) == 0.5).all()


@pytest.mark.parametrize("height", [1, 2, STRIP - 1, STRIP + 3])
def test_large_and_thin_pictures_are_filled_from_one_pixel(height: int) -> None:
    alpha = np.zeros((height, 3), np.uint8)
    alpha[-1, 1] = 1
    pixels = noise(height, 3)
    assert (with_hidden_filled(pixels, alpha) == pixels[-1, 1]).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_opacity_is_enlarged_as_pillow_enlarges_it_whole(kind: type[np.uint8] | type[np.uint16]) -> None:
    plane = noise(STRIP + 70, 9, 1, dtype=kind)[:, :, 0]
    whole = np.asarray(Image.fromarray(plane.astype(np.float32)).resize((27, 3 * (STRIP + 70)), Image.Resampling.BICUBIC))
    expected = np.clip(np.rint(whole), 0, np.iinfo(kind).max)
    assert np.abs(enlarged(plane, 3).astype(np.float64) - expected).max() <= 1  # where a strip ends, halves may round otherwise


def test_opacity_through_the_model_is_a_grey_picture() -> None:
    spec = ModelSpec(scale=2)
    picture = Picture(noise(4, 5), noise(4, 5, 1, seed=2)[:, :, 0])
    given = opacity_to_model(picture, spec)
    assert given is not None
    assert (given == picture.alpha[:, :, None]).all()  # type: ignore[index]
    made = noise(8, 10)
    found = from_model(noise(8, 10), picture, spec, made).alpha
    assert found is not None
    assert (found == np.rint(made.mean(axis=2))).all()
    assert opacity_to_model(replace(picture, alpha=np.full((4, 5), 99, np.uint8)), spec) is None  # it needs no model to stay the same


def sprite(path: Path, own: tuple[int, int, int], under: tuple[int, int, int] | None = None) -> Path:
    """Write a disc with a hard edge; under it, where it is not visible, another colour or noise."""
    visible = disc(32) > 127
    hidden: Pixels = noise(32, 32) if under is None else np.full((32, 32, 3), under, np.uint8)
    rgb = np.where(visible[:, :, None], np.array(own, np.uint8), hidden)
    Image.fromarray(np.dstack([rgb, visible * np.uint8(255)])).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", "avif", "gif", "jpg"])
def test_a_cut_out_is_enlarged_as_if_its_own_colour_were_beneath(suffix: str, tmp_path: Path) -> None:
    own, outputs = (250, 220, 40), []
    for name, under in (("own", own), ("black", (0, 0, 0)), ("noise", None)):
        source = sprite(tmp_path / f"{name}.png", own, under)
        convert(source, tmp_path / "out", "upscale-x2", ConvertOptions(format="jpeg" if suffix == "jpg" else suffix, device="cpu"))
        with Image.open(next((tmp_path / "out").glob(f"{name}.*"))) as image:
            outputs.append(np.asarray(image.convert("RGBA")).astype(int))
    for output in outputs[1:]:
        seen = output[:, :, 3] > 0
        assert (output[:, :, 3] == outputs[0][:, :, 3]).all()
        assert np.abs(output - outputs[0])[seen].max() <= 2


def test_alpha_model_lets_the_model_enlarge_opacity(tmp_path: Path) -> None:
    source = sprite(tmp_path / "a.png", (250, 220, 40))
    opacities = {}
    for alpha in ("bicubic", "model"):
        summary = convert(source, tmp_path / alpha, "upscale-x2", ConvertOptions(alpha=alpha, device="cpu"))
        assert summary.converted == 1
        with Image.open(tmp_path / alpha / "a.png") as image:
            opacities[alpha] = np.asarray(image)[:, :, 3].astype(int)
    grey = Image.fromarray((disc(32) > 127) * np.uint8(255))
    grey.save(tmp_path / "grey.png")
    convert(tmp_path / "grey.png", tmp_path / "out", "upscale-x2", ConvertOptions(device="cpu"))
    with Image.open(tmp_path / "out" / "grey.png") as image:
        assert (np.asarray(image) == opacities["model"]).all()
    assert (opacities["model"] != opacities["bicubic"]).any()


def test_alpha_model_is_refused_where_the_model_does_not_enlarge(tmp_path: Path) -> None:
    source = sprite(tmp_path / "a.png", (1, 2, 3))
    with pytest.raises(PixlateError, match="expected a model that enlarges grey pictures for --alpha model, got one of scale 1"):
        convert(source, tmp_path / "out", "day-to-night", ConvertOptions(alpha="model", device="cpu"))
