"""Drawings of any size are coloured whole, and their lines stay as they are."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import pixlate
from pixlate.errors import PixlateError
from pixlate.inference.executor import Executor
from pixlate.plugin.gan import MAIN_GENERATOR
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.spec import Provenance
from pixlate.plugin.testing import check_method
from pixlate_export.exporter import export_gan
from pixlate_export.options import ExportOptions
from pixlate_pix2pix import build
from pixlate_pix2pix.crop import Crop
from pixlate_pix2pix.options import Pix2PixOptions
from pixlate_pix2pix.whole_drawing import WholeDrawing, ink, paper_of

SMALL = Pix2PixOptions(depth=3, channels=8, discriminator_channels=8, norm="instance", dropout=0.0, whole=32)


def drawing(height: int, width: int, light: float = 1.0) -> NDArray[np.uint8]:
    """A circle in black on paper that is as light as said, at any size."""
    levels = np.full((1024, 1024), 255, np.uint8)
    cv2.circle(levels, (512, 512), 360, 0, 40)
    return (np.repeat(cv2.resize(levels, (width, height), interpolation=cv2.INTER_AREA)[:, :, None], 3, axis=2) * light).astype(np.uint8)


def as_tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def yellow(side: int = 64) -> WholeDrawing:
    """Colours everything yellow, lines too."""

    class Yellow(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape[2:] == (side, side)
            return torch.tensor([1.0, 1.0, -1.0])[:, None, None].expand_as(images)

    return WholeDrawing(Yellow(), side)


def test_contract_is_kept() -> None:
    method = installed().offered(Method)["pix2pix"]
    check_method(replace(method, build=lambda options: build(replace(options, whole=32))))


@pytest.mark.parametrize("size", [(40, 40), (64, 64), (200, 150), (501, 1000)], ids=str)
@pytest.mark.parametrize("light", [1.0, 0.7])
def test_lines_stay_black_and_sharp_and_paper_takes_the_colour_whatever_its_light(size: tuple[int, int], light: float) -> None:
    given = drawing(*size, light)
    with torch.no_grad():
        output = yellow()(as_tensor(given))[0].permute(1, 2, 0).numpy()
    assert output.shape == (*size, 3)
    lines, paper = drawing(*size)[:, :, 0] < 20, drawing(*size)[:, :, 0] > 250
    assert output[lines].max() < 0.06
    assert np.abs(output[paper] - [1, 1, 0]).max() < 0.15
    assert np.abs(output[paper] - [1, 1, 0]).mean() < 0.01


def test_shadows_are_no_ink() -> None:
    shadow = torch.linspace(0.4, 1, 128).expand(1, 3, 128, 128)
    assert float(ink(shadow, paper_of(shadow)).max()) < 0.35
    assert float(ink(shadow, paper_of(shadow)).mean()) < 0.1


def test_the_same_drawing_at_another_size_gets_the_same_colours() -> None:
    torch.manual_seed(1)
    generator = build(SMALL).generators[MAIN_GENERATOR].eval()
    with torch.no_grad():
        small, large = (generator(as_tensor(drawing(side, side)))[0].permute(1, 2, 0).numpy() for side in (256, 1024))
    assert np.abs(cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA) - small).mean() < 0.02


def on_page(pixels: NDArray[np.uint8], height: int, width: int, top: int, left: int) -> NDArray[np.uint8]:
    """A drawing on a larger page of white paper."""
    page = np.full((height, width, 3), 255, np.uint8)
    page[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return page


def crop_of(pixels: NDArray[np.uint8]) -> list[float]:
    """Middle, below and right of the corner, and side of the square around the ink, in pixels."""
    page = as_tensor(pixels)
    crop = Crop.around(ink(page, torch.ones(())), 128)
    return [float(each) for each in (crop.down, crop.across, crop.side)]


def test_the_square_around_a_small_drawing_has_its_middle_and_the_margin_of_the_training_drawings() -> None:
    down, across, side = crop_of(on_page(drawing(300, 300), 900, 1200, 500, 100))
    ink_side = 300 * 760 / 1024
    assert abs(down - 650) < 8 and abs(across - 250) < 8
    assert abs(side - ink_side / 0.75) < 25


@pytest.mark.parametrize("size", [(300, 300), (300, 200), (200, 300)], ids=str)
def test_a_drawing_that_fills_the_picture_is_seen_with_all_of_its_paper(size: tuple[int, int]) -> None:
    given = np.full((*size, 3), 255, np.uint8)
    cv2.rectangle(given, (10, 10), (size[1] - 10, size[0] - 10), (0, 0, 0), 5)
    assert crop_of(given) == pytest.approx([size[0] / 2, size[1] / 2, max(size)], abs=0.01)


def test_specks_neither_grow_nor_shrink_the_square() -> None:
    page = on_page(drawing(300, 300), 900, 1200, 500, 100)
    clean = crop_of(page)
    generator = np.random.default_rng(0)
    for _ in range(20):
        row, column = generator.integers(0, 890), generator.integers(0, 1190)
        page[row : row + 3, column : column + 3] = 0
    assert crop_of(page) == pytest.approx(clean, abs=12)
    alone = np.full((900, 1200, 3), 255, np.uint8)
    alone[50:53, 60:63] = 0
    assert crop_of(alone)[2] > 900


def test_pictures_of_a_batch_have_squares_of_their_own() -> None:
    torch.manual_seed(1)
    generator = build(SMALL).generators[MAIN_GENERATOR].eval()
    pages = torch.cat([as_tensor(drawing(200, 300)), as_tensor(on_page(drawing(90, 90), 200, 300, 10, 180)), torch.ones(1, 3, 200, 300)])
    with torch.no_grad():
        together, apart = generator(pages), torch.cat([generator(page[None]) for page in pages])
    assert float((together - apart).abs().max()) < 1e-4


def test_blank_paper_stays_blank() -> None:
    torch.manual_seed(1)
    generator = build(SMALL).generators[MAIN_GENERATOR].eval()
    shade = torch.linspace(0.6, 0.9, 300).expand(1, 3, 200, 300)
    with torch.no_grad():
        assert float(generator(torch.ones(1, 3, 200, 300)).min()) > 0.99
        assert float(generator(shade).min()) > 0.8


def test_file_gives_pytorchs_picture_and_is_never_cut(tmp_path: Path) -> None:
    torch.manual_seed(1)
    gan = build(SMALL)
    exported = export_gan(gan, tmp_path / "model.onnx", Provenance("drawings", 1, 1, "CC0", "0"), ExportOptions("float"))
    assert exported.parity.largest <= 1e-4
    translator = pixlate.load(tmp_path / "model.onnx", "cpu")
    assert translator.spec.whole
    for given in (drawing(7, 30), drawing(300, 200), drawing(1100, 1030), on_page(drawing(200, 200), 600, 900, 30, 20), np.full((90, 60, 3), 255, np.uint8)):
        with torch.no_grad():
            expected = gan.generators[MAIN_GENERATOR].eval()(as_tensor(given))[0].permute(1, 2, 0).numpy() * 255
        output = Executor(translator, "auto", "auto", "auto")(given[None])[0]
        assert np.abs(output - expected).max() <= 1.01
    for options, name in (((64, "auto", "auto"), "--tile"), (("auto", "auto", 64), "--bucket")):
        with pytest.raises(PixlateError, match=f"expected {name} auto or off for a model that must see the whole picture, got 64; leave it out"):
            Executor(translator, *options)


def test_sizes_that_the_network_cannot_take_and_other_channels_are_refused() -> None:
    with pytest.raises(PixlateError, match="expected --whole of a multiple of 8, which the network takes, got 36; use 40, or fewer halvings"):
        build(replace(SMALL, whole=36))
    with pytest.raises(PixlateError, match="expected --channels-in 3 and --channels-out 3 with --whole, got 1 and 3; leave it out"):
        replace(SMALL, channels_in=1)
