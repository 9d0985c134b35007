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
from pixlate_pix2pix import Pix2PixOptions, build
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


def test_file_gives_pytorchs_picture_and_is_never_cut(tmp_path: Path) -> None:
    torch.manual_seed(1)
    gan = build(SMALL)
    exported = export_gan(gan, tmp_path / "model.onnx", Provenance("drawings", 1, 1, "CC0", "0"), ExportOptions("float"))
    assert exported.parity.largest <= 1e-4
    translator = pixlate.load(tmp_path / "model.onnx", "cpu")
    assert translator.spec.whole
    for size in ((7, 30), (300, 200), (1100, 1030)):
        given = drawing(*size)
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
