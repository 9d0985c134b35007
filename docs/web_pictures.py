"""Takes the pictures of docs/web.md: starts the page, uses it in Chromium with pictures drawn here, and saves what is on the screen.

Run: ``python docs/web_pictures.py``, or with ``web-runs`` for that picture alone; it needs the extras ``[web]`` and ``[train]``, Playwright and Debian's ``chromium``.
"""

import math
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent
PATIENCE_MS = 120_000
COLOURS = 128
"""Of a saved picture, so that it stays small."""


def scene(side: int, hue: int) -> Image.Image:
    """Return a landscape drawn large and reduced, with the noise and blocks of a small JPEG file as a phone sends it."""
    width, height = 4 * side, 3 * side
    image = Image.new("RGB", (4 * width, 4 * height), (150 + hue, 195, 235))
    draw = ImageDraw.Draw(image)
    for row in range(4 * height):
        draw.line((0, row, 4 * width, row), fill=(120 + hue + row // (4 * height // 90), 170 + row // (4 * height // 60), 235))
    draw.ellipse((11 * width // 4, height // 2, 13 * width // 4, height), fill=(255, 240, 180))
    for layer, colour in enumerate(((110, 130, 160), (80, 115, 95), (55, 90, 60))):
        base = (1.9 + 0.5 * layer) * height
        ridge = [
            (x, base - 0.35 * height * math.sin(x / width * (1.6 + layer) + layer) - 0.12 * height * math.sin(x / width * 9 + 2 * layer))
            for x in range(0, 4 * width + 40, 20)
        ]
        draw.polygon([*ridge, (4 * width + 40, 4 * height), (0, 4 * height)], fill=colour)
    for tree in range(9):
        x, y, size = (0.2 + 0.42 * tree) * width, (3.3 + 0.3 * math.sin(5 * tree)) * height, (0.3 + 0.06 * (tree % 3)) * height
        for step in range(3):
            top = y - size * (1.3 - 0.3 * step)
            draw.polygon(
                [(x, top), (x - size * (0.2 + 0.1 * step), top + 0.6 * size), (x + size * (0.2 + 0.1 * step), top + 0.6 * size)],
                fill=(30 + 8 * step, 70 + 10 * step, 45),
            )
        draw.rectangle((x - 0.04 * size, y - 0.1 * size, x + 0.04 * size, y + 0.1 * size), fill=(80, 60, 45))
    return image.filter(ImageFilter.GaussianBlur(3)).resize((width, height), Image.Resampling.LANCZOS)


def draw(page: Any, box: dict[str, float]) -> None:
    """Draw a face."""

    def stroke(points: list[tuple[float, float]]) -> None:
        scale = box["width"] / 512
        page.mouse.move(box["x"] + points[0][0] * scale, box["y"] + points[0][1] * scale)
        page.mouse.down()
        for x, y in points[1:]:
            page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
        page.mouse.up()

    def arc(x: float, y: float, radius: float, start: float, end: float) -> list[tuple[float, float]]:
        angles = [math.radians(start + (end - start) * step / 40) for step in range(41)]
        return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]

    for points in (arc(256, 256, 190, 0, 365), arc(190, 210, 22, 0, 370), arc(322, 210, 22, 0, 370), arc(256, 270, 100, 20, 160)):
        stroke(points)
    page.wait_for_selector(".px-side img:visible")
    page.wait_for_function("!document.querySelector('pixlate-draw').sending")


def shoot(page: Any, name: str, top: str = "body") -> None:
    """Save what is on the screen, from the top of a part of the page."""
    path = DOCS / f"{name}.png"
    page.wait_for_function("[...document.querySelectorAll('img')].every((image) => image.complete)")
    page.evaluate("(top) => document.querySelector(top).scrollIntoView({ block: 'start' })", top)
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB")


def train(folder: Path) -> None:
    """Train two small networks to colour grey landscapes, for a minute."""
    (folder / "hills").mkdir(parents=True)
    for number in range(12):
        scene(40, 5 * number).save(folder / "hills" / f"{number}.png")
    shared = "--grey --channels-in 1 --depth 4 --discriminator-channels 8 --patch 32 --resize 64 --hold-out 3 --steps 120 --validate-every 20 --log-every 5 --device cpu"
    for name, channels in (("narrow", 4), ("wide", 16)):
        words = ["pix2pix", str(folder / "hills"), "--out", str(folder / "runs" / name), "--channels", str(channels), *shared.split()]
        subprocess.run([sys.executable, "-m", "pixlate", "train", *words], check=True)  # noqa: S603 - our own program


def main() -> None:
    """Take all pictures, or that of the tab Runs alone (``web-runs``), or all others (``others``)."""
    names = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place, chdir(place):  # so that the page shows short names
        folder = Path("holiday")
        folder.mkdir()
        for number, hue in enumerate((0, 30, 60)):
            scene(90, hue).save(folder / f"hills-{number + 1}.jpg", quality=70)
        Path("training").mkdir()
        if names != ["others"]:
            train(Path("training"))
        command = [sys.executable, "-m", "pixlate", "web", str(folder), "training", "--port", "0", "--no-open"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own program
            assert server.stdout is not None
            address = server.stdout.readline().split()[4]
            try:
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                    if "web-runs" in names or not names:
                        take_runs(browser, address)
                    if names != ["web-runs"]:
                        take(browser, address, folder)
                    browser.close()
            finally:
                server.send_signal(signal.SIGINT)


def take_runs(browser: Any, address: str) -> None:
    """Compare both runs at a step before the last."""
    page = browser.new_page(viewport={"width": 1180, "height": 1390})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.click("button[role=tab]:has-text('Runs')")
    page.wait_for_selector("#runs-summary section")
    for name in ("narrow", "wide"):
        page.get_by_role("checkbox", name=f"runs/{name}").check()
        page.wait_for_selector(f"#runs-summary h3:text('runs/{name}')")
    page.locator("#runs-step input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("[...document.querySelectorAll('#runs-sheets figcaption')].every((each) => each.textContent.endsWith('step 100'))")
    page.wait_for_selector("#runs-plot [aria-label*='with 2 values']")
    shoot(page, "web-runs")


def take(browser: Any, address: str, folder: Path) -> None:
    """Use each tab, and the first on a phone."""

    def opened(**options: Any) -> Any:
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("[data-session]", state="attached")
        page.wait_for_selector(".px-drop")
        return page

    def translate(page: Any, count: int) -> None:
        page.set_input_files("[data-testid=pictures]", sorted(folder.glob("*.jpg"))[:count])
        page.wait_for_selector(f".px-pictures li >> nth={count - 1}")
        page.click("#translate")
        page.wait_for_selector(f"#translate-status :text('{count} converted')")
        page.wait_for_selector("#translate-results pixlate-compare")

    page = opened(viewport={"width": 1180, "height": 1020})
    translate(page, 2)
    shoot(page, "web-translate")
    page.click("button[role=tab]:has-text('Draw')")
    draw(page, page.locator("canvas.px-paper").bounding_box())
    shoot(page, "web-draw")
    page.click("button[role=tab]:has-text('Folder')")
    page.click("#convert")
    page.wait_for_selector("#folder-results pixlate-compare")
    page.wait_for_selector("#folder-status :text('3 converted')")
    shoot(page, "web-folder")
    phone = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    translate(phone, 1)
    shoot(phone, "web-phone", "#translate-status")


if __name__ == "__main__":
    main()
