"""Clean drawings made into photographs of drawings."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.measure import label

from pixlate.data.pairing import PairedImages
from pixlate.data.paper import CLEAN, on_paper, smooth_noise, with_thickness
from pixlate.errors import PixlateError
from pixlate.options import PairedOptions
from pixlate.plugin.testing import make_photographs


def bar(width: int = 8, height: int = 96) -> NDArray[np.uint8]:
    """Return a vertical line on white, its middle between columns 47 and 48."""
    lines = np.full((height, 96), 255, np.uint8)
    lines[:, 48 - width // 2 : 48 + width // 2] = 0
    return lines


def ring(width: float = 7, radius: float = 30) -> NDArray[np.uint8]:
    y, x = np.mgrid[:96, :96] - 47.5
    levels: NDArray[np.uint8] = np.rint(255 * (abs(np.hypot(y, x) - radius) - width / 2 + 0.5).clip(0, 1)).astype(np.uint8)
    return levels


@pytest.mark.parametrize("times", [0.25, 0.5, 1.0, 1.5])
def test_line_gets_the_width_asked_for_about_the_same_middle(times: float) -> None:
    ink = with_thickness(bar(8), times)
    assert ink.sum(axis=1) == pytest.approx(8 * times, abs=0.6)
    assert (ink[48] @ np.arange(96)) / ink[48].sum() == pytest.approx(47.5, abs=0.3)


@pytest.mark.parametrize("times", [0.05, 0.12, 0.4])
def test_closed_outline_stays_closed_however_thin(times: float) -> None:
    """Two areas of paper, inside and outside, do not join."""
    paper = with_thickness(ring(), times) < 0.25
    assert label(paper, connectivity=1).max() == 2  # type: ignore[no-untyped-call]


def test_thin_line_beside_thick_ones_does_not_vanish() -> None:
    lines = bar(8)
    lines[:, 20:22] = 0
    ink = with_thickness(lines, 0.2)
    assert (ink[:, 18:24].sum(axis=1) > 0.8).all()


@pytest.mark.parametrize("width", [1, 2, 3, 6])
@pytest.mark.parametrize("times", [0.12, 0.6, 1.0, 1.4])
def test_paper_away_from_lines_of_any_width_stays_clean(width: int, times: float) -> None:
    lines = np.full((64, 80), 255, np.uint8)
    lines[10:50, 40 : 40 + width] = lines[20 : 20 + width, 15:70] = 0
    y, x = np.nonzero(lines == 0)
    distance = np.hypot(*(np.indices(lines.shape).reshape(2, -1, 1) - np.stack([y, x])[:, None])).min(axis=1).reshape(lines.shape)
    assert not with_thickness(lines, times)[distance > width + 2].any()


def test_filled_area_stays_filled() -> None:
    lines = ring()
    lines[40:56, 40:56] = 0
    assert (with_thickness(lines, 0.12)[46:50, 46:50] == 1).all()


@pytest.mark.parametrize("level", [0, 255])
def test_empty_and_full_drawings_stay_so(level: int) -> None:
    assert (with_thickness(np.full((20, 30), level, np.uint8), 0.5) == 1 - level // 255).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_photograph_has_the_size_of_its_drawing_and_repeats_with_the_seed(seed: int, height: int, width: int) -> None:
    lines = np.resize(ring(), (height, width))
    first, second = (on_paper(lines, np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == (height, width, 3) and first.dtype == np.uint8 and np.array_equal(first, second)


def test_photographs_show_the_drawing_in_its_place_darker_than_paper_of_many_levels() -> None:
    """The middle of each line is darker than the paper beside it, whose level and tint vary from one photograph to the next."""
    papers, clean, contrasts = [], 0, []
    middle, beside = ring(2) < 128, ring(26) == 255
    for seed in range(60):
        photograph = on_paper(ring(), np.random.default_rng(seed)).astype(float)
        paper = photograph[beside].mean(axis=0)
        clean += bool((paper > 254.5).all())
        papers.append(paper)
        contrasts.append(paper.mean() - photograph[middle].mean())
    assert min(contrasts) > 12 and max(contrasts) > 150
    assert CLEAN / 2 < clean / 60 < 2 * CLEAN
    spread = np.array(papers)
    assert spread.mean(axis=1).min() < 170 and spread.mean(axis=1).max() > 240 and (spread[:, 0] - spread[:, 2]).std() > 3


@pytest.mark.parametrize("deviation", [0.0, 0.5, 3.0, 20.0])
def test_smooth_noise_has_mean_0_variance_1_and_the_size_asked_for(deviation: float) -> None:
    noise = smooth_noise((256, 200), deviation, np.random.default_rng(1))
    assert noise.shape == (256, 200) and abs(noise.mean()) < 0.5 and 0.7 < noise.std() < 1.4


@pytest.mark.parametrize("channels", [1, 3])
def test_sources_alone_become_photographs_and_their_share_is_kept(tmp_path: Path, channels: int) -> None:
    folders = [make_photographs(tmp_path / name, 2, 48, 48) for name in ("source", "target")]
    plain, changed = (PairedImages(folders, PairedOptions(patch=32, resize=40, hold_out=0, paper=paper), channels, 3) for paper in (0.0, 0.5))
    different = 0
    for first, second in zip(plain.draw(0, 40, 0), changed.draw(0, 40, 0), strict=True):
        before, after = plain.load(first, 32), changed.load(second, 32)
        assert bool((before["target"] == after["target"]).all()) and before["source"].shape == after["source"].shape == (channels, 32, 32)
        different += not bool((before["source"] == after["source"]).all())
    assert 10 < different < 30


def test_held_out_drawings_stay_clean(tmp_path: Path) -> None:
    folders = [make_photographs(tmp_path / name, 3, 48, 48) for name in ("source", "target")]
    plain, changed = (PairedImages(folders, PairedOptions(patch=32, resize=40, hold_out=2, paper=paper), 3, 3) for paper in (0.0, 1.0))
    for before, after in zip(plain.validation(), changed.validation(), strict=True):
        assert bool((before["source"] == after["source"]).all())


def test_paper_with_other_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected drawings of 1 or 3 channels with --paper, got 4"):
        PairedImages([tmp_path], PairedOptions(paper=0.5), 4, 3)
