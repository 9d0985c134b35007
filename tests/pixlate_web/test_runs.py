"""The tab Runs: what it finds, shows and leaves alone, and how it follows a training, in Chromium too."""

import json
from collections.abc import Iterator
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from PIL import Image
from tests.pixlate_web.conftest import Browser, Site, wait_until

from pixlate.runs.state import Status, read_run
from pixlate.system.locking import lock_file

pytest.importorskip("gradio")

from pixlate_web.runs import Seen, refreshed, sheets_of
from pixlate_web.training_runs import TrainingRuns

MEANING = "How far outputs are from their targets: smaller is better."


def add_steps(run: Path, *steps: int, level: int = 0) -> None:
    """Log steps, each with a sheet of one grey and one of the way back."""
    (run / "samples").mkdir(parents=True, exist_ok=True)
    with (run / "log.jsonl").open("a") as log:
        for step in steps:
            log.write(json.dumps({"kind": "losses", "step": step, "l1": 10.0 / step, "steps_per_second": 0.5}) + "\n")
            log.write(json.dumps({"kind": "validation", "step": step, "psnr_luma": 20 + step / 100}) + "\n")
            Image.new("L", (90, 40), level + step // 10).save(run / f"samples/step-{step:08d}.png")
            Image.new("L", (90, 40), 255).save(run / f"samples/step-{step:08d}.cycle.jpg")


def make(folder: Path, *steps: int, state: Any = "stopped", level: int = 0) -> Path:
    """Write a run folder of 1000 steps with a warning."""
    folder.mkdir(parents=True)
    (folder / "options.toml").write_text('[train.cyclegan]\nfolders = ["/photos"]\nsteps = 1000\n')
    (folder / "checkpoints/step-00000100").mkdir(parents=True)
    (folder / "checkpoints/step-00000100/state.json").touch()
    (folder / "log.jsonl").write_text(json.dumps({"kind": "warning", "step": 50, "message": "the discriminator <b>has won</b>"}) + "\n")
    Status(state, 1000, device="cpu, 32-true", meanings={"l1": MEANING}).save(folder)
    add_steps(folder, *steps, level=level)
    return folder


def test_runs_have_the_names_of_their_paths_and_folders_where_there_are_several(tmp_path: Path) -> None:
    one, two = tmp_path / "a/photos", tmp_path / "b/photos"
    for folder in (one / "runs/first", one / "runs/second", two / "runs/first"):
        make(folder, 100)
    assert list(TrainingRuns([one]).read()) == ["runs/first", "runs/second"]
    assert list(TrainingRuns([one, two]).read()) == ["photos/runs/first", "photos/runs/second", "photos/runs/first (2)"]
    assert list(TrainingRuns([one / "runs/first"]).read()) == ["first"]


def test_only_sheets_of_runs_that_were_found_can_be_had(tmp_path: Path) -> None:
    make(tmp_path / "photos/run", 100)
    make(tmp_path / "other", 100)
    runs = TrainingRuns([tmp_path / "photos"])
    assert runs.sheet("run", "translation", 100) is None, "not before it was found"
    runs.read()
    assert runs.sheet("run", "translation", 100) == tmp_path / "photos/run/samples/step-00000100.png"
    assert runs.sheet("run", "cycle", 100) == tmp_path / "photos/run/samples/step-00000100.cycle.jpg"
    for name, view, step in (("../other", "translation", 100), ("run", "../cycle", 100), ("run", "translation", 101), ("", "translation", 100)):
        assert runs.sheet(name, view, step) is None


def test_run_is_read_again_when_it_has_changed_and_only_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, count = make(tmp_path / "run", 100), [0]

    def counted(path: Path) -> Any:
        count[0] += 1
        return read_run(path)

    monkeypatch.setattr("pixlate_web.training_runs.read_run", counted)
    runs = TrainingRuns([tmp_path])
    assert runs.read()["run"].step == runs.read()["run"].step == 100 and count == [1]
    add_steps(run, 200)
    assert runs.read()["run"].step == 200 and count == [2]


def test_page_is_sent_only_what_has_changed(tmp_path: Path) -> None:
    run = make(tmp_path / "run", 100, 200)
    runs = TrainingRuns([tmp_path])
    first = refreshed(runs, Seen(), [], None, None, 0)
    seen = first[0]
    assert (seen.chosen, seen.curve, seen.view, seen.newest) == (("run",), "psnr_luma", "translation", 200)
    again = refreshed(runs, seen, ["run"], "psnr_luma", "translation", 200)
    assert all("__type__" in str(each) and "value" not in each for each in again)
    add_steps(run, 300)
    assert refreshed(runs, seen, ["run"], "psnr_luma", "translation", 200)[4]["value"] == 300, "who looks at the newest goes on doing so"
    assert refreshed(runs, seen, ["run"], "psnr_luma", "translation", 100)[4]["value"] == 100


def test_running_runs_are_shown_first_or_else_the_one_that_was_written_last(tmp_path: Path) -> None:
    make(tmp_path / "a", 100, state="running")
    make(tmp_path / "b", 100)
    with FileIO(tmp_path / "a/.lock", "a+") as file:
        lock_file(file)
        assert refreshed(TrainingRuns([tmp_path]), Seen(), [], None, None, 0)[0].chosen == ("a",)
    assert refreshed(TrainingRuns([tmp_path]), Seen(), [], None, None, 0)[0].chosen == ("b",)


def test_side_by_side_are_the_sheets_up_to_the_same_step(tmp_path: Path) -> None:
    make(tmp_path / "a", 100, 200, 300)
    make(tmp_path / "b", 150, 300)
    found = TrainingRuns([tmp_path]).read()
    shown = {
        step: [parse_qs(urlparse(part.split('"')[0].replace("&amp;", "&")).query)["step"] for part in sheets_of(found, "translation", step).split('src="')[1:]]
        for step in (100, 200, 300)
    }
    assert shown == {100: [["100"], ["150"]], 200: [["200"], ["150"]], 300: [["300"], ["300"]]}


@pytest.fixture(scope="module")
def trained(site: Site) -> Iterator[Site]:
    """The server, with two runs under its folder, of which the first runs."""
    make(site.folder / "runs/first", 100, 200, 300, state="running")
    make(site.folder / "runs/second", 100, 200, 300, level=100)
    with FileIO(site.folder / "runs/first/.lock", "a+") as file:
        lock_file(file)
        yield site


def open_tab(browser: Browser, site: Site, **options: Any) -> Any:
    page = browser.open(site, **options)
    page.get_by_role("tab", name="Runs").click()
    page.locator("#runs-summary section").first.wait_for()
    return page


def levels(page: Any) -> list[int]:
    """Return the grey in the middle of each sheet as it is on the screen."""
    page.wait_for_function("[...document.querySelectorAll('#runs-sheets img')].every(image => image.complete && image.naturalWidth)")
    found = []
    for image in page.locator("#runs-sheets img").all():
        found.append(int(np.asarray(Image.open(BytesIO(image.screenshot())).convert("L"))[10, 20]))
    return found


def test_tab_shows_how_a_run_goes(browser: Browser, trained: Site) -> None:
    page = open_tab(browser, trained)
    (card,) = page.locator("#runs-summary section").all()
    text = card.inner_text()
    for part in (
        "runs/first",
        "cyclegan, running, step 300 of 1,000, 0.5 steps a second, about 0:23:20 left, on cpu, 32-true",
        "the discriminator <b>has won</b> (step 50)",
    ):
        assert part in text
    card.locator("summary").click()
    assert f"pixlate export {trained.folder / 'runs/first'} model.onnx" in card.inner_text()
    page.locator("#runs-plot [aria-label^='step: 300; psnr_luma: 23; run: runs/first']").first.wait_for(state="attached")
    page.locator("#runs-plot svg").first.wait_for()


def test_slider_and_views_show_the_samples_of_runs_side_by_side(browser: Browser, trained: Site) -> None:
    page = open_tab(browser, trained)
    page.get_by_role("checkbox", name="runs/second").check()
    page.wait_for_function("document.querySelectorAll('#runs-sheets img').length === 2")
    assert levels(page) == [30, 130]
    legend = page.locator("#runs-plot [aria-label^='Symbol legend']")
    page.wait_for_function("document.querySelector('#runs-plot [aria-label^=\"Symbol legend\"]').getAttribute('aria-label').includes('2 values')")
    assert "runs/first, runs/second" in str(legend.get_attribute("aria-label"))
    for name in ("runs/first", "runs/second"):
        page.locator(f"#runs-plot [aria-label*='psnr_luma: 23; run: {name}']").first.wait_for(state="attached")
    slider = page.locator("#runs-step input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#runs-sheets figcaption", has_text="runs/first, step 200").wait_for()
    assert levels(page) == [20, 120]
    page.get_by_role("radio", name="cycle").check()
    page.wait_for_function("[...document.querySelectorAll('#runs-sheets img')].every(image => image.src.includes('view=cycle'))")
    assert levels(page) == [255, 255]
    assert [caption.inner_text() for caption in page.locator("#runs-sheets figcaption").all()] == ["runs/first, step 200", "runs/second, step 200"]


def test_sentence_of_a_curve_is_below_it(browser: Browser, trained: Site) -> None:
    page = open_tab(browser, trained)
    page.locator("#runs-curve input").click()
    page.get_by_role("option", name="l1").click()
    page.locator("#runs-sentence", has_text=MEANING).wait_for()
    page.locator("#runs-plot [aria-label^='step: 100; l1: 0.1; run: runs/first']").first.wait_for(state="attached")


def test_tab_follows_a_training_by_itself(browser: Browser, trained: Site) -> None:
    page = open_tab(browser, trained)
    add_steps(trained.folder / "runs/first", 400)
    page.locator("#runs-sheets figcaption", has_text="step 400").wait_for()
    assert "step 400 of 1,000" in page.locator("#runs-summary").inner_text()
    make(trained.folder / "runs/third", 100)
    page.get_by_role("checkbox", name="runs/third (stopped)").wait_for()


def test_tab_fits_a_phone(browser: Browser, trained: Site) -> None:
    page = open_tab(browser, trained, viewport={"width": 390, "height": 844})
    wait_until(lambda: page.evaluate("document.documentElement.scrollWidth") <= 390)


def test_address_of_a_sheet_gives_nothing_else(browser: Browser, trained: Site) -> None:
    page = open_tab(browser, trained)
    good = page.request.get(f"{trained.address}/pixlate/runs/sheet?run=runs/first&view=translation&step=300")
    assert good.status == 200 and good.body() == (trained.folder / "runs/first/samples/step-00000300.png").read_bytes()
    for query in (
        "run=../photos/runs/first&view=translation&step=300",
        "run=runs/first&view=../../options&step=300",
        "run=runs/none&view=translation&step=300",
    ):
        assert page.request.get(f"{trained.address}/pixlate/runs/sheet?{query}").status == 404
