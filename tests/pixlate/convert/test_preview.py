"""A preview reports what would be done and writes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.pixlate.conftest import Nearest, Run, folder, load, save, tree

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.preview import Preview, preview
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


def test_convert_takes_options_by_name(tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    model = use(Nearest())
    source = save(tmp_path / "in" / "a.png", 8, 8)
    assert convert(source.parent, tmp_path / "out", model, format="webp", strength=0.5, device="cpu").exit_code == 0
    assert (tmp_path / "out" / "a.webp").is_file()
    options = ConvertOptions(format="webp", device="cpu")
    assert convert(source.parent, tmp_path / "other", model, options, format="bmp").converted == 1
    assert (tmp_path / "other" / "a.bmp").is_file()


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"strenght": 0.5}, r"expected an option of pixlate.ConvertOptions, got strenght=0.5; did you mean strength\?"),
        ({"colour": 1}, r"got colour=1; see help\(pixlate.ConvertOptions\)"),
        ({"strength": 2}, "expected --strength from 0 to 1"),
        ({"concurrency": 2}, "expected no concurrency in ConvertOptions, got 2; write pixlate.convert"),
    ],
)
def test_convert_names_an_option_that_it_has_not_or_that_is_wrong(named: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=sentence):
        convert(tmp_path, tmp_path / "out", "x", **named)


def test_a_dry_run_is_not_a_conversion(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="dry_run"):
        convert(tmp_path, tmp_path / "out", "x", ConvertOptions(dry_run=True))
