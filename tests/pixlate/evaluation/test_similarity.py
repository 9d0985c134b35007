"""Metrics of pairs against scikit-image and an independent formula."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.filters import gaussian
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from torchvision.models import alexnet

from pixlate.errors import PixlateError
from pixlate.evaluation.meters import KINDS
from pixlate.evaluation.similarity import STRIP, Lpips, make, ms_ssim, psnr, ssim
from pixlate.evaluation.weights import hub_file
from pixlate.images import Pixels


def pair(height: int, width: int, seed: int = 0, amount: int = 40) -> tuple[Pixels, Pixels]:
    """Return a smooth picture and a noisy copy of it."""
    random = np.random.default_rng(seed)
    smooth = gaussian(random.uniform(0, 255, (height, width, 3)), 3, channel_axis=2)  # type: ignore[no-untyped-call]
    stretched = (smooth - smooth.min()) / np.ptp(smooth) * 255
    noisy = np.clip(stretched + random.uniform(-amount, amount, stretched.shape), 0, 255)
    return noisy.astype(np.uint8), stretched.astype(np.uint8)


def skimage_ssim(first: Pixels, second: Pixels) -> float:
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            first, second, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2
        )
    )


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 1000))
@settings(max_examples=20)
def test_psnr_agrees_with_scikit_image(height: int, width: int, seed: int) -> None:
    first, second = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    assert psnr(first, second) == pytest.approx(peak_signal_noise_ratio(second, first, data_range=255), abs=1e-4)  # type: ignore[no-untyped-call]


def test_psnr_of_equal_images_is_infinite() -> None:
    image, _ = pair(8, 8)
    assert math.isinf(psnr(image, image))


@pytest.mark.parametrize("shape", [(11, 11), (11, 40), (STRIP + 9, 20), (STRIP + 10, 20), (STRIP + 11, 20), (2 * STRIP + 30, 30)])
def test_ssim_agrees_with_scikit_image_however_the_rows_are_cut(shape: tuple[int, int]) -> None:
    first, second = pair(*shape)
    assert ssim(first, second) == pytest.approx(skimage_ssim(first, second), abs=1e-9)


def test_ssim_of_bright_even_areas_is_exact() -> None:
    first, second = np.full((20, 20, 3), 200, np.uint8), np.full((20, 20, 3), 201, np.uint8)
    constant = (0.01 * 255) ** 2
    assert ssim(first, second) == pytest.approx((2 * 200 * 201 + constant) / (200**2 + 201**2 + constant), abs=1e-9)


def formula_of_wang(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the MS-SSIM of Wang et al. 2003."""

    def blur(image: NDArray[np.float64]) -> NDArray[np.float64]:
        blurred: NDArray[np.float64] = gaussian(image, 1.5, truncate=3.5, channel_axis=2)  # type: ignore[no-untyped-call]
        return blurred

    product = 1.0
    exponents = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, exponent in enumerate(exponents):
        means = blur(first), blur(second)
        variances = blur(first**2) - means[0] ** 2 + blur(second**2) - means[1] ** 2
        structure = (2 * (blur(first * second) - means[0] * means[1]) + 7.65**2) / (variances + 7.65**2)
        luminance = (2 * means[0] * means[1] + 2.55**2) / (means[0] ** 2 + means[1] ** 2 + 2.55**2)
        last = scale == len(exponents) - 1
        product *= float((luminance * structure if last else structure)[5:-5, 5:-5].mean()) ** exponent
        first, second = (image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2, 3).mean(axis=(1, 3)) for image in (first, second))
    return product


def test_ms_ssim_agrees_with_the_formula() -> None:
    first, second = pair(192, 224)
    assert ms_ssim(first, second) == pytest.approx(formula_of_wang(first.astype(np.float64), second.astype(np.float64)), abs=1e-9)


def test_ms_ssim_takes_images_from_the_least_side_on() -> None:
    least = KINDS["ms-ssim"].least_side
    image, _ = pair(least, least)
    assert ms_ssim(image, image) == pytest.approx(1)
    with pytest.raises(ValueError, match="more than 10 pixels on each side at every scale"):
        ms_ssim(image[:-1], image[:-1])


def test_ms_ssim_differs_from_torchmetrics_by_its_border_only() -> None:
    first, second = pair(192, 192)
    output, target = (torch.from_numpy(image).permute(2, 0, 1)[None].float() for image in (first, second))
    assert ms_ssim(first, second) == pytest.approx(multiscale_structural_similarity_index_measure(output, target, data_range=255.0).item(), abs=0.005)


@pytest.mark.parametrize("name", ["psnr", "ssim", "ms-ssim"])
def test_each_metric_names_library_version_and_constants(name: str) -> None:
    _, implementation = make(name, "cpu")
    assert implementation.startswith("torchmetrics ")
    assert "RGB" in implementation


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of PyTorch's; returns where AlexNet would be."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = hub_file("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")
    path.parent.mkdir(parents=True)
    return path


def save_alexnet(path: Path) -> None:
    """Write random weights; the dense layers, which LPIPS leaves out, take no room."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in alexnet(weights=None).state_dict().items()}
    random = torch.Generator().manual_seed(0)
    torch.save(
        {
            name: torch.randn(shape, generator=random) / math.sqrt(math.prod(shape[1:])) if name.startswith("features") else torch.zeros(1).expand(shape)
            for name, shape in shapes.items()
        },
        path,
    )


def test_lpips_is_zero_for_equal_images_and_grows_with_the_difference(hub: Path) -> None:
    save_alexnet(hub)
    lpips = Lpips("cpu")
    little, image = pair(KINDS["lpips"].least_side, 40, amount=10)
    much, _ = pair(KINDS["lpips"].least_side, 40, amount=80)
    assert lpips(image, image) == 0
    assert 0 < lpips(little, image) < lpips(much, image)
    with pytest.raises(RuntimeError, match="too small"):
        lpips(image[:-1], image[:-1])


def test_missing_weights_are_named_with_their_address_and_place(hub: Path) -> None:
    with pytest.raises(PixlateError, match=f"lpips needs the weights of AlexNet.*https://download.pytorch.org.*to {hub}"):
        Lpips("cpu")


@pytest.mark.parametrize(
    ("content", "reason"),
    [({"weight": torch.zeros(1)}, "another network"), ([1, 2], "something else than tensors"), (Path("code"), "damaged or would run code")],
)
def test_other_files_are_refused(hub: Path, content: object, reason: str) -> None:
    torch.save(content, hub)
    with pytest.raises(PixlateError, match=reason):
        Lpips("cpu")
