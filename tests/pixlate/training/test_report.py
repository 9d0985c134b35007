"""The page of a run, read back with the standard library's parsers."""

import base64
import io
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pixlate.errors import PixlateError
from pixlate.training.report import BOTTOM, HEAVIEST, LEFT, POINTS, RIGHT, SHEETS, TOP, write_report

VOID = {"meta", "img", "input", "line", "circle", "polyline", "br"}
OPTIONS = '[train.srgan]\nfolders = ["/photos/one", "/photos/two"]\nsteps = 1000\nmirror = true\nlearning_rate = 2e-4\nbetas = [0.9, 0.99]\n'


class Page(HTMLParser):
    """What a browser sees: text, tags with their attributes, and whether every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self.text += data

    def charts(self) -> dict[str, ElementTree.Element]:
        drawings = re.findall(r"<svg.*?</svg>", self.source, re.DOTALL)
        return {str(svg.get("aria-label")).removesuffix(" over steps"): svg for svg in map(ElementTree.fromstring, drawings)}

    def images(self) -> list[tuple[str, Image.Image]]:
        found: list[tuple[str, Image.Image]] = []
        for tag, attributes in self.tags:
            if tag == "img":
                kind, data = str(attributes["src"]).removeprefix("data:image/").split(";base64,")
                found.append((kind, Image.open(io.BytesIO(base64.b64decode(data)))))
        return found


def points(svg: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """Return the corners of each curve."""
    return [[(float(x), float(y)) for x, y in (corner.split(",") for corner in line.attrib["points"].split())] for line in svg.iter("polyline")]


def labels(svg: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in svg.iter("text")]


def losses(step: int, **values: float) -> dict[str, Any]:
    return {"kind": "losses", "step": step, **values}


def report(run: Path, lines: Iterable[dict[str, Any]] = (), options: str = OPTIONS, end: str = "") -> Page:
    (run / "options.toml").write_text(options, encoding="utf-8")
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + end, encoding="utf-8")
    path = write_report(run)
    assert path == run / "report.html" and not [each.name for each in run.iterdir() if each.name.endswith(".part")]
    return Page(path)


def test_page_shows_method_progress_and_options(tmp_path: Path) -> None:
    page = report(tmp_path, [losses(250, pixel=0.5)])
    assert f"srgan: {tmp_path.name}" in page.text and "Step 250 of 1,000" in page.text
    for text in ("folders/photos/one, /photos/two", "mirrortrue", "learning rate0.0002", "betas0.9, 0.99"):
        assert text in page.text
    assert ("progress", {"max": "1000", "value": "250"}) in page.tags


def test_page_needs_no_network(tmp_path: Path) -> None:
    sheet(tmp_path, 1)
    page = report(tmp_path, [losses(1, pixel=0.5)])
    assert not {"link", "iframe"} & {tag for tag, _ in page.tags}
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}] and not re.search(r"fetch\(|XMLHttp|import\(", page.source)
    assert not re.search(r"https?://|url\(|@import", page.source)
    assert all(str(attributes.get("src", "data:")).startswith("data:") for _, attributes in page.tags)


def test_every_group_has_a_chart_and_the_legend_the_last_values(tmp_path: Path) -> None:
    page = report(
        tmp_path,
        [
            losses(10, learning_rate=2e-4, discriminator_learning_rate=1e-4, steps_per_second=3.0, pixel=0.5, adversarial=0.7),
            losses(20, learning_rate=1.5e-4, discriminator_learning_rate=1e-4, steps_per_second=4.0, pixel=0.25, adversarial=0.75),
            {"kind": "validation", "step": 20, "psnr_luma": 28.25, "ssim": 0.8},
        ],
    )
    charts = page.charts()
    assert {name: len(points(svg)) for name, svg in charts.items()} == {
        "Losses": 2,
        "Validation: psnr_luma": 1,
        "Validation: ssim": 1,
        "Learning rate": 2,
        "Speed": 1,
    }
    for text in ("pixel 0.25", "adversarial 0.75", "psnr_luma 28.25 dB", "ssim 0.8", "learning_rate 1.5e-4", "steps_per_second 4 steps/s"):
        assert text in page.text
    assert "dB" in labels(charts["Validation: psnr_luma"]) and "steps/s" in labels(charts["Speed"]) and "step" in labels(charts["Losses"])


def test_curve_agrees_with_the_ticks_of_its_axes(tmp_path: Path) -> None:
    values = {100: 24.0, 200: 27.0, 300: 26.0, 500: 28.0}
    (svg,) = report(tmp_path, [{"kind": "validation", "step": step, "psnr_luma": value} for step, value in values.items()]).charts().values()
    ticks = {float(text.text or ""): float(text.attrib["y"]) - 4 for text in svg.iter("text") if text.get("text-anchor") == "end" and text.text != "step"}
    assert ticks.keys() >= {24.0, 25.0, 26.0, 27.0, 28.0}
    (line,) = points(svg)
    assert [y for _, y in line] == pytest.approx([ticks[value] for value in values.values()], abs=0.11)
    assert [x for x, _ in line] == pytest.approx([LEFT + (step - 100) / 400 * (RIGHT - LEFT) for step in values], abs=0.11)


def test_numbers_over_more_than_three_decades_are_drawn_logarithmically(tmp_path: Path) -> None:
    (svg,) = report(tmp_path, [losses(step, pixel=10.0**-step) for step in range(5)]).charts().values()
    (line,) = points(svg)
    heights = [y for _, y in line]
    assert np.diff(heights) == pytest.approx([(BOTTOM - TOP) / 4] * 4, abs=0.11)
    assert "(logarithmic)" in " ".join(labels(svg)) and {"1", "0.1", "0.01", "0.001", "1e-4"} <= set(labels(svg))


@pytest.mark.parametrize(("least", "logarithmic"), [(0.04, True), (0.06, False)])
def test_losses_of_very_different_size_share_a_logarithmic_axis(least: float, logarithmic: bool, tmp_path: Path) -> None:
    (svg,) = report(tmp_path, [losses(step, l1=1.0, adversarial=least) for step in range(5)]).charts().values()
    assert ("(logarithmic)" in " ".join(labels(svg))) == logarithmic


@pytest.mark.parametrize("values", [[1.0, 0.002], [1.0, -1e-5], [5.0, 5.0]])
def test_other_numbers_are_drawn_linearly(values: list[float], tmp_path: Path) -> None:
    (svg,) = report(tmp_path, [losses(step, pixel=value) for step, value in enumerate(values)]).charts().values()
    assert "(logarithmic)" not in " ".join(labels(svg))


def test_zero_is_drawn_at_the_bottom_of_a_logarithmic_chart(tmp_path: Path) -> None:
    (svg,) = report(tmp_path, [losses(step, hinge=value) for step, value in enumerate([1.0, 1e-5, 0.0])]).charts().values()
    assert points(svg)[0][2][1] == pytest.approx(BOTTOM, abs=0.11)


@pytest.mark.parametrize("count", [1, POINTS, POINTS + 1, 1999])
def test_long_logs_are_thinned_by_means_of_windows(count: int, tmp_path: Path) -> None:
    page = report(tmp_path, [losses(step, pixel=float(step % 2)) for step in range(1, count + 1)])
    (line,) = points(page.charts()["Losses"])
    assert len(line) <= POINTS and len(line) >= min(count, POINTS // 2)
    if count == 1999:  # 399 windows of five, whose means are 0.6 and 0.4 by turns, and one of four with a mean of 0.5
        heights = [y for _, y in line]
        assert len(line) == POINTS and len(set(heights[:-1:2])) == len(set(heights[1:-1:2])) == 1
        assert heights[0] < heights[-1] == pytest.approx((heights[0] + heights[1]) / 2, abs=0.11)
        assert line[1][0] - line[0][0] == pytest.approx((RIGHT - LEFT) * 5 / (1997.5 - 3), abs=0.11)
    assert f"pixel {count % 2}" in page.text, "the legend shows the last value itself"


def test_steps_logged_again_after_resuming_replace_the_first_ones(tmp_path: Path) -> None:
    first = [losses(step, pixel=100.0) for step in (10, 20, 30, 40)] + [{"kind": "validation", "step": 40, "ssim": 0.1}]
    again = [losses(step, pixel=1.0) for step in (20, 30)]
    page = report(tmp_path, first + again + [{"kind": "validation", "step": 40, "ssim": 0.9}])
    (line,), (figure,) = points(page.charts()["Losses"]), points(page.charts()["Validation: ssim"])
    assert len(line) == 3 and line[1][1] == line[2][1] > line[0][1]
    assert len(figure) == 1 and "ssim 0.9" in page.text


@pytest.mark.parametrize(
    "end", ['{"kind": "losses", "step": 30, "pi', '{"kind": "losses"}\n', "null\n", "[1]\n", "\x00\x00\x00\n", '{"kind": "los{"kind": "losses", "step": 4}\n']
)
def test_damaged_line_is_skipped_and_counted(end: str, tmp_path: Path) -> None:
    page = report(tmp_path, [losses(10, pixel=0.5), losses(20, pixel=0.5)], end=end)
    assert "1 damaged line of log.jsonl passed over." in page.text and len(points(page.charts()["Losses"])[0]) == 2


def test_bytes_that_are_not_text_are_skipped(tmp_path: Path) -> None:
    report(tmp_path, [losses(10, pixel=0.5)])
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'{"kind": "losses", "step": 20, "\xff\xfe\n')
    assert "1 damaged line" in Page(write_report(tmp_path)).text


def test_numbers_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    page = report(tmp_path, [losses(step, pixel=value) for step, value in enumerate([1.0, math.nan, math.inf, 2.0])])
    assert len(points(page.charts()["Losses"])[0]) == 2 and "nan" not in page.source


def test_run_that_has_logged_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "options.toml").write_text(OPTIONS)
    page = Page(write_report(tmp_path))
    assert "Nothing has been logged yet." in page.text and "Step 0 of 1,000" in page.text and page.charts() == {}


def test_page_shows_warnings_with_their_steps(tmp_path: Path) -> None:
    page = report(tmp_path, [{"kind": "warning", "step": 1500, "message": "discriminator <b> has won & more"}])
    assert "discriminator <b> has won & more (step 1,500)" in page.text and "<b> has won" not in page.source


def test_all_text_on_the_page_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'&"
    run = tmp_path / "<img src=x>"
    run.mkdir()
    lines = [losses(1, **{evil: 1.0}), {"kind": "validation", "step": 1, evil: 2.0}, {"kind": "warning", "step": 1, "message": evil}]
    options = f"[train.{json.dumps(evil)}]\n{json.dumps(evil)} = {json.dumps(evil)}\n"
    page = report(run, lines, options)
    assert [tag for tag, _ in page.tags].count("script") == 1 and "img" not in {tag for tag, _ in page.tags}
    assert page.text.count(evil) == 8 and len(page.charts()) == 2


def sheet(run: Path, step: int, size: int = 8, level: int | None = None) -> Path:
    (run / "samples").mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8) if level is None else np.full((size, size, 3), level, np.uint8)
    path = run / "samples" / f"step-{step:07d}.png"
    Image.fromarray(pixels).save(path)
    return path


def test_sheets_come_newest_first_and_unchanged(tmp_path: Path) -> None:
    for step in (1000, 9000, 10_000_000):
        sheet(tmp_path, step, level=step % 251)
    (tmp_path / "samples" / "step-best.png").write_bytes(b"")
    page = report(tmp_path)
    assert [np.asarray(image)[0, 0, 0] for _, image in page.images()] == [step % 251 for step in (10_000_000, 9000, 1000)]
    assert re.findall(r"Step ([\d,]+) samples/", page.text) == ["10,000,000", "9,000", "1,000"]


@pytest.mark.parametrize("count", [SHEETS, SHEETS + 1, 100])
def test_a_few_sheets_are_spread_over_the_run(count: int, tmp_path: Path) -> None:
    for step in range(1, count + 1):
        sheet(tmp_path, step, level=0)
    shown = [int(step) for step in re.findall(r"Step (\d+) samples/", report(tmp_path).text)]
    assert len(shown) == SHEETS and shown[0] == count and shown[-1] == 1
    assert max(-np.diff(shown)) - min(-np.diff(shown)) <= 1


def test_page_with_heavy_sheets_stays_below_ten_megabytes(tmp_path: Path) -> None:
    first = sheet(tmp_path, 1, size=900)
    assert first.stat().st_size > 2 * HEAVIEST, "noise does not compress"
    for step in range(2, SHEETS + 1):
        first.with_name(f"step-{step}.png").write_bytes(first.read_bytes())
    page = report(tmp_path)
    assert len(page.source) < 10_000_000
    assert {kind for kind, _ in page.images()} == {"jpeg"} and len(page.images()) == SHEETS


@pytest.mark.parametrize("text", [None, "", "train = 3", "[train]\nsrgan = 3", "[train.a]\n[train.b]", "["])
def test_folder_without_options_is_refused(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "options.toml").write_text(text)
    with pytest.raises(PixlateError, match=r"expected a run folder with options\.toml, but .* has none that can be read .*; name the folder given to --out"):
        write_report(tmp_path)


number = st.floats(width=32) | st.integers(-(10**6), 10**6) | st.text(max_size=3) | st.none() | st.booleans()


@given(lines=st.lists(st.tuples(st.sampled_from(["losses", "validation", "other"]), st.integers(0, 50), st.dictionaries(st.text(max_size=5), number))))
@settings(deadline=None, max_examples=60)
def test_whatever_numbers_come_the_curves_stay_inside_their_charts(
    lines: list[tuple[str, int, dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = report(tmp_path_factory.mktemp("run"), [{**values, "kind": kind, "step": step} for kind, step, values in lines])
    for svg in re.findall(r'points="([^"]*)"', page.source):
        for corner in svg.split():
            x, y = map(float, corner.split(","))
            assert LEFT <= x <= RIGHT and TOP - 0.1 <= y <= BOTTOM + 0.1
