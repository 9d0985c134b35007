"""The page in Chromium: what people do with it, and what goes wrong."""

import io
import math
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import noise
from tests.pixlate_web.conftest import MOST_BYTES, MOST_FILES, MOST_PIXELS, TIMEOUT_S, Browser, Site, pictures, wait_until
from tests.pixlate_web.steps import PASTE, choose, converted, give, saved, translate

from pixlate.plugin.manager import installed

TOO_WIDE = """[...document.querySelectorAll('body *')].filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > 361
    && !each.closest('.px-frame')).map((each) => `${each.tagName} ${each.className} ${each.id} ${each.getBoundingClientRect().right}`)"""


def test_dropped_pictures_download_as_the_bytes_that_convert_writes(site: Site, browser: Browser, tmp_path: Path) -> None:
    sources = pictures(tmp_path / "in")
    page = browser.open(site, accept_downloads=True)
    give(page, sources)
    choose(page, "upscale-x2")
    assert "2 converted" in translate(page)
    expected = converted(sources, tmp_path / "out", "upscale-x2")
    assert len(expected) == 2
    assert dict(saved(page, f"#translate-results li:has-text('{path.name}') >> text=Download") for path in sources) == expected
    name, data = saved(page, "text=Download all as a zip")
    assert name == "pixlate.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {entry: archive.read(entry) for entry in archive.namelist()} == expected


def test_strength_size_format_and_quality_are_those_of_convert(site: Site, browser: Browser, tmp_path: Path) -> None:
    sources = pictures(tmp_path / "in", 1)
    page = browser.open(site, accept_downloads=True)
    give(page, sources, PASTE)
    choose(page, "clean")
    for label, value in (("Strength", "0.5"), ("Quality", "60")):
        field = page.locator(f"[role=tabpanel]:visible input[type=number][aria-label*='{label}']")
        field.fill(value)
        field.press("Enter")
    for label, value in (("Size", "times"), ("Format", "webp")):
        page.get_by_label(label, exact=True).locator("visible=true").click()
        page.locator(f"[role=option]:has-text('{value}')").click()
    page.get_by_label("Number", exact=True).locator("visible=true").fill("1.5")
    assert "1 converted" in translate(page)
    assert dict([saved(page, "text=Download")]) == converted(sources, tmp_path / "out", "clean", strength=0.5, scale=1.5, quality=60, format="webp")


def test_two_pictures_of_one_name_are_both_translated(site: Site, browser: Browser, tmp_path: Path) -> None:
    one, two = pictures(tmp_path / "one", 1)[0], tmp_path / "two" / "picture0.png"
    two.parent.mkdir()
    Image.fromarray(noise(20, 30, seed=9)).save(two)
    page = browser.open(site, accept_downloads=True)
    give(page, [one, two])
    choose(page, str(site.model))
    assert "2 converted" in translate(page)
    _, data = saved(page, "text=Download all as a zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == ["picture0 (2).png", "picture0.png"]
        shapes = {Image.open(io.BytesIO(archive.read(name))).size for name in archive.namelist()}
    assert shapes == {(120, 80), (60, 40)}


def test_slider_moves_the_border_and_zoom_reaches_single_pixels_of_the_whole_output(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site)
    give(page, pictures(tmp_path, 1, 200, 300))
    choose(page, str(site.model))
    translate(page)
    page.wait_for_selector("pixlate-compare")
    page.wait_for_function("[...document.querySelectorAll('pixlate-compare img')].every((image) => image.complete && image.naturalWidth)")
    widths = page.evaluate("[...document.querySelectorAll('pixlate-compare img')].map((image) => [image.alt, image.naturalWidth, image.naturalHeight])")
    assert sorted(widths) == [["output", 600, 400], ["source", 300, 200]], "nothing was reduced for the comparison"

    def shown() -> float:
        ratio = "document.querySelector('.px-clip').clientWidth / document.querySelector('.px-frame').clientWidth"
        return float(page.evaluate(ratio))

    assert shown() == pytest.approx(0.5, abs=0.01)
    page.locator("pixlate-compare input[type=range]").fill("20")
    assert shown() == pytest.approx(0.2, abs=0.01)
    frame = page.locator(".px-frame")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 60)
    page.mouse.up()
    assert shown() == pytest.approx(0.8, abs=0.01)
    page.click("pixlate-compare >> text=1:1")
    assert page.inner_text("pixlate-compare output") == "100 %"
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -2000)
    page.wait_for_function("parseInt(document.querySelector('pixlate-compare output').textContent) > 1000")
    assert page.evaluate("document.querySelector('pixlate-compare img').style.imageRendering") == "pixelated"


def test_cancelled_translation_keeps_what_was_finished_and_says_so(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site)
    give(page, pictures(tmp_path, MOST_FILES, 300, 390))  # so that some are left on any machine
    choose(page, "upscale-x4")
    page.click("#translate")
    page.wait_for_selector("#translate-results pixlate-compare")
    page.click("#cancel")
    page.wait_for_selector("#translate:not([disabled])")
    text = page.inner_text("#translate-status")
    assert "Cancelled" in text and "not reached" in text
    finished = page.locator("#translate-results li a").count()
    assert 1 <= finished < MOST_FILES
    assert f"{finished} converted" in text
    choose(page, str(site.model))
    assert f"{MOST_FILES} converted" in translate(page), "the page can be used again"


def test_progress_counts_pixels(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site)
    give(page, pictures(tmp_path, MOST_FILES, 300, 390))
    choose(page, "upscale-x4")
    page.click("#translate")
    page.wait_for_selector("#translate-status:has([role=progressbar]):has-text('of 2.3 million pixels')")
    page.click("#cancel")
    page.wait_for_selector("#translate:not([disabled])")


def test_broken_file_is_a_sentence_and_the_others_are_translated(site: Site, browser: Browser, tmp_path: Path) -> None:
    whole, broken = pictures(tmp_path)
    broken.write_bytes(broken.read_bytes()[:-900])
    page = browser.open(site)
    give(page, [whole, broken])
    choose(page, str(site.model))
    text = translate(page)
    assert "1 converted" in text and "1 failed" in text
    assert "picture1.jpg: the image is truncated or damaged" in text
    assert page.locator("#translate-results li a").count() == 1


@pytest.mark.parametrize("kind", ["text", "bytes", "pixels", "empty", "no picture inside"])
def test_what_is_refused_is_a_sentence_and_nothing_is_kept(site: Site, browser: Browser, tmp_path: Path, kind: str) -> None:
    site.wait_until_nothing_is_kept()
    page = browser.open(site)
    path = tmp_path / ("notes.txt" if kind == "text" else "x.png")
    path.write_bytes({"bytes": b"x" * (MOST_BYTES + 1), "empty": b""}.get(kind, b"some words"))
    if kind == "pixels":
        Image.new("L", (MOST_PIXELS // 100 + 1, 100)).save(path)
    give(page, [path])
    sentence = page.inner_text(".px-problems li")
    expected = {
        "text": "expected a picture",
        "bytes": f"expected a file of at most {MOST_BYTES:,} bytes",
        "pixels": "0.12 million",
        "empty": "got an empty file",
        "no picture inside": "expected",
    }[kind]
    assert sentence.startswith(f"{path.name}: ") and expected in sentence
    assert site.kept() == []
    assert "expected a picture, got none" in translate(page)


def test_film_is_refused_with_what_converts_films(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site)
    (tmp_path / "holiday.mov").write_bytes(b"a film")
    give(page, [tmp_path / "holiday.mov"])
    sentence = page.inner_text(".px-problems li")
    assert "got holiday.mov (a film: start the page as `pixlate web FOLDER` with its folder and use the tab Folder, or run `pixlate convert`)" in sentence


def test_dialog_for_files_offers_every_name_that_the_page_takes(site: Site, browser: Browser) -> None:
    offered = browser.open(site).get_attribute("pixlate-drop input[type=file]", "accept").split(",")
    assert "image/*" in offered, "phones show their photographs for it"
    assert set(installed().image_formats()) <= set(offered)


def test_more_pictures_than_allowed_are_refused_and_one_can_be_taken_off(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site)
    give(page, pictures(tmp_path, MOST_FILES + 1))
    assert page.locator(".px-pictures li").count() == MOST_FILES
    assert f"expected at most {MOST_FILES} pictures on the page" in page.inner_text(".px-problems li")
    page.click("[aria-label='Take picture2.png off']")
    page.wait_for_function(f"document.querySelectorAll('.px-pictures li').length === {MOST_FILES - 1}")
    wait_until(lambda: len(site.kept()) == MOST_FILES - 1)


def test_drawing_becomes_the_picture_that_convert_makes_of_it(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site, accept_downloads=True)
    page.click("button[role=tab]:has-text('Draw')")
    box = page.locator("canvas.px-paper").bounding_box()
    answers = []
    page.on("response", lambda response: answers.append(response.url) if "/drawings/" in response.url else None)
    for x, y, radius in ((256, 256, 180), (190, 210, 20), (320, 210, 20)):  # a face, which the model knows
        page.mouse.move(box["x"] + x + radius, box["y"] + y)
        page.mouse.down()
        for step in range(1, 41):
            angle = 2 * math.pi * step / 40
            page.mouse.move(box["x"] + x + radius * math.cos(angle), box["y"] + y + radius * math.sin(angle))
        page.mouse.up()
        page.wait_for_selector(".px-side img:visible")
    page.wait_for_function("!document.querySelector('pixlate-draw').sending")
    assert answers, "the model has been asked"
    _, lines = saved(page, "text=Download the drawing")
    _, picture = saved(page, "text=Download the picture")
    drawing = tmp_path / "lines.png"
    drawing.write_bytes(lines)
    pixels = np.asarray(Image.open(drawing).convert("L"))
    assert pixels.shape == (512, 512) and 0.01 < (pixels < 128).mean() < 0.08, "lines"
    assert {"lines.png": picture} == converted([drawing], tmp_path / "out", "colour-drawing")
    made = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    assert (np.ptp(made, axis=2) > 40).mean() > 0.1, "the face has a colour"
    for _ in range(3):
        page.click("pixlate-draw >> text=Undo")
    page.wait_for_selector(".px-side img", state="hidden")


@pytest.mark.parametrize("size", [(1180, 1020), (1024, 700), (390, 844)])
def test_primary_buttons_are_in_sight_whatever_is_on_the_page(site: Site, browser: Browser, tmp_path: Path, size: tuple[int, int]) -> None:
    page = browser.open(site, viewport={"width": size[0], "height": size[1]})
    for tab, button in (("Translate", "#translate"), ("Folder", "#convert")):
        page.click(f"button[role=tab]:has-text('{tab}')")
        page.wait_for_selector(f"{button}:visible")
        if tab == "Translate":
            give(page, pictures(tmp_path, 4))
        assert page.evaluate("scrollY") == 0
        inside = f"(() => {{ const box = document.querySelector('{button}').getBoundingClientRect(); const at = document.elementFromPoint(box.x + 9, box.bottom - 9);"
        page.wait_for_function(f"{inside} return box.bottom <= innerHeight && box.right <= innerWidth && at?.closest('{button}'); }})()")
        clipped = (
            "[...document.querySelectorAll('[role=tabpanel] .wrap input')].filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth)"
        )
        assert page.evaluate(f"{clipped}.map((each) => each.value)") == [], "what is chosen can be read"


def test_phone_scrolls_to_how_it_goes(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site, viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    give(page, pictures(tmp_path, 1))
    choose(page, str(site.model))
    page.tap("#translate")
    page.wait_for_selector("#translate-status :text('1 converted')")
    page.wait_for_function("document.querySelector('#translate-status').getBoundingClientRect().top < innerHeight")


def test_page_is_usable_on_a_phone(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site, viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True, is_mobile=True)
    give(page, pictures(tmp_path, 1))
    choose(page, str(site.model))
    page.tap("#translate")
    page.wait_for_selector("pixlate-compare")
    page.wait_for_function(f"{TOO_WIDE}.length === 0")  # once the page has settled
    for selector in ("pixlate-compare", ".px-drop", "#translate"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    page.tap("button[role=tab]:has-text('Draw')")
    assert page.locator("canvas.px-paper").bounding_box()["width"] <= 360
    page.wait_for_function(f"{TOO_WIDE}.length === 0")  # once the page has settled


@pytest.mark.parametrize(("across", "down"), [(1, 0), (0, 1)])
def test_two_fingers_zoom_the_picture_on_a_phone_and_not_the_page(site: Site, browser: Browser, tmp_path: Path, across: int, down: int) -> None:
    page = browser.open(site, viewport={"width": 390, "height": 844}, device_scale_factor=2, has_touch=True, is_mobile=True)
    give(page, pictures(tmp_path, 1, 200, 300))
    choose(page, site.model)
    translate(page)
    frame = page.locator(".px-frame")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    x, y, scrolled = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, page.evaluate("scrollY")
    chrome = page.context.new_cdp_session(page)

    def touch(kind: str, *distances: int) -> None:
        """Report fingers at distances from the middle of the picture."""
        fingers = [{"x": x + across * distance, "y": y + down * distance, "id": number} for number, distance in enumerate(distances)]
        chrome.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    def percent() -> int:
        return int(page.inner_text("pixlate-compare output").split()[0])

    before = percent()
    touch("touchStart", -20)
    touch("touchStart", -20, 20)
    for distance in range(25, 61, 5):
        touch("touchMove", -distance, distance)
    touch("touchEnd")
    assert percent() == pytest.approx(3 * before, rel=0.1)
    assert page.evaluate("[visualViewport.scale, scrollY]") == [1, scrolled]
    touch("touchStart", -60)
    touch("touchStart", -60, 60)
    for distance in range(55, 19, -5):
        touch("touchMove", -distance, distance)
    touch("touchEnd")
    assert percent() == pytest.approx(before, rel=0.1), "all of it again"


def test_two_pages_see_only_their_own_pictures(site: Site, browser: Browser, tmp_path: Path) -> None:
    one, two = browser.open(site), browser.open(site)
    give(one, pictures(tmp_path / "one", 1))
    give(two, pictures(tmp_path / "two", 2))
    for page in (one, two):
        choose(page, "clean")
    one.click("#translate")
    assert "2 converted" in translate(two)
    one.wait_for_selector("#translate-status :text('1 converted')")
    assert one.locator("#translate-results li").count() == 1


@pytest.mark.parametrize("how", ["closed", "loaded again"])
def test_closed_page_cancels_its_work_and_leaves_nothing(site: Site, browser: Browser, tmp_path: Path, how: str) -> None:
    page = browser.open(site)
    give(page, pictures(tmp_path, MOST_FILES, 300, 390))  # so that some are left on any machine
    choose(page, "upscale-x4")
    page.click("#translate")
    page.wait_for_selector("#translate-status [role=progressbar]")
    if how == "closed":
        page.close()
    else:
        browser.visit(page, site)
        assert page.locator(".px-pictures li").count() == 0
    site.wait_until_nothing_is_kept()
    other = browser.open(site)
    give(other, pictures(tmp_path / "other", 1))
    choose(other, str(site.model))
    assert "1 converted" in translate(other), "the work of the closed page is over"


@pytest.mark.parametrize("ends", [True, False])
def test_upload_that_stops_leaves_nothing(site: Site, browser: Browser, ends: bool) -> None:
    site.wait_until_nothing_is_kept()
    page = browser.open(site)
    key = page.get_attribute("[data-session]", "data-session")
    host, port = site.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        head = f"POST /pixlate/pictures/{key}?name=x.png HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 100)
        wait_until(site.kept)
        if not ends:
            answer = b""
            while b'"error"' not in answer and (part := connection.recv(4096)):  # head and body may come apart
                answer += part
            assert b" 422 " in answer and f"nothing for {TIMEOUT_S} s".encode() in answer
    site.wait_until_nothing_is_kept()
