"""The measures of ``benchmarks/measures.py``, which say how good the ready models are."""

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pixlate.data import degradation
from pixlate.plugin.testing import make_photographs

FILE = Path(__file__).parents[1] / "benchmarks" / "measures.py"


@pytest.fixture(scope="module")
def measures() -> Iterator[Any]:
    spec = spec_from_file_location("measures", FILE)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["measures"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["measures"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs of 200 x 204 pixels, .jpg."""
    folder = tmp_path_factory.mktemp("photographs")
    for path in list(make_photographs(folder / "png", 2, 200, 204).iterdir()):
        Image.open(path).save(folder / f"{path.stem}.jpg", quality=97)
    return folder


def test_drawings_of_the_data_folder_give_the_published_baselines(measures: Any, data: Path) -> None:
    if not (data / "drawings").is_dir():
        pytest.skip("needs the drawings")
    found = measures.drawing_baselines(data / "drawings" / "test")
    assert [round(value, 1) for value in found.values()] == [19.0, 16.1, 9.7]


def write_drawing(folder: Path) -> None:
    """Write a square outline, its paper yellow in colour."""
    lines = np.full((40, 40, 3), 255, np.uint8)
    lines[8:32, 8:32] = 0
    lines[12:28, 12:28] = 255
    colour = lines.copy()
    colour[12:28, 12:28] = (250, 230, 40)
    for name, pixels in (("line", lines), ("colour", colour)):
        (folder / name).mkdir()
        Image.fromarray(pixels).save(folder / name / "square.png")


def test_perfect_colourist_has_no_error_full_chroma_and_black_lines_and_an_idle_one_the_share_of_the_colour(measures: Any, tmp_path: Path) -> None:
    write_drawing(tmp_path)
    target = measures.read(tmp_path / "colour" / "square.png")
    assert measures.drawing(lambda _: target, tmp_path) == {"error": 0, "chroma": 1, "dark": 0}
    idle = measures.drawing(measures.unchanged, tmp_path)
    assert idle["error"] == pytest.approx(256 / 1600 * (5 + 25 + 215) / 3) == measures.drawing_baselines(tmp_path)["nothing"]
    assert idle["chroma"] == pytest.approx(0, abs=1e-3)
    assert measures.drawing_baselines(tmp_path)["one colour"] == 0


def test_grey_lines_count_as_faded(measures: Any, tmp_path: Path) -> None:
    write_drawing(tmp_path)
    assert measures.drawing(lambda pixels: np.maximum(pixels, np.uint8(90)), tmp_path)["dark"] == 90


@pytest.mark.parametrize("stops", [1, 4])
def test_darkening_is_that_of_training(measures: Any, stops: int, photographs: Path) -> None:
    target = measures.read(photographs / "000.jpg")
    ours = measures.darkened(target, stops, np.random.default_rng(5))
    theirs = degradation.darkened(target.astype(np.float32) / 255, stops, 0.01, 0.002, np.random.default_rng(5))
    assert np.abs(ours - 255 * theirs).max() <= 0.51


def test_best_gamma_is_no_worse_than_any_of_a_hundred_tried_on_the_pixels(measures: Any, photographs: Path) -> None:
    target = measures.read(photographs / "000.jpg")
    dark = measures.darkened(target, 2, np.random.default_rng(0))

    def squared(power: float) -> float:
        return float(np.square(255 * (dark / 255) ** power - target).mean())

    found = np.square(measures.best_gamma(dark, target).astype(float) - target).mean()
    assert found == pytest.approx(min(squared(power) for power in np.linspace(0.1, 1, 100)), rel=0.01)


def test_best_gamma_undoes_a_gamma(measures: Any) -> None:
    target = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    dark = np.rint(255 * (target / 255) ** 2.0).astype(np.uint8)
    assert np.abs(measures.best_gamma(dark, target).astype(int) - target)[dark > 3].max() <= 8  # the steps of dark levels


def test_idle_restorers_gain_nothing_and_the_noise_has_the_psnr_of_its_deviation(measures: Any, photographs: Path) -> None:
    """Before restoration noise of sigma 25 levels is 20 log10(255 / 25) = 20.17 dB, a little more where it is clipped."""
    row = measures.clean(measures.unchanged, photographs)
    assert row["jpeg_gain"] == row["noise_gain"] == 0 and row["grey_gain"] == 0
    assert 20.1 < row["noise_before"] < 21.5
    assert row["noise_before"] < row["jpeg_before"]


def test_a_denoiser_gains_on_noise(measures: Any, photographs: Path) -> None:
    assert measures.clean(lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 1.0), photographs)["noise_gain"] > 2


def test_leaving_pictures_dark_loses_to_the_best_gamma_by_more_with_each_stop(measures: Any, photographs: Path) -> None:
    row = measures.brighten(measures.unchanged, photographs)
    losses = [row[f"stops{stops}_gamma"] - row[f"stops{stops}"] for stops in (1, 2, 3, 4)]
    assert losses == sorted(losses) and losses[0] > 0 and row["gain"] == pytest.approx(-np.mean(losses))


def test_bicubic_equals_itself_at_the_scale_of_the_model_and_a_blurred_enlargement_is_farther_for_hed(
    measures: Any, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HED is replaced by the mean absolute error, so that the measure is tested without its weights."""
    monkeypatch.setattr(measures, "hed_distance", measures.error)
    half = measures.photo(lambda pixels: measures.bicubic(pixels, 2), photographs)
    row = measures.photo(lambda pixels: measures.bicubic(pixels, 4), photographs)
    assert row["gain"] == row["nearer"] == 0 and row["ms_ssim"] == row["bicubic_ms_ssim"] and 0.3 < row["ms_ssim"] < half["ms_ssim"] < 1 and half["gain"] == 0

    def flat(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        blurred: NDArray[np.uint8] = cv2.GaussianBlur(measures.bicubic(pixels, 4), (0, 0), 12.0).astype(np.uint8)
        return blurred

    worse = measures.photo(flat, photographs)
    assert worse["gain"] < 0 and worse["nearer"] < 0 and worse["ms_ssim"] < row["ms_ssim"]


def test_twenty_photographs_that_sort_last_are_measured(measures: Any, tmp_path: Path) -> None:
    for number in range(23):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number:03}.jpg", quality=100, subsampling=0)
    found = [int(pixels[0, 0, 0]) for _, pixels in measures.held_out(tmp_path)]
    assert len(found) == 20 and np.abs(np.array(found) - np.arange(3, 23)).max() <= 2
