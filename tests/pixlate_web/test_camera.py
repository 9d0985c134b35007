"""Pictures from the camera, which in these tests shows the moving pattern of Chromium."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from tests.pixlate_web.conftest import Browser, Site, ended, started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that takes pictures as large as a camera's."""
    site = started(tmp_path_factory.mktemp("camera"))
    yield site
    assert ended(site) == 0


def test_picture_of_the_camera_is_taken_in_whole(site: Site, browser: Browser) -> None:
    page = browser.open(site)
    page.get_by_role("button", name="Camera").click()
    page.wait_for_function("document.querySelector('.px-camera video')?.videoWidth")
    size = page.evaluate("(({ videoWidth, videoHeight }) => [videoWidth, videoHeight])(document.querySelector('.px-camera video'))")
    page.get_by_role("button", name="Take the picture").click()
    assert page.inner_text(".px-pictures li span") == f"camera.png {size[0]}x{size[1]}"
    data = page.request.get(site.address + page.get_attribute(".px-pictures img", "src")).body()
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert pixels.shape[:2] == (size[1], size[0])
    red, green, blue = np.median(pixels, axis=(0, 1))
    assert green > red + 50 and green > blue + 50, "Chromium's pattern is on green"
    assert page.locator(".px-camera").count() == 0


def test_camera_that_is_closed_gives_nothing_and_is_released(site: Site, browser: Browser) -> None:
    page = browser.open(site)
    for how in ("Close", "Escape"):
        page.get_by_role("button", name="Camera").click()
        page.wait_for_function("document.querySelector('.px-camera video')?.videoWidth")
        page.evaluate("window.track = document.querySelector('.px-camera video').srcObject.getTracks()[0]")
        if how == "Close":
            page.get_by_role("button", name="Close").click()
        else:
            page.keyboard.press("Escape")
        page.wait_for_function("!document.querySelector('.px-camera')")
        assert page.evaluate("window.track.readyState") == "ended"
    assert page.locator(".px-pictures li").count() == 0


def test_camera_that_is_not_allowed_is_a_sentence(site: Site, browser: Browser) -> None:
    page = browser.open(site)
    page.evaluate("void (navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError')))")
    page.get_by_role("button", name="Camera").click()
    assert page.inner_text(".px-problems li") == "The camera cannot be used (Permission denied); allow it in the browser, or choose a file."
