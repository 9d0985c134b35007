"""The tab Folder in Chromium: what is converted, resumed, cancelled and refused."""

import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.pixlate.conftest import noise
from tests.pixlate_web.conftest import MOST_PIXELS, Browser, Site, pictures
from tests.pixlate_web.steps import choose

import pixlate
from pixlate.places.local import HOME


def test_folder_is_converted_as_by_the_command_and_resumed(site: Site, browser: Browser, tmp_path: Path) -> None:
    sources = pictures(site.folder / "album", 3)
    page = browser.open(site)
    page.click("button[role=tab]:has-text('Folder')")
    choose(page, str(site.model))
    page.click("#convert")
    page.wait_for_selector("#folder-status :text('3 converted')")
    page.wait_for_selector("#folder-results pixlate-compare")
    page.wait_for_function("[...document.querySelectorAll('#folder-results img')].every((image) => image.complete && image.naturalWidth)")
    pixlate.convert(site.folder / "album", tmp_path / "out", site.model, max_pixels=MOST_PIXELS)
    for source in sources:
        assert (site.folder / "translated" / "album" / source.name).read_bytes() == (tmp_path / "out" / source.name).read_bytes()
    where = page.locator("#folder-status span[title]")
    assert where.inner_text() == str(Path(site.folder.name) / "translated"), "as the folder was named on the command line"
    assert where.get_attribute("title") == str(site.folder / "translated")
    assert page.input_value("#folder input") == site.folder.name
    page.hover("#folder input")
    page.wait_for_function("document.querySelector('#folder input').title")
    assert page.get_attribute("#folder input", "title") == str(site.folder)
    (site.folder / "translated" / "album" / sources[0].name).unlink()
    page.wait_for_selector("#convert:not([disabled])")
    page.click("#convert")
    page.wait_for_selector("#folder-status :text('2 finished before')")
    assert "1 converted" in page.inner_text("#folder-status")


def test_cancelled_folder_keeps_what_was_finished_and_continues_from_there(site: Site, browser: Browser) -> None:
    sources = pictures(site.folder / "series", 12, 300, 390)
    page = browser.open(site)
    page.click("button[role=tab]:has-text('Folder')")
    page.fill("#into textarea, #into input", "enlarged")
    choose(page, "upscale-x4")
    page.click("#convert")
    page.wait_for_selector("#folder-results pixlate-compare")
    page.click("#cancel-folder")
    page.wait_for_selector("#folder-status :text('Convert the same folder again to continue')")
    page.wait_for_selector("#convert:not([disabled])")
    text = page.inner_text("#folder-status")
    finished = {path: path.read_bytes() for path in (site.folder / "enlarged").rglob("*.*") if HOME not in path.parts}
    assert f"{len(finished)} converted" in text and "not reached" in text
    assert len(finished) >= 1, "what was finished stays"
    times = {path: path.stat().st_mtime_ns for path in finished}
    page.click("#convert")
    page.wait_for_selector(f"#folder-status :text('{len(finished)} finished before')", timeout=300_000)
    assert "failed" not in page.inner_text("#folder-status")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in finished} == {path: (data, times[path]) for path, data in finished.items()}
    assert {path.name for path in (site.folder / "enlarged" / "series").iterdir()} == {path.name for path in sources}


def test_film_of_a_folder_is_converted_frame_by_frame_and_plays(site: Site, browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("av")
    frames = [Image.fromarray(noise(48, 64, seed=number)) for number in range(12)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:], duration=100)
    pixlate.convert(tmp_path / "film.gif", tmp_path / "short.mp4", site.model)
    (site.folder / "film").mkdir()
    shutil.copy(tmp_path / "short.mp4", site.folder / "film")
    page = browser.open(site)
    page.click("button[role=tab]:has-text('Folder')")
    page.fill("#into textarea, #into input", "larger")
    choose(page, site.model)
    page.click("#convert")
    page.wait_for_selector("#folder-status p:text('converted in')")
    assert "failed" not in page.inner_text("#folder-status")
    film = page.locator("#folder-results li:has-text('film/short.mp4')")
    assert "128x96 → 256x192, 12 frames" in film.inner_text()
    film.get_by_role("button").click()
    page.wait_for_function("document.querySelector('#folder-results video')?.readyState >= 2")
    assert page.evaluate("(({ videoWidth, videoHeight }) => [videoWidth, videoHeight])(document.querySelector('#folder-results video'))") == [256, 192]


@pytest.mark.parametrize("name", ["..", "../elsewhere", "/tmp/elsewhere", "", ".", "link/inside"])
def test_folder_page_writes_nowhere_but_inside_its_folders(site: Site, browser: Browser, tmp_path: Path, name: str) -> None:
    if not (site.folder / "link").is_symlink():
        (site.folder / "link").symlink_to(tmp_path)
    page = browser.open(site)
    page.click("button[role=tab]:has-text('Folder')")
    page.fill("#into textarea, #into input", name)
    page.click("#convert")
    page.wait_for_selector("#folder-status .px-refused")
    assert "expected the name of a folder inside" in page.inner_text("#folder-status")
    assert list(tmp_path.iterdir()) == []
