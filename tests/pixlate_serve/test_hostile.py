"""Uploads that are made to cost much: each comes to a picture or a sentence, and other clients are answered meanwhile."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import Nearest, nearest
from tests.pixlate.images import hostile
from tests.pixlate_serve.conftest import PNG, Application, Server, distinct, error_of, file, pixels_of

URL = "/v1/models/nearest:translate"
KINDS = (
    "raw_profile.png", "xmp_elements.png", "profile_bomb.png", "exif_aliases.png", "empty_chunks.png", "empty_scans.jpg", "empty_segments.jpg", "restarts.jpg",
    "frames.gif", "grown.gif", "canvas.webp", "exif_aliases.webp", "lines.bmp",
)  # fmt: skip


def flat_gif() -> bytes:
    """Return a GIF of 19 KB that holds 24.5 million pixels."""
    stream = BytesIO()
    Image.new("P", (5000, 4900)).save(stream, "GIF")
    return stream.getvalue()


def test_small_file_of_many_pixels_is_refused_at_the_door_and_costs_nobody_time(start: Callable[..., Application], monkeypatch: pytest.MonkeyPatch) -> None:
    model = Nearest(before=lambda pixels: time.sleep(pixels[..., 0].size / 200_000))
    application, data = start({"nearest": model}, deadline=20), flat_gif()
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("the picture was decoded"))
    began = time.process_time()
    refused = application.translate(data)
    assert error_of(refused)[:2] == (413, "too_many_pixels") and int(refused.headers["Pixlate-Max-Pixels"]) < 5_000_000
    assert not model.shapes and time.process_time() - began < 5


@pytest.fixture
def other(launch: Callable[..., Server], model_file: Path) -> Iterator[Server]:
    """A server with limits as they are, whose clients send anything."""
    server = launch(model_file, grace_s=20)
    yield server
    server.process.kill()


def test_other_clients_are_answered_while_costly_files_are_uploaded_and_sigterm_ends_the_server(other: Server) -> None:
    costly = hostile.costly()
    uploads = [*(costly[name] for name in KINDS), flat_gif()]
    refused, done = Counter[int](), threading.Event()

    def upload(begin: int) -> None:
        """Send all files, then go on until the server has ended."""
        with httpx.Client(base_url=other.url, timeout=60, verify=False) as client:
            for number in range(begin, 10_000):
                with suppress(httpx.TransportError):  # that it has ended
                    answer = client.post(URL, content=uploads[number % len(uploads)], headers=PNG)
                    assert answer.status_code == 200 or 400 <= error_of(answer)[0] < 500 or done.is_set()
                    refused[answer.status_code] += 1
                if done.is_set() and other.process.poll() is not None:
                    return

    with ThreadPoolExecutor(2) as threads:
        clients = [threads.submit(upload, begin) for begin in (0, len(uploads) // 2)]
        try:
            longest, number = 0.0, 0
            while refused.total() < len(uploads):
                pixels = distinct(1, number)
                began = time.monotonic()
                answer = other.translate(file(pixels))
                longest = max(longest, time.monotonic() - began)
                assert answer.status_code == 200 and np.array_equal(pixels_of(answer.content), nearest(pixels[None], 2)[0])
                assert not any(client.done() and client.exception() for client in clients)
                number += 1
        finally:
            done.set()
            other.process.terminate()
        assert other.process.wait(30) in (0, 1) and longest < 10
        for client in clients:
            client.result()
    assert number >= 5 and {413, 422} & set(refused) and "Traceback" not in other.log.read_text()
