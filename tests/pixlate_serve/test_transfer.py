"""Answers that a client takes slowly, or not at all."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message

from pixlate_serve.admission import Admission, Claim
from pixlate_serve.transfer import PIECE, PictureResponse
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
