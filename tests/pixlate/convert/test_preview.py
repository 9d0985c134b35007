"""A preview reports what would be done and writes nothing; a sheet shows what was done."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import Nearest, Run, folder, load, save, tree

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.conversion import Preview, preview
from pixlate.convert.report import CELL, LABEL, MARGIN, ROWS
from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator


@pytest.fixture
def see(use: Callable[[Translator], Path]) -> Callable[..., dict[str, Preview]]:
    model = use(Nearest())

    def look(source: Path, out: Path, **options: object) -> dict[str, Preview]:
        return {Path(item.source).name: item for item in preview([source], out, model, ConvertOptions(**options))}  # type: ignore[arg-type]

    return look


def test_a_preview_writes_nothing_and_shows_sizes(tmp_path: Path, see: Callable[..., dict[str, Preview]]) -> None:
    save(tmp_path / "in" / "a.png", 5, 7)
    save(tmp_path / "in" / "turned.jpg", 5, 7)
    exif = Image.Exif()
    exif[274] = 6
    load(tmp_path / "in" / "turned.jpg").save(tmp_path / "in" / "turned.jpg", exif=exif)
    (tmp_path / "in" / "empty.png").touch()
    (tmp_path / "in" / "broken.png").symlink_to("nothing")
    before = tree(tmp_path)
    found = see(tmp_path / "in", tmp_path / "out", report=tmp_path / "report.json", sheet=tmp_path / "sheet.png")
    assert tree(tmp_path) == before
    assert (found["a.png"].action, found["a.png"].source_size, found["a.png"].output_size) == ("convert", (7, 5), (14, 10))
    assert found["turned.jpg"].output_size == (10, 14)
    assert found["empty.png"].action.startswith("fail: the file is empty")
    assert found["broken.png"].action.startswith("fail: is a link to a file that is not there")
    assert found["broken.png"].fails


@pytest.mark.parametrize("mode", ["resume", "skip", "overwrite"])
def test_a_preview_matches_what_the_conversion_does(mode: str, tmp_path: Path, see: Callable[..., dict[str, Preview]], run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    run(source, out)
    save(source / "1" / "001.png", 3, 3, seed=9)  # stale
    save(source / "new.png")
    save(source / "foreign.png")
    save(out / "foreign.png", seed=9)
    before = tree(tmp_path)
    found = see(source, out, on_exists=mode)
    assert tree(tmp_path) == before
    statuses = {"convert": "converted", "convert again": "converted", "overwrite": "converted", "finished before": "finished before", "skip": "skipped"}
    expected = [statuses.get(item.action, "failed") for item in found.values()]
    summary = run(source, out, on_exists=mode)
    counted = {"converted": summary.converted, "finished before": summary.finished_before, "skipped": summary.skipped, "failed": summary.failed}
    assert counted == {status: expected.count(status) for status in counted}


def test_a_preview_refuses_what_a_conversion_refuses_at_once(tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    model = use(Nearest(ModelSpec(halo=100)))
    save(tmp_path / "in" / "a.png")
    with pytest.raises(PixlateError, match="--tile of at least 201"):
        preview([tmp_path / "in"], tmp_path / "out", model, ConvertOptions(tile=64))
    with pytest.raises(PixlateError, match="does not exist"):
        preview([tmp_path / "none"], tmp_path / "out", model, ConvertOptions())


def test_a_dry_run_is_not_a_conversion(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="dry_run"):
        convert(tmp_path, tmp_path / "out", "x", ConvertOptions(dry_run=True))


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
