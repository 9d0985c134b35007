"""What is too large, of another kind, damaged or unknown is refused with the status that says so, and one sentence."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.pixlate.conftest import Nearest
from tests.pixlate.images import hostile
from tests.pixlate_serve.conftest import PNG, Application, error_of, picture

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images import limits
from pixlate.images.picture import Pixels
from pixlate.plugin.spec import ModelSpec

Start = Callable[..., Application]


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that says it is of a size, and holds no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IDAT" + b"\0\0\0\0IEND\xaeB`\x82"


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Yield an upload whose length is not declared."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("chunked", [False, True])
def test_upload_of_too_many_bytes_is_refused_and_of_just_as_many_taken(start: Start, chunked: bool) -> None:
    data = picture(30, 30)
    for limit, status in ((len(data) - 1, 413), (len(data), 200)):
        answer = start(max_bytes=limit).translate(pieces(data) if chunked else data)  # type: ignore[arg-type]
        assert answer.status_code == status
    assert "at most" in error_of(start(max_bytes=10).translate(data))[2]


def test_upload_without_an_end_is_refused(start: Start) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield bytes(1000)

    assert start(max_bytes=5000, timeout_s=2).translate(endless()).status_code == 413  # type: ignore[arg-type]


def test_picture_of_too_many_pixels_is_refused_before_it_is_decoded(start: Start) -> None:
    status, code, message = error_of(start().translate(png_header(60_000, 60_000)))
    assert (status, code) == (413, "too_many_pixels")
    assert message == "expected at most 25 million pixels, got 60000 x 60000 = 3600 million; send a smaller picture"
    assert start(max_pixels=54).translate(picture()).status_code == 200
    assert start(max_pixels=53).translate(picture()).status_code == 413


def test_model_that_enlarges_much_takes_smaller_pictures_where_the_memory_asks_for_it(start: Start) -> None:
    large = Nearest(ModelSpec(scale=4, tiling_exact=True, halo=0))
    application = start({"nearest": Nearest(), "large": large}, memory=1_000_000)
    limits = {model["name"]: model["max_pixels"] for model in application.send("GET", "/v1/models").json()["models"]}
    assert limits == {"nearest": 900_000 // 68, "large": 900_000 // 224}
    data = picture(100, 100)
    assert application.translate(data).status_code == 200
    assert error_of(application.translate(data, "large"))[:2] == (413, "too_many_pixels")


def test_picture_of_many_channels_counts_all_of_them_before_it_is_decoded(start: Start) -> None:
    stream = BytesIO()
    tifffile.imwrite(
        stream, np.zeros((50, 50, 400), np.uint8), photometric="rgb", planarconfig="contig", compression="deflate", extrasamples=["unspecified"] * 397
    )
    assert error_of(start(memory=1_000_000).translate(stream.getvalue()))[:2] == (413, "too_large_for_memory")


@pytest.mark.parametrize("declared", ["text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/mixed; boundary=x", "video/mp4"])
def test_declared_type_that_is_no_image_is_refused(start: Start, declared: str) -> None:
    status, code, message = error_of(start().translate(picture(), headers={"Content-Type": declared}))
    assert (status, code) == (415, "unsupported_media_type") and declared.partition(";")[0] in message


@pytest.mark.parametrize("declared", ["image/png", "image/jpeg", "image/x-unheard-of", "application/octet-stream", "IMAGE/PNG; charset=binary", None])
def test_content_decides_the_format_whatever_content_type_is_declared(start: Start, declared: str | None) -> None:
    answer = start().translate(picture(), headers={"Content-Type": declared} if declared else {})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")


@pytest.mark.parametrize("content", [b"hello, world" * 9, b"<svg/>", b"%PDF-1.7", bytes(100), b"x"])
def test_content_that_is_no_image_is_refused(start: Start, content: bytes) -> None:
    assert error_of(start().translate(content))[:2] == (415, "no_image")


@pytest.mark.parametrize(("content", "name"), [(b"\0\0\0\x18ftypheic" + bytes(60), "HEIC"), (b"8BPS" + bytes(60), "Photoshop"), (b"<html>", "HTML page")])
def test_content_that_is_not_read_is_refused_by_name(start: Start, content: bytes, name: str) -> None:
    status, _, message = error_of(start().translate(content))
    assert status == 415 and name in message


def test_a_good_picture_over_a_limit_or_of_an_unsupported_kind_is_not_called_damaged(start: Start) -> None:
    application = start()
    assert error_of(application.translate(hostile.png(hostile.chunk(b"abCd", b"") * (limits.SEGMENTS + 9))))[:2] == (413, "over_limit")
    stream = BytesIO()
    tifffile.imwrite(stream, np.zeros((8, 8), np.int32))
    assert error_of(application.translate(stream.getvalue()))[:2] == (415, "unsupported")


def test_compressed_upload_is_refused(start: Start) -> None:
    assert error_of(start().translate(picture(), headers=PNG | {"Content-Encoding": "gzip"}))[:2] == (415, "unsupported_encoding")


def test_damaged_picture_is_refused_with_the_reason(start: Start) -> None:
    data = picture(30, 40)
    for damaged in (data[: len(data) // 2], data[:20], png_header(5, 5)):
        status, code, message = error_of(start().translate(damaged))
        assert (status, code) == (422, "damaged") and "truncated or damaged" in message
    assert error_of(start().translate(b""))[:2] == (422, "empty")


def test_answer_whose_sides_the_format_does_not_hold_is_refused_before_the_model_runs(start: Start) -> None:
    model = Nearest()
    application = start({"nearest": model})
    before = len(model.shapes)
    status, code, message = error_of(application.translate(picture(1, 9000), query="?format=webp"))
    assert (status, code) == (422, "too_long") and "18000 x 2; add ?format=png" in message
    assert len(model.shapes) == before


def test_unknown_model_is_refused_with_the_names_there_are(start: Start) -> None:
    application = start({"one": Nearest(), "two": Nearest()})
    for send in (application.translate(picture(), "three"), application.send("GET", "/v1/models/three")):
        assert error_of(send) == (404, "unknown_model", "expected one of the models one, two, got another name; see /v1/models")


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "../../etc/passwd", "..", "%00", "nearest%0d%0aX-Evil:1", "nearest.onnx", "näher", "a" * 5000])
def test_hostile_names_are_harmless(start: Start, name: str) -> None:
    answer = start().translate(picture(), name)
    assert error_of(answer)[0] == 404 and "X-Evil" not in answer.headers and name not in answer.text


def test_wrong_method_is_refused_with_the_right_one(start: Start) -> None:
    application = start()
    for method, url, allowed in (
        ("GET", "/v1/models/nearest:translate", "POST"), ("PUT", "/v1/models/nearest:translate", "POST"), ("POST", "/v1/models/nearest", "GET"),
        ("DELETE", "/v1/models", "GET"), ("POST", "/healthz", "GET"), ("POST", "/metrics", "GET"),
    ):  # fmt: skip
        answer = application.send(method, url)
        assert error_of(answer)[:2] == (405, "method_not_allowed"), (method, url)
        assert answer.headers["allow"] == allowed
    assert error_of(application.send("GET", "/nowhere"))[:2] == (404, "not_found")


def test_picture_the_model_fails_on_is_refused_without_leaking_server_details(start: Start) -> None:
    def fail(pixels: Pixels) -> None:
        if pixels.shape[1] == 7:
            raise PixlateError(f"no such size in {Path(__file__)}")

    application = start({"nearest": Nearest(before=fail)})
    status, code, message = error_of(application.translate(picture(7, 5)))
    assert (status, code) == (422, "model_failed") and "5 x 7 pixels" in message and "no such size" not in message
    assert application.translate(picture(6, 5)).status_code == 200 and application.send("GET", "/readyz").status_code == 200


def test_picture_that_does_not_fit_into_the_devices_memory_is_too_large(start: Start) -> None:
    def full(pixels: Pixels) -> None:
        if pixels.shape[1] != 32:
            raise OutOfDeviceMemory("full")

    application = start({"nearest": Nearest(before=full)})
    assert error_of(application.translate(picture()))[:2] == (413, "too_large_for_memory")


def test_broken_model_is_distinguished_from_a_picture_it_does_not_take(start: Start) -> None:
    failing = False

    def fail(pixels: Pixels) -> None:
        if failing:
            raise PixlateError("the GPU has vanished")

    application = start({"nearest": Nearest(before=fail)})
    assert application.translate(picture()).status_code == 200
    failing = True
    assert error_of(application.translate(picture()))[:2] == (503, "model_broken")
    assert error_of(application.send("GET", "/readyz"))[:2] == (503, "not_ready")
    assert application.send("GET", "/healthz").json() == {"status": "alive"}
    failing = False
    assert application.translate(picture()).status_code == 200 and application.send("GET", "/readyz").status_code == 200


def test_model_that_raises_anything_leaves_the_server_running(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def fail(pixels: Pixels) -> None:
        if pixels.shape[1] == 7:
            raise SystemError("odd")

    application = start({"nearest": Nearest(before=fail)})
    assert error_of(application.translate(picture(7, 5)))[:2] == (422, "model_failed")
    assert application.translate(picture()).status_code == 200
    assert "odd" in caplog.text


def test_bug_in_the_server_is_a_500_without_details_and_leaves_it_running(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    application = start()
    monkeypatch.setattr("pixlate_serve.service.decoded", lambda *arguments: 1 / 0)
    assert error_of(application.translate(picture()))[:2] == (500, "internal")
    monkeypatch.undo()
    assert application.translate(picture()).status_code == 200
    assert application.service.admission.taken_places == application.service.admission.taken_bytes == 0
