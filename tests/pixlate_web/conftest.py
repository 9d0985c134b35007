"""One server and one browser for the tests of the page."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.pixlate.conftest import NEAREST, noise, write_onnx

from pixlate_web.temporary import LOCK

PATIENCE_MS = 60_000
"""Milliseconds that only catch hangs: the machine may be busy."""
MOST_BYTES, MOST_PIXELS, MOST_FILES, TIMEOUT_S = 400_000, 120_000, 20, 3


@dataclass
class Site:
    """A page that is offered by a process of its own."""

    address: str
    process: "subprocess.Popen[str]"
    temporary: Path
    """Where the process keeps what is dropped on the page."""
    folder: Path
    """The folder it may convert."""
    model: Path
    """A model file that it offers besides the ready ones."""

    def kept(self) -> list[Path]:
        """Return the files that it keeps of all pages."""
        found = [(Path(folder), names) for folder, _, names in os.walk(self.temporary)]  # which goes on where a folder vanishes meanwhile
        return [folder / name for folder, names in found for name in names if "gradio" not in folder.parts and name != LOCK]

    def wait_until_nothing_is_kept(self) -> None:
        """Return when no file of any page is left."""
        wait_until(lambda: not self.kept())


def wait_until(true: Callable[[], object], seconds: float = PATIENCE_MS / 1000) -> None:
    """Return when a condition holds; fail if it never does."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)  # what a server keeps on its disk announces no change


def pictures(folder: Path, count: int = 2, height: int = 40, width: int = 60) -> list[Path]:
    """Write pictures with and without metadata, of two formats."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"picture{number}.{'jpg' if number % 2 else 'png'}"
        image = Image.fromarray(noise(height, width, seed=number))
        exif = image.getexif()
        exif[0x010E] = f"number {number}"
        image.save(path, exif=exif, dpi=(300, 300))
        paths.append(path)
    return paths


def started(folder: Path, *words: str, **environment: str) -> Site:
    """Start ``pixlate web`` on a free port, and return when it listens."""
    (folder / "tmp").mkdir(parents=True)
    (folder / "photos").mkdir()
    model = write_onnx(folder / "nearest.onnx", NEAREST)
    command = [sys.executable, "-m", "pixlate", "web", "photos", "--no-open", "--port", "0", "--model", str(model), *words]
    variables = {**os.environ, "TMPDIR": str(folder / "tmp"), **environment}
    process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("the page is at http://127.0.0.1:"), line
    return Site(line.split()[4].rstrip("/"), process, folder / "tmp", folder / "photos", model)


def ended(site: Site) -> int:
    """End a server as Ctrl-C does, and return its exit code."""
    site.process.send_signal(signal.SIGINT)
    code = site.process.wait(PATIENCE_MS / 1000)
    assert site.process.stdout is not None
    site.process.stdout.close()
    return code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server."""
    limits = ("--max-bytes", str(MOST_BYTES), "--max-pixels", str(MOST_PIXELS), "--timeout-s", str(TIMEOUT_S), "--max-files", str(MOST_FILES))
    site = started(tmp_path_factory.mktemp("site"), *limits)
    yield site
    assert ended(site) == 0
    assert list(site.temporary.glob("pixlate-web-*")) == [], "what was dropped is gone"


@dataclass
class Browser:
    """Chromium; what its pages ask for and complain about is remembered."""

    chromium: Any
    requests: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def open(self, site: Site, **options: Any) -> Any:
        """Return a page that is ready, in a browser profile of its own."""
        context = self.chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self.requests.add(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.visit(page, site)
        return page

    def visit(self, page: Any, site: Site) -> None:
        """Load the page, and return when it can be used."""
        page.goto(site.address)
        page.wait_for_selector("[data-session]", state="attached")
        page.wait_for_selector(".px-drop")


@pytest.fixture(scope="module")
def chromium(chromium: Any) -> Browser:
    """One browser for a module, which opens the page of a site."""
    return Browser(chromium)


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, whose pages are closed after a test, and have loaded nothing from elsewhere and raised no error."""
    yield chromium
    for context in chromium.contexts:
        context.close()
    strangers = {url for url in chromium.requests if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))}
    complaints = list(chromium.complaints)
    chromium.contexts.clear()
    chromium.requests.clear()
    chromium.complaints.clear()
    assert (strangers, complaints) == (set(), [])
