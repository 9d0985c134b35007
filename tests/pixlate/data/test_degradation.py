"""Blur, noise and JPEG on a batch."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from pixlate.data.degradation import degrade
from pixlate.plugin.testing import make_photographs


def photographs(folder: Path, count: int, side: int = 48) -> Tensor:
    make_photographs(folder, count, side, side)
    images = [np.array(Image.open(path)) for path in sorted(folder.iterdir())]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def levels(image: Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())


def test_blur_of_a_point_is_a_gaussian_of_a_strength_of_its_own() -> None:
    torch.manual_seed(0)
    points = torch.zeros(200, 3, 41, 41)
    points[:, :, 20, 20] = 1
    blurred = degrade(points, blur=2.0)[:, 0]
    places = torch.arange(41) - 20.0
    variance = (blurred.sum(dim=1) * places**2).sum(dim=1)
    assert blurred.sum(dim=(1, 2)).tolist() == pytest.approx([1.0] * 200, abs=1e-4)
    deviations = variance.sqrt()
    assert deviations.min() < 0.35 and 1.85 < deviations.max() < 2.0
    assert float(deviations[deviations > 0.6].mean()) == pytest.approx(1.3, abs=0.1)  # even draws up to 2


def test_noise_has_up_to_the_standard_deviation_asked_for() -> None:
    torch.manual_seed(0)
    noisy = degrade(torch.full((200, 3, 24, 24), 0.5), noise=25.0)
    deviations = (noisy - 0.5).flatten(1).std(dim=1) * 255
    assert deviations.min() < 1 and 24 < deviations.max() < 26 and float(deviations.mean()) == pytest.approx(12.5, abs=1.5)


def test_jpeg_is_near_what_pillow_stores_at_the_same_quality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = photographs(tmp_path, 4)
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: torch.zeros(shape))  # the least quality for each
    for quality in (20, 60, 90):
        ours = degrade(images, jpeg=quality)
        for image, stored in zip(images, ours, strict=True):
            stream = BytesIO()
            levels(image).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
            theirs = np.array(Image.open(stream), np.float64)
            difference = theirs - np.array(levels(stored), np.float64)
            own = theirs - np.array(levels(image), np.float64)
            assert (difference**2).mean() < 0.3 * (own**2).mean() + 4


def test_values_stay_in_range_and_each_image_is_degraded_by_itself(tmp_path: Path) -> None:
    torch.manual_seed(0)
    image = photographs(tmp_path, 1)
    degraded = degrade(image.expand(6, -1, -1, -1), blur=1.5, noise=60.0, jpeg=10)
    assert degraded.shape == (6, 3, 48, 48) and degraded.min() >= 0 and degraded.max() <= 1
    assert len({each.numpy().tobytes() for each in degraded}) == 6


def test_blur_comes_before_noise(tmp_path: Path) -> None:
    torch.manual_seed(0)
    degraded = degrade(torch.full((8, 3, 32, 32), 0.5), blur=3.0, noise=40.0)
    smooth = torch.stack([torch.from_numpy(np.array(levels(image).filter(ImageFilter.BoxBlur(1)), np.float32)) for image in degraded]) / 255
    assert (degraded - 0.5).std() > 2 * (smooth - 0.5).std()  # noise that was blurred would change little under another blur


def test_small_patches_take_a_wide_blur() -> None:
    assert degrade(torch.rand(2, 3, 4, 4), blur=5.0).shape == (2, 3, 4, 4)
