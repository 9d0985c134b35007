"""Uploads as web forms send them."""

import io
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from tests.pixlate.conftest import nearest, noise
from tests.pixlate_serve.conftest import Application, error_of, file, picture, pixels_of

from pixlate_serve.multipart import MOST_PARTS, file_of
from pixlate_serve.refusals import Refusal

Start = Callable[..., Application]
URL = "/v1/models/nearest:translate"


def test_one_file_of_a_form_is_translated(start: Start) -> None:
    pixels = noise(6, 9)
    answer = start().send("POST", URL, files={"image": ("a.png", file(pixels), "image/png")}, data={"comment": "hello"})
    assert answer.status_code == 200 and np.array_equal(pixels_of(answer.content), nearest(pixels[None], 2)[0])


@pytest.mark.parametrize("content", [b"", b"\r\n--", b"\r\n--boundary", b"--boundary--" * 9, b"\r", b"\0" * 1000, bytes(range(256)) * 9])
def test_bytes_of_the_file_are_kept(content: bytes) -> None:
    request = httpx.Request("POST", "http://x", files={"a": ("name", io.BytesIO(content)), "b": (None, b"text")}, headers={})
    assert file_of(request.read(), request.headers["content-type"]) == content


@pytest.mark.parametrize("files", [{}, {"a": (None, b"text")}, {"a": ("x", b"1"), "b": ("y", b"2")}])
def test_form_without_one_file_is_refused(start: Start, files: dict[str, tuple[str | None, bytes]]) -> None:
    files = files or {"a": (None, b"")}
    assert error_of(start().send("POST", URL, files=files))[:2] == (400, "bad_form")


def test_broken_forms_are_refused(start: Start) -> None:
    application = start()
    whole = httpx.Request("POST", "http://x", files={"a": ("x", picture())}).read()
    for content, declared in (
        (picture(), "multipart/form-data; boundary=x"),
        (whole, "multipart/form-data"),
        (whole, "multipart/form-data; boundary=other"),
        (whole[: len(whole) // 2], f"multipart/form-data; boundary={whole[2:34].decode()}"),
        (b"--x\r\n" + b"a: b\r\n" * 10_000, "multipart/form-data; boundary=x"),
    ):
        assert error_of(application.send("POST", URL, content=content, headers={"Content-Type": declared}))[:2] == (400, "bad_form")
    many = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" * (MOST_PARTS + 1) + b"--x--\r\n"
    with pytest.raises(Refusal):
        file_of(many, "multipart/form-data; boundary=x")
    assert application.service.admission.taken_bytes == 0
