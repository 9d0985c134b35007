"""Which format an Accept header prefers (RFC 9110, 12.5.1), and answers that a client takes slowly, or not at all."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from pixlate_serve.admission import Admission, Claim
from pixlate_serve.refusals import Refusal
from pixlate_serve.transfer import MEDIA_TYPES, PIECE, PictureResponse, wanted_format
from pixlate_serve.translation import Answer


def test_answer_counts_against_the_memory_until_its_last_chunk_is_sent() -> None:
    admission = Admission(1, 10 * PIECE)
    data, taken, held = bytes(range(256)) * (PIECE // 100), bytearray(), []
    claim = Claim(admission)
    claim.hold(len(data))

    async def send(message: Message) -> None:
        held.append(admission.taken_bytes)
        taken.extend(message.get("body", b""))

    asyncio.run(PictureResponse(Answer(data, "png", ()), claim, 60)({}, _nothing, send))
    assert taken == data and len(held) == 4 and {*held} == {len(data)}
    assert admission.taken_bytes == 0


def test_answer_not_read_in_time_is_aborted_and_frees_its_memory(caplog: pytest.LogCaptureFixture) -> None:
    admission = Admission(1, 10 * PIECE)
    claim = Claim(admission)
    claim.hold(3 * PIECE)
    started = []

    async def send(message: Message) -> None:
        started.append(message["type"])
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    asyncio.run(PictureResponse(Answer(bytes(3 * PIECE), "png", ()), claim, 0.05)({}, _nothing, send))
    assert started == ["http.response.start", "http.response.body"] and admission.taken_bytes == 0
    assert "took nothing of its answer for 0.05 s" in caplog.text


async def _nothing() -> Any:
    raise AssertionError


@pytest.mark.parametrize(("accept", "expected"), [
    (None, "webp"), ("", None), ("*/*", "webp"), ("image/*", "webp"), ("image/png", "png"), ("IMAGE/PNG", "png"), ("image/jpg", "jpeg"),
    ("image/png, image/jpeg", "png"), ("image/png;q=0.5, image/jpeg", "jpeg"), ("image/png;q=0.5, */*;q=0.1", "png"), ("image/png, image/webp", "webp"),
    ("text/html,application/xhtml+xml,image/avif,image/apng,*/*;q=0.8", "avif"), ("image/webp;q=0, */*", "png"), ("*/*;q=0", None),
    ("application/json", None), ("image/png;q=nonsense", "png"), ("application/octet-stream", "webp"), (" image/gif ; q=1.0 ", "gif"), ("image/heic", None),
])  # fmt: skip
def test_accept_header_chooses_the_format_and_prefers_that_of_the_source(accept: str | None, expected: str | None) -> None:
    if expected is not None:
        assert wanted_format(None, accept, "webp") == expected
    elif accept == "":
        assert wanted_format(None, accept, "webp") == "webp"
    else:
        with pytest.raises(Refusal) as refusal:
            wanted_format(None, accept, "webp")
        assert refusal.value.status == 406


def test_accept_header_of_many_ranges_is_read_in_one_pass() -> None:
    assert wanted_format(None, ",".join(["*/*;q=0.5", *["image/*;q=0.4"] * 20_000, "image/webp;q=0.6"]), "jpeg") == "webp"


@given(st.text(max_size=80))
def test_any_accept_header_gives_a_format_or_a_refusal(accept: str) -> None:
    try:
        assert wanted_format(None, accept, "png") in MEDIA_TYPES
    except Refusal as refusal:
        assert refusal.status == 406
