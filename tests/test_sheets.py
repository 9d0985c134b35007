"""The sheets of the model cards, and ``benchmarks/sheets.py`` that draws them."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(path.stem for path in (ROOT / "plugins").glob("*/models/*.onnx"))


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    before = set(sys.modules)
    yield import_module("sheets")
    for name in {"sheets", "measures", "common"} - before:
        sys.modules.pop(name, None)


def draw(sheets: Any, monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["sheets.py", *map(str, words)])
    sheets.main()


def test_sheet_of_a_model_has_eight_pictures_and_is_light_enough_for_a_page(sheets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(sheets, monkeypatch, "day-to-night", "--out", tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == "day-to-night.webp" and path.stat().st_size <= 250_000
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("RGB"))
    assert 1200 < sheet.shape[1] <= 1400
    columns = list(sheets.day_to_night("day-to-night"))
    assert len(columns) == 8
    right, step = sheet.shape[1], sheets.CELL + 8
    for number, column in enumerate(columns):
        block, place = divmod(number, 4)
        for row, pixels in enumerate(column.values()):
            top, left = 8 + block * (2 * step + 8) + row * step, right - (4 - place) * step
            shown = sheet[top : top + sheets.CELL, left : left + sheets.CELL]
            assert np.abs(shown.astype(float) - pixels).mean() < 6, (number, row)


@pytest.mark.parametrize("name", ["photo-x4", "photo-x4-free", "photo-x2", "clean", "brighten", "upscale-x4", "upscale-x2", "night-to-day", "real-esrgan-x4"])
def test_every_sheet_has_eight_pictures_from_what_is_given_to_the_truth(name: str, sheets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are stood in for by bicubic enlargement, so that the large ones are not run."""
    monkeypatch.setattr(sheets, "opened", lambda model: lambda pixels: sheets.bicubic(pixels, 1 + 3 * ("x4" in model) + ("x2" in model)))
    columns = list(sheets.MODELS[name](name))
    assert len(columns) == 8
    targets = [column["truth"] for column in columns]
    for column, target in zip(columns, targets, strict=True):
        pictures = {caption: value for caption, value in column.items() if not isinstance(value, str)}
        (given, *others), captions = list(pictures.values()), list(pictures)
        assert captions[0].startswith("given") and captions[-1] == "truth" and name in captions
        assert list(column) == list(columns[0])
        assert {pixels.shape for pixels in others} == {target.shape}
        assert target.shape[0] in (sheets.CELL, sheets.CELL // 2) and target.shape[0] % given.shape[0] == 0
        if name not in ("brighten", "night-to-day"):  # these stay dark
            assert all(np.abs(pixels.mean((0, 1)) - target.mean((0, 1))).max() < 6 for pixels in others)  # all of the same place
    assert len({target.tobytes() for target in targets}) == (4 if name == "brighten" else 8)  # four at two stops each


def test_sheet_of_drawings_shows_eight_and_photographs_of_them(sheets: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (data / "drawings").is_dir():
        pytest.skip("needs the drawings")
    monkeypatch.setattr(sheets, "opened", lambda model: lambda pixels: pixels)
    columns = list(sheets.colour_drawing("colour-drawing"))
    assert len(columns) == 8
    for column in columns:
        drawing, _, photograph, _, target = column.values()
        assert drawing[0].min() == 255 and photograph[0].max() < 255  # grey paper
        assert (drawing != target).any()


def test_models_that_are_not_here_are_left_out_and_end_the_run_where_they_were_named(
    sheets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sheets, "MODELS", {"not-yet": sheets.clean})
    draw(sheets, monkeypatch, "--out", tmp_path / "sheets")
    assert capsys.readouterr().out.startswith("not-yet is left out: ") and not (tmp_path / "sheets").exists()
    with pytest.raises(SystemExit, match="not-yet"):
        draw(sheets, monkeypatch, "not-yet", "--out", tmp_path)
    with pytest.raises(SystemExit, match=r"expected models that have a sheet \(not-yet\), got elsewhere; leave them out"):
        draw(sheets, monkeypatch, "elsewhere")


def test_sheet_gets_the_best_quality_that_is_light_enough_and_is_refused_where_none_is(sheets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8))
    whole = len(sheets.stored(noise))
    monkeypatch.setattr(sheets, "HEAVIEST", whole - 1)
    assert whole / 2 < len(sheets.stored(noise)) < whole
    monkeypatch.setattr(sheets, "HEAVIEST", 100)
    with pytest.raises(SystemExit, match="expected a sheet of at most 100 bytes at WebP's quality 40, got"):
        sheets.stored(noise)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_has_a_sheet_that_its_card_and_the_page_of_models_show(name: str) -> None:
    """Where this fails for a new model: ``python benchmarks/sheets.py NAME``, look at it, and show it in both."""
    sheet = ROOT / "docs" / "sheets" / f"{name}.webp"
    assert sheet.stat().st_size <= 250_000
    assert f"](sheets/{name}.webp)" in (ROOT / "docs" / "models.md").read_text()
    cards = list((ROOT / "plugins").glob("*/models/*.md"))
    assert sum(f"](../../../docs/sheets/{name}.webp)" in card.read_text() for card in cards) == 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_sheet_of_models_for_drawings_has_eight_reduced_by_the_scale(scale: int, sheets: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (data / "drawings").is_dir():
        pytest.skip("needs the drawings")
    monkeypatch.setattr(sheets, "opened", lambda model: lambda pixels: np.repeat(np.repeat(pixels, scale, 0), scale, 1))
    columns = list(sheets.MODELS[f"real-esrgan-video-x{scale}"](f"real-esrgan-video-x{scale}"))
    assert len({column["truth"].tobytes() for column in columns}) == 8
    for column in columns:
        given, bicubic, output, truth = column.values()
        assert {picture.shape for picture in (bicubic, output, truth)} == {(given.shape[0] * scale, given.shape[1] * scale, 3)}
        assert 1 < np.abs(output.astype(float) - truth).mean() < 16  # of the same drawing, and not the truth itself
