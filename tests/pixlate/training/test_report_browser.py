"""The report in Chromium: what a reader can move, choose and copy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixlate.plugin.metric import Sample
from pixlate.runs.state import Status
from pixlate.training.recorder import write_sheet, write_view
from pixlate.training.report import write_report

STEPS = (100, 200, 300, 400)


def plain(level: int) -> Any:
    return np.full((60, 80, 3), level, np.uint8)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of two views whose pictures get lighter with each step; the second has no sheet of step 100."""
    run = tmp_path_factory.mktemp("runs") / "first try"
    (run / "checkpoints/step-00000400").mkdir(parents=True)
    (run / "checkpoints/step-00000400/state.json").touch()
    (run / "options.toml").write_text('[train.cyclegan]\nfolders = ["/photos"]\nsteps = 400\n')
    lines = [{"kind": "losses", "step": step, "cycle": 100.0 / step, "steps_per_second": 2.0} for step in range(10, 401, 10)]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Status("stopped", 400, device="cpu", meanings={"cycle": "How far a picture is from itself, there and back."}).save(run)
    for step in STEPS:
        write_sheet(run / f"samples/step-{step:08d}.png", [Sample(plain(0), plain(step // 2), plain(255))])
        if step > STEPS[0]:
            write_view(run / f"samples/step-{step:08d}.cycle.jpg", [{"source": plain(0), "again": plain(step // 2)}])
    return write_report(run)


@pytest.fixture
def page(chromium: Any, report: Path) -> Iterator[Any]:
    """Return the page in a profile of its own; it raises no error and asks for no other address."""
    context, complaints, requests = chromium.new_context(viewport={"width": 390, "height": 800}), [], []
    opened = context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    context.close()
    assert complaints == [] and {url for url in requests if not url.startswith("data:")} == {report.as_uri()}


def visible(page: Any) -> list[str]:
    """Return the captions of the sheets that can be seen."""
    return [figure.inner_text().split("\n")[0] for figure in page.locator("#samples figure:visible").all()]


def test_slider_moves_through_the_steps_by_keys_and_starts_at_the_newest(page: Any) -> None:
    assert visible(page) == ["Step 400 samples/step-00000400.png"]
    slider = page.locator("#samples input")
    slider.focus()
    for expected in (300, 200, 100, 100):
        page.keyboard.press("ArrowLeft")
        assert visible(page) == [f"Step {expected} samples/step-00000{expected}.png"]
        assert page.locator("#samples output").inner_text() == slider.get_attribute("aria-valuetext") == str(expected)
    page.keyboard.press("End")
    assert visible(page) == ["Step 400 samples/step-00000400.png"]


def test_views_are_chosen_by_buttons_and_keep_the_step(page: Any) -> None:
    page.locator("#samples input").focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="cycle").click()
    assert visible(page) == ["Step 300 samples/step-00000300.cycle.jpg"]
    assert [page.get_by_role("button", name=name).get_attribute("aria-pressed") for name in ("translation", "cycle")] == ["false", "true"]
    page.get_by_role("button", name="translation").click()
    page.locator("#samples input").focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="cycle").click()
    assert visible(page) == ["Step 200 samples/step-00000200.cycle.jpg"], "the nearest that the view has"


def test_charts_mark_the_step_of_the_samples_and_tell_values_under_the_pointer(page: Any) -> None:
    chart, value = page.locator("svg[aria-label^=Losses]"), page.locator(".legend li b").first
    ticks = dict(
        page.evaluate(
            "[...document.querySelectorAll('svg')[0].querySelectorAll('text[text-anchor=middle]')].map(text => [text.textContent, Number(text.getAttribute('x'))])"
        )
    )
    assert float(chart.locator(".mark").get_attribute("x1")) == pytest.approx(ticks["400"], abs=0.1)
    assert value.inner_text() == "0.25"
    box = chart.bounding_box()
    page.mouse.move(box["x"] + ticks["200"] / 420 * box["width"], box["y"] + box["height"] / 2)
    said = value.inner_text()
    assert said.endswith("at step 200") and float(said.split()[0]) == pytest.approx(0.5, rel=0.05)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 50)
    assert value.inner_text() == "0.25"


def test_commands_can_be_copied(page: Any, report: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"pixlate train --resume '{report.parent}'"


def test_page_fits_a_phone(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#samples figure:visible img").bounding_box()["width"] <= 390 - 2 * 16


def test_sentence_stands_beside_its_loss(page: Any) -> None:
    assert "How far a picture is from itself, there and back." in page.locator(".legend li").first.inner_text()


def test_without_scripts_all_sheets_are_shown_and_no_control_that_does_nothing(chromium: Any, report: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("#samples figure:visible").count() == 7
    assert page.locator("button:visible, input:visible").count() == 0
    context.close()
