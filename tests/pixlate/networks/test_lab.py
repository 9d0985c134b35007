"""Colours in CIELAB against scikit-image, and the luma that stays."""

import numpy as np
import pytest
import torch
from skimage import color

from pixlate.images.picture import luma
from pixlate.networks.lab import coloured, encoded, lightness, linear, rgb_of_lab


def planes(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def test_lab_becomes_the_rgb_of_scikit_image() -> None:
    rgb = np.random.default_rng(0).random((64, 64, 3))
    rgb[0] /= 100  # where the curves are straight
    lab = color.rgb2lab(rgb)
    np.testing.assert_allclose(rgb_of_lab(planes(lab))[0].permute(1, 2, 0).numpy(), color.lab2rgb(lab), atol=1e-5)
    np.testing.assert_allclose(rgb_of_lab(planes(lab))[0].permute(1, 2, 0).numpy(), rgb, atol=1e-5)


def test_lightness_is_that_of_scikit_image() -> None:
    grey = np.linspace(0, 1, 256)
    np.testing.assert_allclose(lightness(linear(torch.from_numpy(grey))).numpy(), color.rgb2lab(np.repeat(grey[:, None], 3, 1))[:, 0], atol=1e-3)


def test_transfer_is_undone_by_its_inverse() -> None:
    grey = torch.linspace(0, 1, 1001, dtype=torch.float64)
    torch.testing.assert_close(encoded(linear(grey)), grey, atol=1e-5, rtol=0)  # the standard's two constants differ a little


@pytest.mark.parametrize("top", [255, 65535])
def test_luma_is_that_of_the_grey_within_a_level_however_strong_the_chroma(top: int) -> None:
    generator = np.random.default_rng(0)
    grey = generator.integers(0, top, (1, 1, 128, 128), endpoint=True)
    chroma = torch.from_numpy(generator.uniform(-110, 110, (1, 2, 128, 128)).astype(np.float32))
    rgb = coloured(torch.from_numpy((grey / top).astype(np.float32)), chroma)
    assert float(rgb.min()) >= -1e-6 and float(rgb.max()) <= 1 + 1e-6
    levels = np.rint(rgb[0].clamp(0, 1).permute(1, 2, 0).numpy() * top).astype(np.uint8 if top == 255 else np.uint16)
    assert np.abs(luma(levels)[:, :, 0].astype(int) - grey[0, 0]).max() <= 1
    assert (levels.max(axis=2) - levels.min(axis=2)).mean() > top / 10, "there is colour"


def test_colours_that_fit_are_as_asked_for_and_others_are_of_the_same_hue() -> None:
    grey, chroma = torch.full((1, 1, 1, 1), 0.5), torch.tensor([20.0, 30.0]).view(1, 2, 1, 1)
    fitting, beyond = (color.rgb2lab(coloured(grey, strength * chroma)[0, :, 0, 0].numpy()) for strength in (1, 3))
    np.testing.assert_allclose(fitting[1:], [20, 30], atol=1.5)
    assert np.hypot(*beyond[1:]) < np.hypot(60, 90)
    np.testing.assert_allclose(np.arctan2(beyond[2], beyond[1]), np.arctan2(30, 20), atol=0.15)


def test_no_chroma_gives_the_grey() -> None:
    grey = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(coloured(grey, torch.zeros(1, 2, 8, 8)), grey.expand(1, 3, 8, 8), atol=1e-3, rtol=0)


def test_gradients_are_finite_at_black_white_and_without_chroma() -> None:
    grey = torch.tensor([0.0, 1.0, 0.5]).view(1, 1, 1, 3)
    chroma = torch.tensor([[0.0, 30.0, 0.0], [0.0, -100.0, 0.0]]).view(1, 2, 1, 3).requires_grad_()
    coloured(grey, chroma).square().sum().backward()  # type: ignore[no-untyped-call]
    assert chroma.grad is not None and bool(torch.isfinite(chroma.grad).all()) and float(chroma.grad.abs().max()) > 0
