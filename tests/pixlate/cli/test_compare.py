"""``pixlate compare``: the page in Chromium, and the votes that come back."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixlate.cli.compare import compare
from pixlate.errors import PixlateError
from pixlate.evaluation.preference import Preference, count, wilson

WHITE, BLACK = 255, 0


def fill(folder: Path, level: int, names: str = "abcdef", size: tuple[int, int] = (40, 30)) -> Path:
    """Make a folder of plain pictures."""
    folder.mkdir(parents=True)
    for name in names:
        Image.new("L", size, level).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return fill(tmp_path / "white", WHITE), fill(tmp_path / "black", BLACK)


def content(page: Path) -> Any:
    found = re.search(r'id="comparison">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_page_holds_the_pictures_losslessly_in_an_order_that_the_seed_decides(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 8, 40, 60, 3), np.uint8)
    for folder, pictures in zip(("a", "b"), pixels, strict=True):
        (tmp_path / folder).mkdir()
        for index, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / folder / f"{index}.png")
    pages = [tmp_path / f"{name}.html" for name in ("one", "same", "other")]
    for page, seed in zip(pages, (1, 1, 2), strict=True):
        assert compare(tmp_path / "a", tmp_path / "b", pairs=5, seed=seed, side=30, out=page) == 0
    assert pages[0].read_text() == pages[1].read_text() != pages[2].read_text()
    pairs = content(pages[0])["pairs"]
    assert len({pair["name"] for pair in pairs}) == 5
    for pair in pairs:
        for key, pictures in (("first", pixels[0]), ("second", pixels[1])):
            data = base64.b64decode(pair[key].partition(",")[2])
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pictures[int(pair["name"]), 5:35, 15:45])


def test_sides_are_drawn_at_random(folders: tuple[Path, Path], tmp_path: Path) -> None:
    lefts = []
    for seed in range(20):
        compare(*folders, seed=seed, out=tmp_path / f"{seed}.html")
        lefts += [pair["left"] for pair in content(tmp_path / f"{seed}.html")["pairs"]]
    low, high = wilson(sum(lefts), len(lefts))
    assert low < 0.5 < high


def test_voter_who_prefers_white_says_so_without_knowing_the_sides(folders: tuple[Path, Path], tmp_path: Path, chromium: Any) -> None:
    compare(*folders, source=fill(tmp_path / "source", 128), out=tmp_path / "page.html")
    context = chromium.new_context(viewport={"width": 1200, "height": 700})
    page = context.new_page()
    complaints: list[Any] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())

    def white_side() -> str:
        level = "img => { const c = document.createElement('canvas').getContext('2d'); c.drawImage(img, 0, 0); return c.getImageData(5, 5, 1, 1).data[0]; }"
        page.wait_for_function("[...document.querySelectorAll('#pictures img')].every(each => each.complete && each.naturalWidth)")
        sides = {side: page.locator(f"img[alt={side}]").evaluate(level) for side in ("left", "right", "source")}
        assert sorted(sides.values()) == [BLACK, 128, WHITE]
        return max(sides, key=lambda side: sides[side])

    assert page.locator("h1").inner_text() == "Which of the two is better? (1 of 6)"
    assert page.get_by_role("button", name="Back").is_disabled()
    page.keyboard.press("Space")
    page.get_by_role("button", name=white_side(), exact=True).click()
    page.keyboard.press({"left": "ArrowRight", "right": "ArrowLeft"}[white_side()])  # a mistake
    page.keyboard.press("Backspace")
    page.reload()
    assert page.locator("h1").inner_text() == "Which of the two is better? (3 of 6)", "votes survive a reload"
    for _ in range(4):
        page.keyboard.press({"left": "ArrowLeft", "right": "ArrowRight"}[white_side()])
    low, high = wilson(5, 5)
    assert page.locator("#share").inner_text() == f"white 5, black 0, 1 undecided: 100 % for white ({round(100 * low)} % to {round(100 * high)} % at 95 %)"
    assert page.locator("#verdict").inner_text() == "You prefer white."
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the votes").click()
    download.value.save_as(tmp_path / "votes.json")
    context.close()
    assert not complaints
    assert count([tmp_path / "votes.json"]) == ("white", "black", Preference(5, 0, 1))


def test_votes_are_counted_in_words(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "votes.json").write_text(json.dumps({"first": "white", "second": "black", "votes": {"a": "first"}}))
    assert compare(votes=(tmp_path / "votes.json",)) == 0
    assert capsys.readouterr().out.startswith("white 1, black 0: 100 % for white (21 % to 100 % at 95 %); no preference is shown")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pairs": 0}, "expected --pairs from 1 to 500, got 0"),
        ({"side": 0}, "expected --side from 1 to 16383, got 0"),
        ({"side": 16384}, "expected --side from 1 to 16383, got 16384"),
        ({"out": Path("page.png")}, "expected an HTML file for --out"),
        ({"votes": (Path("votes.json"),)}, "expected folders or --votes, got both"),
    ],
)
def test_options_that_cannot_be_are_refused(folders: tuple[Path, Path], changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=sentence):
        compare(*folders, **changes)


def test_source_larger_than_the_format_of_the_page_holds_is_cut(tmp_path: Path) -> None:
    outputs = [fill(tmp_path / name, WHITE, "a", (2, 2)) for name in ("one", "two")]
    source = fill(tmp_path / "source", BLACK, "a", (16400, 2))
    assert compare(*outputs, source=source, side=2, out=tmp_path / "page.html") == 0
    (pair,) = content(tmp_path / "page.html")["pairs"]
    assert Image.open(io.BytesIO(base64.b64decode(pair["source"].partition(",")[2]))).size == (16383, 2)


def test_folders_that_cannot_be_compared_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(PixlateError, match="expected two folders of outputs"):
        compare(folders[0], out=out)
    with pytest.raises(PixlateError, match="twice; name another"):
        compare(folders[0], folders[0], out=out)
    with pytest.raises(PixlateError, match="found none; name others"):
        compare(folders[0], fill(tmp_path / "other names", WHITE, "xyz"), out=out)
    with pytest.raises(PixlateError, match=r"expected outputs of one size, got . of 40x30 in white and 80x60 in large"):
        compare(folders[0], fill(tmp_path / "large", WHITE, size=(80, 60)), out=out)
    assert not out.exists()
    out.touch()
    with pytest.raises(PixlateError, match="exists; name another"):
        compare(*folders, out=out)


def test_names_of_folders_cannot_end_the_script_of_the_page(tmp_path: Path) -> None:
    compare(fill(tmp_path / "one<" / "script><b>", WHITE, "a"), fill(tmp_path / "two<" / "script><b>", BLACK, "a"), out=tmp_path / "page.html")
    assert content(tmp_path / "page.html")["first"] == str(tmp_path / "one</script><b>")
