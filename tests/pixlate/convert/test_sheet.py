"""A sheet shows what was done, before and after."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import Nearest, Run, folder, load, save, tree

from pixlate.convert.sheet import CELL, LABEL, MARGIN, ROWS
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator


def test_a_sheet_has_two_columns_of_a_few_rows(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", ROWS + 3, 50, 40)
    run(source, tmp_path / "out", sheet=tmp_path / "new" / "sheet.png")
    sheet = load(tmp_path / "new" / "sheet.png")
    assert sheet.format == "PNG"
    assert sheet.size == (3 * MARGIN + 2 * CELL, MARGIN + ROWS * (100 + LABEL + MARGIN))
    pixels = np.asarray(sheet)
    top = MARGIN + LABEL
    first = Image.fromarray(pixels[top : top + 100, MARGIN : MARGIN + 80])
    after = pixels[top : top + 100, 2 * MARGIN + CELL : 2 * MARGIN + CELL + 80]
    sources = [load(path) for path in sorted(source.rglob("*.png"))]
    assert any(np.array_equal(np.asarray(image.resize((80, 100), Image.Resampling.BICUBIC)), np.asarray(first)) for image in sources)
    assert any(np.array_equal(np.kron(np.asarray(image), np.ones((2, 2, 1), np.uint8)), after) for image in sources)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1000, 3), (500, 700)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_sheet_holds_images_of_any_size(height: int, width: int, scale: int, tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    use(Nearest(ModelSpec(scale=scale)))
    name = "a very long name " * 10 + "日本.png"
    save(tmp_path / "in" / name, height, width)
    assert run(tmp_path / "in", tmp_path / "out", sheet=tmp_path / "sheet.png").exit_code == 0
    sheet = load(tmp_path / "sheet.png")
    assert sheet.width == 3 * MARGIN + 2 * CELL
    assert sheet.height <= 2 * MARGIN + LABEL + CELL
    between = np.asarray(sheet)[:, MARGIN + CELL : 2 * MARGIN + CELL]
    assert (between == 255).all()  # no label runs into the other column


def test_an_earlier_sheet_is_kept_when_nothing_was_converted(tmp_path: Path, run: Run) -> None:
    source, sheet = folder(tmp_path / "in", 1), tmp_path / "sheet.png"
    run(source, tmp_path / "out", sheet=sheet)
    before = tree(tmp_path)
    run(source, tmp_path / "out", sheet=sheet)
    assert tree(tmp_path) == before
