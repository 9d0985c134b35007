"""No request takes longer than the deadline, and none keeps others from being answered in it."""

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from tests.pixlate.conftest import Nearest
from tests.pixlate_serve.conftest import Application, error_of, file, picture
from tests.pixlate_serve.test_queue import Gate, post, until

from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels
from pixlate.plugin.spec import ModelSpec
from pixlate_serve import served_model, service, translation, workers
from pixlate_serve.admission import Admission, Backlog
from pixlate_serve.options import MOST_MEMORY, ServeOptions
from pixlate_serve.refusals import Refusal

Start = Callable[..., Application]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure speeds with small samples."""
    monkeypatch.setattr(served_model, "MEASURED_S", 0.02)


def at(pixels_a_second: float, **options: object) -> Nearest:
    """Return a model that takes a second for so many pixels, in tiles of any side."""
    return Nearest(before=lambda pixels: time.sleep(pixels[..., 0].size / pixels_a_second), **options)  # type: ignore[arg-type]


def test_picture_that_takes_longer_than_the_deadline_is_refused_before_it_is_decoded(start: Start) -> None:
    model = at(50_000)
    application = start({"nearest": model}, deadline=2)
    most = application.send("GET", "/v1/models/nearest").json()["max_pixels"]
    assert 10_000 <= most <= 60_000, "six tenths of two seconds, less what a sleep takes longer than it should"
    refused = application.translate(file(np.zeros((250, 250, 3), np.uint8)))
    assert error_of(refused)[:2] == (413, "too_many_pixels") and not model.shapes
    assert refused.headers["Pixlate-Max-Pixels"] == str(most) and f"at most {most / 1e6:.6g} million pixels, which is what this model does" in refused.text
    side = int(most**0.5)
    assert application.translate(file(np.zeros((side, side, 3), np.uint8))).status_code == 200


def test_speed_follows_what_is_served(start: Start) -> None:
    speed = 500_000
    model = Nearest(before=lambda pixels: time.sleep(pixels[..., 0].size / speed))
    application = start({"nearest": model}, deadline=1)
    before = application.service.models["nearest"].max_pixels
    speed = 100_000
    side = int(application.service.models["nearest"].speed.least ** 0.5)
    assert side <= 160
    while application.service.models["nearest"].max_pixels > before // 2:
        assert application.translate(file(np.zeros((side, side, 3), np.uint8))).status_code == 200


def test_tiles_are_small_where_the_model_is_slow_and_they_change_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_model, "TILE_S", 0.1)
    exact, blended = ModelSpec(scale=2, tiling_exact=True, halo=4), ModelSpec(scale=2, halo=4)
    application = start({"exact": at(100_000, spec=exact), "blended": at(100_000, spec=blended), "fast": Nearest(exact)})
    tiles = {name: model.executor.work(2000, 2000) > 4_000_000 for name, model in application.service.models.items()}
    areas = {name: model.executor.work(400, 400) > 160_000 for name, model in application.service.models.items()}
    assert tiles == dict.fromkeys(tiles, True) and areas == {"exact": True, "blended": False, "fast": False}
    assert not start({"exact": at(100_000, spec=exact)}, tile=1024).service.models["exact"].executor.work(400, 400) > 160_000


def test_small_picture_does_not_wait_for_the_end_of_a_large_one(start: Start) -> None:
    model = at(1_000_000)
    application = start({"nearest": model}, tile=100)

    async def main() -> tuple[float, float]:
        async with application.client() as client:
            started = time.monotonic()
            large = asyncio.create_task(post(client, file(np.zeros((1000, 1000, 3), np.uint8))))
            await until(lambda: len(model.shapes) >= 3)
            asked = time.monotonic()
            assert (await post(client, picture())).status_code == 200
            waited = time.monotonic() - asked
            assert not large.done() and (await large).status_code == 200
            return waited, time.monotonic() - started

    waited, whole = asyncio.run(main())
    assert waited < whole / 2 and model.shapes.index((1, 6, 9, 3)) < 60


def test_picture_that_is_late_is_answered_503_and_cancelled_between_its_tiles(start: Start) -> None:
    gate = Gate()
    model = gate.model()
    application = start({"nearest": model}, tile=32, deadline=1)
    status, code, message = error_of(application.translate(picture(64, 64)))
    assert (status, code) == (503, "late") and "within the 1 s" in message and len(model.shapes) == 1
    assert application.service.admission.taken_bytes > 0 and not application.service.busy
    gate.opened.set()
    asyncio.run(until(lambda: application.service.admission.taken_bytes == 0))
    assert application.translate(picture()).status_code == 200
    assert [shape[1:3] for shape in model.shapes] == [(32, 32), (6, 9)]


def test_slow_decoding_keeps_nobody_waiting(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SLOW_S", 0.02)
    opened, blocked, real = threading.Event(), threading.Semaphore(0), translation.decoded

    def decoded(*arguments: object) -> object:
        if arguments[0].size == (7, 7):  # type: ignore[attr-defined]
            blocked.release()
            assert opened.wait(20)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "decoded", decoded)
    application = start(threads=2)

    async def main() -> None:
        async with application.client() as client:
            slow = [asyncio.create_task(post(client, picture(7, 7, seed))) for seed in range(5)]
            assert (await post(client, picture())).status_code == 200
            await until(lambda: blocked.acquire(blocking=False))
            assert (await post(client, picture())).status_code == 200
            assert not any(task.done() for task in slow)
            opened.set()
            assert [answer.status_code for answer in await asyncio.gather(*slow)] == [200] * 5

    asyncio.run(main())


def test_memory_is_held_while_a_thread_works_for_a_client_that_has_its_answer(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, real = threading.Event(), translation.decoded

    def decoded(*arguments: object) -> object:
        assert opened.wait(20)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "decoded", decoded)
    application = start(deadline=1)
    assert error_of(application.translate(picture()))[:2] == (503, "late")
    admission = application.service.admission
    assert admission.taken_bytes > 0 and admission.taken_places == 1
    opened.set()
    asyncio.run(until(lambda: admission.taken_bytes == admission.taken_places == 0))


def test_backlog_refuses_what_would_be_late_behind_the_accepted_pictures() -> None:
    admission, backlog = Admission(10, 1000), Backlog(54)
    with backlog.holding(30, admission), backlog.holding(20, admission):
        with pytest.raises(Refusal) as refusal, backlog.holding(14, admission):
            pass
        assert refusal.value.status == 429 and refusal.value.headers["Retry-After"] == "8"
        with backlog.holding(0.5, admission):
            assert backlog.wait(0.1) == pytest.approx(0.6)
    with backlog.holding(60, admission):
        assert backlog.wait(100) == 60
    assert backlog.wait(100) == 0


def test_model_that_fails_its_first_picture_is_not_ready_until_it_translates_one(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    broken = True

    def fail(pixels: Pixels) -> None:
        if broken:
            raise PixlateError("no kernel image is available")

    application = start({"good": Nearest(), "bad": Nearest(before=fail)})
    assert "bad: the model does not translate its first picture, so it is not ready: no kernel image is available" in caplog.text
    assert error_of(application.send("GET", "/readyz"))[:2] == (503, "not_ready")
    assert {model["name"]: model["ready"] for model in application.send("GET", "/v1/models").json()["models"]} == {"good": True, "bad": False}
    assert error_of(application.translate(picture(), "bad"))[:2] == (503, "model_broken")
    assert application.translate(picture(), "good").status_code == 200
    broken = False
    assert application.translate(picture(), "bad").status_code == 200 and application.send("GET", "/readyz").status_code == 200


def test_memory_fits_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for granted, most in ((0, MOST_MEMORY), (1_000_000_000, 500_000_000), (64_000_000_000, MOST_MEMORY)):
        monkeypatch.setattr("pixlate_serve.options.granted_memory", lambda granted=granted: granted)
        assert ServeOptions().most_bytes == most and ServeOptions(memory=3_000_000_000).most_bytes == 3_000_000_000
