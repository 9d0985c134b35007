"""Servers in this process and in one of their own, and what their clients send."""

import asyncio
import fcntl
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import NEAREST, Nearest, noise, write_onnx

from pixlate.images import read_picture
from pixlate.images.picture import Pixels
from pixlate.plugin.translator import Translator
from pixlate_serve.app import build_app
from pixlate_serve.options import ServeOptions
from pixlate_serve.service import Service

PNG = {"Content-Type": "image/png"}


def picture(height: int = 6, width: int = 9, seed: int = 0, format: str = "PNG", **options: Any) -> bytes:
    """Return the file of random pixels."""
    return file(noise(height, width, seed=seed), format, **options)


def file(pixels: Pixels, format: str = "PNG", **options: Any) -> bytes:
    """Return the file Pillow writes of uint8 pixels, (height, width, channels)."""
    stream = BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, format, **options)
    return stream.getvalue()


def pixels_of(data: bytes) -> Pixels:
    """Return the pixels of a file."""
    return read_picture(data, max_pixels=10**8).pixels


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and sentence of an error response, after checking its form."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"} and body["error"].keys() == {"code", "message"}
    message = body["error"]["message"]
    assert message and "\n" not in message and "Traceback" not in message and str(Path.home()) not in message and "/tmp" not in message
    return response.status_code, body["error"]["code"], message


@dataclass
class Application:
    """The application in this process; each call runs in an event loop of its own."""

    service: Service

    def client(self) -> httpx.AsyncClient:
        """Return a client of the application."""
        transport = httpx.ASGITransport(build_app(self.service), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)

    def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send one request."""

        async def sent() -> httpx.Response:
            async with self.client() as client:
                return await client.request(method, url, **options)

        return asyncio.run(sent())

    def translate(self, data: bytes, model: str = "nearest", headers: Mapping[str, str] = PNG, query: str = "") -> httpx.Response:
        """Post one image."""
        return self.send("POST", f"/v1/models/{model}:translate{query}", content=data, headers=headers)


@pytest.fixture
def start() -> Iterator[Callable[..., Application]]:
    """Start applications; keywords are fields of ServeOptions."""
    services: list[Service] = []

    def started(models: Mapping[str, Translator] | None = None, token: str = "", **options: Any) -> Application:
        service_models = models or {"nearest": Nearest()}
        service = Service(service_models, ServeOptions(**options), token)
        service.start()
        services.append(service)
        assert all(model.warm.wait(30) for model in service.models.values())
        for translator in service_models.values():
            getattr(translator, "shapes", []).clear()  # those of the warm-up
        return Application(service)

    yield started
    for service in services:
        assert service.close(timeout_s=30)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that repeats every pixel 2 x 2."""
    return write_onnx(tmp_path_factory.mktemp("serve") / "nearest.onnx", NEAREST)


@dataclass
class Server:
    """``pixlate serve`` in a process of its own."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path
    address: tuple[str, int] = field(init=False)

    def __post_init__(self) -> None:
        found = re.fullmatch(r"http://([\d.]+):(\d+)", self.url)
        assert found is not None
        self.address = found[1], int(found[2])

    def translate(self, data: bytes, model: str = "nearest", **options: Any) -> httpx.Response:
        """Post one image."""
        url = f"{self.url}/v1/models/{model}:translate"
        return httpx.post(url, content=data, headers=PNG, timeout=60, verify=False, **options)  # reading certificates would take most of the time

    def metric(self, name: str) -> float:
        """Return a number of /metrics, named with its labels."""
        page = httpx.get(f"{self.url}/metrics", timeout=30).text
        return next((float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{name} ")), 0.0)

    def wait_for(self, name: str, value: float, timeout_s: float = 60) -> None:
        """Wait until a number of /metrics is reached."""
        until = time.monotonic() + timeout_s
        while (found := self.metric(name)) != value:
            assert time.monotonic() < until, (name, found, value)
            time.sleep(0.02)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the server to stop, and wait until it has noticed."""
        self.process.send_signal(number)
        until = time.monotonic() + 60
        while httpx.get(f"{self.url}/readyz", timeout=30).status_code != 503:
            assert time.monotonic() < until
            time.sleep(0.02)

    def stop(self, timeout_s: float = 60) -> int:
        """Ask the server to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers; words and keywords are those of the command line."""
    processes: list[subprocess.Popen[str]] = []

    def launched(*models: object, code: str = "from pixlate.cli import main; sys.exit(main())", **options: object) -> Server:
        words = [str(model) for model in models]
        for name, value in {"port": 0, "device": "cpu", **options}.items():
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        log = tmp_path_factory.mktemp("server") / "log"
        script = f"import sys; sys.argv = ['pixlate', 'serve', *sys.argv[1:]]; {code}"
        with log.open("w") as stream:
            process = subprocess.Popen([sys.executable, "-W", "error", "-c", script, *words], stdout=subprocess.PIPE, stderr=stream, text=True)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"on (http://\S+) ", line)
        assert found is not None, (line, log.read_text())
        return Server(process, found[1], log)

    yield launched
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="module")
def server(launch: Callable[..., Server], model_file: Path) -> Iterator[Server]:
    """One server with the small model, for the tests of a file; it shuts down cleanly and logs no error."""
    started = launch(model_file, max_bytes=300_000, max_pixels=40_000)
    yield started
    assert started.stop() == 0
    assert "Traceback" not in started.log.read_text()


HELD = """
import fcntl
import sys
from pixlate_serve import server
from pixlate.cli import main

load = server.load_for_pictures


class Held:
    def __init__(self, translator):
        self._translator = translator

    def __getattr__(self, name):
        return getattr(self._translator, name)

    def __call__(self, pixels, **conditions):
        if (pixels != 127).any():  # the pictures of the warm-up pass
            with open({path!r}) as gate:
                fcntl.flock(gate, fcntl.LOCK_SH)
        return self._translator(pixels, **conditions)


server.load_for_pictures = lambda *arguments: Held(load(*arguments))
sys.exit(main())
"""
"""Program of a server whose model blocks in the middle of a picture."""


@contextmanager
def held(launch: Callable[..., Server], model: Path, folder: Path, **options: object) -> Iterator[tuple[Server, Callable[[], None]]]:
    """Launch a server whose model blocks until the returned function is called."""
    path = folder / "gate"
    with path.open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield launch(model, code=HELD.format(path=str(path)), **options), lambda: fcntl.flock(gate, fcntl.LOCK_UN)


def distinct(client: int, number: int, height: int = 12, width: int = 20) -> Pixels:
    """Return pixels that no other client and number has."""
    return np.ascontiguousarray(noise(height, width, seed=client * 1000 + number))
