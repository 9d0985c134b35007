"""Concurrent requests: batches, a bounded queue, and clients that go away."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from tests.pixlate.conftest import Nearest, nearest, noise
from tests.pixlate_serve.conftest import PNG, Application, error_of, file, picture, pixels_of

from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels
from pixlate_serve.admission import Admission, Claim
from pixlate_serve.refusals import Refusal

Start = Callable[..., Application]


@dataclass
class Gate:
    """Holds a model in the middle of a picture until it is opened."""

    entered: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def model(self) -> Nearest:
        """Return a model that blocks at the gate; the pictures of the warm-up pass."""
        return Nearest(before=self._wait)

    def _wait(self, pixels: Pixels) -> None:
        if (pixels != 127).any():
            self.entered.set()
            assert self.opened.wait(20)


async def post(client: httpx.AsyncClient, data: bytes, model: str = "nearest") -> httpx.Response:
    return await client.post(f"/v1/models/{model}:translate", content=data, headers=PNG)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def test_pictures_of_one_size_that_come_together_run_together_and_each_gets_its_own_answer(start: Start) -> None:
    model = Nearest()
    application = start({"nearest": model}, batch=4, batch_wait_ms=5000)

    async def main() -> None:
        pixels = [noise(6, 9, seed=seed) for seed in range(8)]
        async with application.client() as client:
            answers = await asyncio.gather(*(post(client, file(one)) for one in pixels))
        for one, answer in zip(pixels, answers, strict=True):
            assert np.array_equal(pixels_of(answer.content), nearest(one[None], 2)[0])

    asyncio.run(main())
    assert [shape[0] for shape in model.shapes if shape[1:3] == (6, 9)] == [4, 4]


def test_picture_alone_waits_no_longer_than_it_may(start: Start) -> None:
    application = start(batch=4, batch_wait_ms=100)
    started = time.monotonic()
    assert application.translate(picture()).status_code == 200
    assert 0.1 <= time.monotonic() - started < 30
    started = time.monotonic()
    assert start(batch=1, batch_wait_ms=60_000).translate(picture()).status_code == 200
    assert time.monotonic() - started < 30


def test_sizes_and_models_are_not_mixed(start: Start) -> None:
    one, two = Nearest(), Nearest()
    application = start({"one": one, "two": two}, batch=8, batch_wait_ms=1000)

    async def main() -> None:
        async with application.client() as client:
            sent = [(name, noise(height, 9, seed=seed)) for seed, (name, height) in enumerate([("one", 5), ("two", 5), ("one", 6), ("one", 5)])]
            answers = await asyncio.gather(*(post(client, file(pixels), name) for name, pixels in sent))
            assert all(np.array_equal(pixels_of(answer.content), nearest(pixels[None], 2)[0]) for (_, pixels), answer in zip(sent, answers, strict=True))

    asyncio.run(main())
    assert sorted(shape[:2] for shape in one.shapes) == [(1, 6), (2, 5)]
    assert [shape[:2] for shape in two.shapes] == [(1, 5)]


def test_pictures_of_many_sizes_run_together_where_sides_are_raised_to_a_bucket(start: Start) -> None:
    model = Nearest()
    application = start({"nearest": model}, batch=3, bucket=16, batch_wait_ms=5000)

    async def main() -> None:
        sent = [noise(height, width, seed=height) for height, width in ((20, 17), (32, 30), (25, 32))]
        async with application.client() as client:
            answers = await asyncio.gather(*(post(client, file(pixels)) for pixels in sent))
        for pixels, answer in zip(sent, answers, strict=True):
            assert np.array_equal(pixels_of(answer.content), nearest(pixels[None], 2)[0])

    asyncio.run(main())
    assert [shape[:3] for shape in model.shapes] == [(3, 32, 32)]


def test_one_picture_that_fails_does_not_fail_those_it_ran_with(start: Start) -> None:
    def fail(pixels: Pixels) -> None:
        if (pixels == 255).all(axis=(1, 2, 3)).any():
            raise PixlateError("white")

    application = start({"nearest": Nearest(before=fail)}, batch=3, batch_wait_ms=5000)

    async def main() -> list[int]:
        white = np.full((6, 9, 3), 255, np.uint8)
        async with application.client() as client:
            return [answer.status_code for answer in await asyncio.gather(*(post(client, data) for data in (picture(seed=1), file(white), picture(seed=2))))]

    assert asyncio.run(main()) == [200, 422, 200]


def test_models_of_one_device_never_run_at_once(start: Start) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def count(pixels: Pixels) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    application = start({name: Nearest(before=count) for name in ("one", "two", "three")})

    async def main() -> None:
        async with application.client() as client:
            answers = await asyncio.gather(*(post(client, picture(seed=seed), name) for seed in range(4) for name in ("one", "two", "three")))
            assert {answer.status_code for answer in answers} == {200}

    asyncio.run(main())
    assert most == 1


def test_full_queue_answers_retry_after_and_accepts_pictures_again_when_there_is_room(start: Start) -> None:
    gate = Gate()
    application = start({"nearest": gate.model()}, queue=3)

    async def main() -> None:
        async with application.client() as client:
            accepted = [asyncio.create_task(post(client, picture(seed=seed))) for seed in range(3)]
            await until(lambda: application.service.admission.taken_places == 3)
            refused = await post(client, picture(seed=9))
            assert error_of(refused)[:2] == (429, "busy") and 1 <= int(refused.headers["retry-after"]) <= 60
            gate.opened.set()
            assert [answer.status_code for answer in await asyncio.gather(*accepted)] == [200] * 3
            assert (await post(client, picture(seed=9))).status_code == 200

    asyncio.run(main())
    assert application.service.admission.taken_places == application.service.admission.taken_bytes == 0


def test_bytes_are_bounded_as_well_as_pictures(start: Start) -> None:
    gate = Gate()
    application = start({"nearest": gate.model()}, memory=1_000_000)

    async def main() -> None:
        async with application.client() as client:
            large = asyncio.create_task(post(client, file(np.zeros((100, 120, 3), np.uint8))))  # 12,000 pixels, 68 bytes each
            await until(gate.entered.is_set)
            assert error_of(await post(client, picture(90, 90)))[:2] == (429, "busy")
            small = asyncio.create_task(post(client, picture(9, 9)))
            await until(lambda: application.service.admission.taken_places == 2)
            gate.opened.set()
            assert (await large).status_code == (await small).status_code == 200
            assert (await post(client, picture(90, 90))).status_code == 200

    asyncio.run(main())


def test_upload_larger_than_all_memory_is_413_without_retry_after() -> None:
    claim = Claim(Admission(1, 1000))
    claim.hold(1000)
    with pytest.raises(Refusal) as refusal:
        claim.hold(1001)
    assert refusal.value.status == 413


def test_retry_after_grows_with_the_queue() -> None:
    admission = Admission(10, 1000)
    for _ in range(50):
        admission.finished(2.0)
    admission.taken_places = 10
    with pytest.raises(Refusal) as refusal:
        admission.require_place()
    assert refusal.value.headers["Retry-After"] == "20"


def test_picture_of_a_disconnected_client_is_dropped_from_the_queue(start: Start) -> None:
    gate = Gate()
    model = gate.model()
    application = start({"nearest": model})
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/v1/models/nearest:translate",
        "raw_path": b"/v1/models/nearest:translate", "query_string": b"", "root_path": "", "headers": [(b"content-type", b"image/png"), (b"content-length", b"9")],
        "server": ("server", 80), "client": ("client", 1),
    }  # fmt: skip

    async def main() -> None:
        async with application.client() as client:
            running = asyncio.create_task(post(client, picture(5, 5)))
            await until(gate.entered.is_set)
            messages: asyncio.Queue[dict[str, object]] = asyncio.Queue()
            sent: list[object] = []

            async def send(message: object) -> None:
                sent.append(message)

            app = client._transport.app  # type: ignore[attr-defined]
            waiting = asyncio.create_task(app(dict(scope), messages.get, send))
            await messages.put({"type": "http.request", "body": picture(7, 7), "more_body": False})
            await until(lambda: bool(application.service._batchers["cpu"]._waiting))
            await messages.put({"type": "http.disconnect"})
            await waiting
            assert application.service.admission.taken_places == 1 and not application.service._batchers["cpu"]._waiting
            gate.opened.set()
            assert (await running).status_code == 200

    asyncio.run(main())
    assert [shape[1:3] for shape in model.shapes] == [(5, 5)]
    assert 'pixlate_requests_total{model="nearest",status="499"} 1.0' in application.service.metrics.page()[0].decode()


def test_stopping_server_rejects_new_requests_and_finishes_accepted_ones(start: Start) -> None:
    gate = Gate()
    application = start({"nearest": gate.model()})

    async def main() -> None:
        async with application.client() as client:
            accepted = asyncio.create_task(post(client, picture()))
            await until(gate.entered.is_set)
            application.service.stopping = True
            refused = await post(client, picture())
            assert error_of(refused)[:2] == (503, "stopping") and "retry-after" in refused.headers
            assert error_of(await client.get("/readyz"))[0] == 503 and (await client.get("/healthz")).status_code == 200
            gate.opened.set()
            assert (await accepted).status_code == 200
            assert not application.service.busy

    asyncio.run(main())


def test_requests_that_are_cut_off_are_answered_503(start: Start) -> None:
    gate = Gate()
    application = start({"nearest": gate.model()})

    async def main() -> None:
        async with application.client() as client:
            accepted = asyncio.create_task(post(client, picture()))
            await until(gate.entered.is_set)
            application.service.cut_off()
            assert error_of(await accepted)[:2] == (503, "stopping")
            assert not application.service.busy and application.service.admission.taken_bytes > 0, "the model still holds the picture"
            gate.opened.set()
            await until(lambda: application.service.admission.taken_bytes == application.service.admission.taken_places == 0)

    asyncio.run(main())


def test_server_is_not_ready_before_its_models_are_warm(start: Start) -> None:
    application = start()
    application.service.models["nearest"].warm.clear()
    assert error_of(application.send("GET", "/readyz"))[:2] == (503, "not_ready")
    assert application.send("GET", "/v1/models/nearest").json()["ready"] is False
    application.service.models["nearest"].warm.set()
    assert application.send("GET", "/readyz").json() == {"status": "ready"}
