"""Sheets of samples: which are kept, which are shown, and how heavy they are on a page."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixlate.runs.samples import MAIN, data_url, find_sheets, is_view, sheet_path, spread, thin_out


def test_thinning_keeps_the_first_the_newest_and_steps_spread_over_the_run(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for step in range(1000, 201_000, 1000):
        sheet_path(tmp_path, step, "round-trip").touch()
        sheet_path(tmp_path, step).touch()
        thin_out(tmp_path, "round-trip", 10)
    kept = list(find_sheets(tmp_path)["round-trip"])
    gaps = np.diff(kept)
    assert len(kept) == 10 and kept[0] == 1000 and kept[-1] == 200_000
    assert gaps.max() <= 4 * gaps[:-1].min(), kept
    assert len(find_sheets(tmp_path)[MAIN]) == 200, "the main view keeps all of them"


@given(steps=st.lists(st.integers(0, 10**9), min_size=1, max_size=100, unique=True), most=st.integers(2, 30))
def test_steps_that_are_shown_hold_the_ends_and_are_evenly_spread(steps: list[int], most: int) -> None:
    shown, ordered = spread(steps, most), sorted(steps, reverse=True)
    assert shown[0] == max(steps) and shown[-1] == min(steps) and shown == sorted(set(shown), reverse=True)
    assert len(shown) == min(most, len(steps))
    distances = np.diff([ordered.index(step) for step in shown])
    assert len(distances) == 0 or distances.max() - distances.min() <= 1


@pytest.mark.parametrize(
    ("name", "good"), [("round-trip", True), ("a1", True), ("", False), ("Round", False), ("a b", False), ("../a", False), ("1a", False), (MAIN, False)]
)
def test_names_of_views_are_safe_in_file_names(name: str, good: bool) -> None:
    assert is_view(name) == good


@pytest.mark.parametrize("most", [10_000, 50_000, 150_000])
def test_heavy_sheet_becomes_a_lighter_jpeg_of_the_same_picture(most: int, tmp_path: Path) -> None:
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)).resize((800, 800), Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(smooth, int) + np.random.default_rng(1).integers(-20, 21, (800, 800, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "sheet.png")
    url = data_url(tmp_path / "sheet.png", most)
    assert url.startswith("data:image/jpeg;base64,")
    data = base64.b64decode(url.partition(",")[2])
    assert most / 8 < len(data) <= most
    with Image.open(io.BytesIO(data)) as light:
        shown = np.asarray(light.resize((100, 100), Image.Resampling.BOX), float)
    assert np.abs(shown - np.asarray(smooth.resize((100, 100), Image.Resampling.BOX), float)).mean() < 5


def test_sheet_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    Image.new("RGB", (8, 8), "red").save(path)
    first = data_url(path, 10**6)
    Image.new("RGB", (9, 8), "blue").save(path)
    assert data_url(path, 10**6) != first and base64.b64decode(data_url(path, 10**6).partition(",")[2]) == path.read_bytes()
