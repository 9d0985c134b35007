"""Line drawings from HED's edges: lines along ridges, and drawings as sources of training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import pixlate.data.edges
from pixlate.data.edges import draw_edges, find_edges, random_edges
from pixlate.data.pairing import PairedImages
from pixlate.options import PairedOptions
from pixlate.plugin.testing import make_photographs


def ridge(height: int = 64, width: int = 80, column: int = 40, strength: float = 0.8, spread: float = 3.0) -> NDArray[np.uint8]:
    """A vertical edge as HED gives it: strongest in the middle, fading to both sides."""
    profile = strength * np.exp(-((np.arange(width) - column) ** 2) / (2 * spread**2))
    return np.rint(255 * np.tile(profile, (height, 1))).astype(np.uint8)[:, :, None]


def test_wide_edge_becomes_one_thin_line_along_its_ridge() -> None:
    lines = draw_edges(ridge(), 0.3)
    dark = lines[32] < 128
    assert np.flatnonzero(dark).mean() == pytest.approx(40, abs=0.5) and 1 <= dark.sum() <= 4
    assert (lines[:, :30] == 255).all() and (lines[:, 50:] == 255).all()


def test_thicker_lines_are_wider() -> None:
    widths = [int((draw_edges(ridge(), 0.3, thickness)[32] < 128).sum()) for thickness in (0.6, 1.2, 2.4)]
    assert widths == sorted(widths) and widths[-1] >= widths[0] + 3


@pytest.mark.parametrize(("strength", "drawn"), [(0.2, True), (0.45, True), (0.7, False)])
def test_edges_weaker_than_the_strength_are_left_out(strength: float, drawn: bool) -> None:
    assert bool((draw_edges(ridge(strength=0.8), strength) < 128).any()) == drawn


def test_specks_are_left_out() -> None:
    edges = np.zeros((40, 40, 1), np.uint8)
    edges[20:23, 20:23] = 255
    assert (draw_edges(edges, 0.2) == 255).all()


def test_same_generator_draws_the_same() -> None:
    first, second, other = (random_edges(ridge(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, second) and not np.array_equal(first, other)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 7, 1), (5, 1, 3), (16, 15, 1)])
def test_edges_of_tiny_pictures_are_found_without_a_warning(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixlate.data.edges, "_hed", lambda: lambda images: images.mean(dim=1, keepdim=True))
    torch.set_warn_always(True)
    try:
        assert find_edges(np.full(shape, 90, np.uint8)).tolist() == np.full((*shape[:2], 1), 90).tolist()
    finally:
        torch.set_warn_always(False)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Sizes of the images whose brightness was taken, in the place of HED's edges."""
    seen: list[tuple[int, ...]] = []

    def run(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape))
        return images.mean(dim=1, keepdim=True)

    monkeypatch.setattr(pixlate.data.edges, "_hed", lambda: run)
    return seen


def test_edges_of_a_photograph_are_found_once_and_drawn_differently_each_time(calls: list[tuple[int, ...]], tmp_path: Path) -> None:
    folder = make_photographs(tmp_path, 2, 64, 80)
    images = PairedImages([folder], PairedOptions(lines=1, line_drawer="hed", patch=48, resize=48, hold_out=0), 3, 3)
    samples = [images.load(draw, 48) for draw in images.draw(0, 6, 0)]
    assert calls == [(1, 3, 64, 80)] * 2
    assert all(sample["source"].shape == sample["target"].shape == (3, 48, 48) for sample in samples)
    again = [images.load(draw, 48) for draw in images.draw(0, 6, 0)]
    assert all(torch.equal(first["source"], second["source"]) for first, second in zip(samples, again, strict=True))


def test_drawings_and_sources_in_files_are_mixed_by_their_share(calls: list[tuple[int, ...]], tmp_path: Path) -> None:
    targets = make_photographs(tmp_path / "target", 1, 64, 64)
    (tmp_path / "source").mkdir()
    Image.new("RGB", (64, 64), (10, 20, 30)).save(tmp_path / "source/000.png")
    images = PairedImages([tmp_path / "source", targets], PairedOptions(lines=0.5, line_drawer="hed", patch=64, resize=64, hold_out=0), 3, 3)
    from_file = [bool((images.load(draw, 64)["source"][0] < 0.05).all()) for draw in images.draw(0, 40, 0)]
    assert 8 < sum(from_file) < 32


@pytest.mark.parametrize("channels", [1, 3])
def test_large_photographs_are_reduced_for_hed_and_their_edges_stay_where_they_are(
    channels: int, calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixlate.data.edges, "MOST_PIXELS", 64 * 80 // 4)
    pixels = np.repeat(ridge(64, 80, 24), channels, axis=2)
    edges = find_edges(pixels)
    assert calls == [(1, 3, 32, 40)]
    assert edges.shape == (64, 80, 1) and edges.dtype == np.uint8
    assert np.abs(edges.astype(int) - pixels[:, :, :1]).max() < 12
    assert find_edges(pixels[:32, :40]).shape == (32, 40, 1) and calls[1] == (1, 3, 32, 40), "small ones are seen as they are"
