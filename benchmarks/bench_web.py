"""How long the page of ``pixlate web`` takes beside its model: from the end of the first stroke, or from the button, to the picture in Chromium, less the model's time.

Each turn starts a server and a browser profile of its own, so that every answer is a first one; the model's time is that of a translator in this process on
the same pixels, loading not counted, so that loading is part of what the page takes.

Run: ``python benchmarks/bench_web.py``; it needs the extra ``[web]``, Playwright and Debian's ``chromium``.
"""

import argparse
import io
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

import pixlate
from common import TURNS, Figure, save

SIDE = 256
"""Of the photograph that is translated; its pixels are drawn at random, which takes the model as long as any."""
LINES = 512
"""Side of the canvas."""
PATIENCE_MS = 300_000


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=TURNS, help="servers that are started")
    turns = parser.parse_args().turns
    seen: dict[str, list[float]] = {"drawing": [], "translation": []}
    seconds: dict[str, list[float]] = {name: [] for name in ("drawing page", "drawing model", "translation page", "translation model")}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(turns):
            for what, page, model in (
                ("drawing", draw(browser), of_model("colour-drawing", LINES)),
                ("translation", translate(browser), of_model("photo-x2", SIDE)),
            ):
                seen[what].append(page - model)
                seconds[f"{what} page"].append(page)
                seconds[f"{what} model"].append(model)
        browser.close()
    names = {
        "drawing": "first stroke to its picture in the browser, less the model's time (colour-drawing)",
        "translation": "the button to the picture in the browser, less the model's time (photo-x2)",
    }
    figures = [Figure(names[what], median(each), "s", min(each), max(each), turns, required=1.0, better="less") for what, each in seen.items()]
    save("web", {"seconds": seconds, "side": {"drawing": LINES, "translation": SIDE}}, figures)


def of_model(model: str, side: int) -> float:
    """Return the seconds that a loaded model takes for a picture, the best of three."""
    translator = pixlate.load(model)
    pixels = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)

    def once() -> float:
        started = time.perf_counter()
        translator(pixels)
        return time.perf_counter() - started

    return min(once() for _ in range(3))


def on_page(browser: Any, use: Callable[[Any], float]) -> float:
    """Return what ``use`` measures on the page of a new server."""
    command = [sys.executable, "-m", "pixlate", "web", "--port", "0", "--no-open", "--runtime", "onnxruntime"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[4]
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("[data-session]", state="attached")
        page.wait_for_selector(".px-drop")
        seconds = use(page)
        context.close()
        server.send_signal(signal.SIGINT)
    return seconds


def draw(browser: Any) -> float:
    """Return the seconds from the end of a stroke to its picture."""

    def use(page: Any) -> float:
        page.click("button[role=tab]:has-text('Draw')")
        box = page.locator("canvas.px-paper").bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.down()
        for x, y in ((400, 100), (400, 400), (100, 400), (100, 100)):
            page.mouse.move(box["x"] + x, box["y"] + y, steps=10)
        started = time.perf_counter()
        page.mouse.up()
        page.wait_for_function("(image => image.complete && image.naturalWidth > 0)(document.querySelector('.px-side img'))")
        return time.perf_counter() - started

    return on_page(browser, use)


def translate(browser: Any) -> float:
    """Return the seconds from the button to the picture, both sides of it decoded."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(stream, "PNG")

    def use(page: Any) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture.png"
            path.write_bytes(stream.getvalue())
            page.set_input_files("[data-testid=pictures]", path)
            page.wait_for_selector(".px-pictures li")
        page.locator(".px-cards label:has(input[value='photo-x2'])").first.click()
        started = time.perf_counter()
        page.click("#translate")
        images = "document.querySelectorAll('pixlate-compare img')"
        page.wait_for_function(f"{images}.length === 2 && [...{images}].every(image => image.complete && image.naturalWidth > 0)")
        return time.perf_counter() - started

    return on_page(browser, use)


if __name__ == "__main__":
    main()
