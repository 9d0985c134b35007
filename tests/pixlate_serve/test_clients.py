"""Many clients at once, of every kind: each gets its own answer, none gets another's, and the memory stays as it is."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable

import httpx
import numpy as np
import pytest
from tests.pixlate.conftest import nearest
from tests.pixlate_serve.conftest import PNG, Server, distinct, error_of, file, pixels_of

from pixlate.images.picture import Pixels

URL = "/v1/models/nearest:translate"
CLIENTS = 64
ROUNDS = 4


def connected(server: Server) -> httpx.AsyncClient:
    """Return a client; without the certificates that plain HTTP needs not, which take longer to read than a small picture to translate."""
    return httpx.AsyncClient(base_url=server.url, timeout=60, verify=False)


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 50_000):
        yield data[start : start + 50_000]
        await asyncio.sleep(0)


async def ask(client: httpx.AsyncClient, number: int, round: int, outcomes: Counter[str]) -> None:
    """Send what the number and the round say; see that the answer is the right one."""
    pixels = distinct(number, round, 12 + number % 3, 20)
    data = file(pixels)
    kind = ("whole", "jpeg", "sixteen-colours", "damaged", "text", "too-many-bytes", "too-many-bytes-in-pieces", "too-many-pixels")[(number + round) % 8]
    content: bytes | AsyncIterator[bytes] = data
    expected: tuple[int, str] | Pixels
    if kind == "whole":
        expected = nearest(pixels[None], 2)[0]
    elif kind == "jpeg":
        content = file(pixels, "JPEG", quality=90)
        expected = nearest(pixels_of(content)[None], 2)[0]
    elif kind == "sixteen-colours":
        few = pixels // 128 * 255
        content, expected = file(few, "GIF"), nearest(few[None], 2)[0]
    elif kind == "damaged":
        content, expected = data[: len(data) * 2 // 3], (422, "damaged")
    elif kind == "text":
        content, expected = f"client {number}".encode() * 50, (415, "no_image")
    elif kind.startswith("too-many-bytes"):
        content = in_pieces(bytes(400_000)) if kind.endswith("pieces") else bytes(400_000)
        expected = 413, "too_many_bytes"
    else:
        content, expected = file(np.zeros((210, 210, 3), np.uint8)), (413, "too_many_pixels")
    answer = await client.post(URL, params={"format": "png"}, content=content, headers=PNG)
    if isinstance(expected, tuple):
        assert error_of(answer)[:2] == expected, kind
    else:
        assert answer.status_code == 200, answer.text
        assert np.array_equal(pixels_of(answer.content), expected), f"client {number} got another picture than its own"
    outcomes[kind] += 1


def test_64_clients_with_mixed_broken_and_oversized_uploads_each_get_their_own_answer(server: Server) -> None:
    outcomes: Counter[str] = Counter()

    async def one_client(number: int) -> None:
        async with connected(server) as client:
            for round in range(ROUNDS):
                await ask(client, number, round, outcomes)

    async def main() -> None:
        await asyncio.gather(*(one_client(number) for number in range(CLIENTS)))

    asyncio.run(main())
    assert sum(outcomes.values()) == CLIENTS * ROUNDS and len(outcomes) == 8 and min(outcomes.values()) == CLIENTS * ROUNDS // 8
    page = httpx.get(f"{server.url}/metrics").text
    assert 'status="5' not in page and 'status="499"' not in page
    server.wait_for("pixlate_queue_depth", 0)
    server.wait_for("pixlate_queue_bytes", 0)


def test_batches_of_concurrent_clients_give_each_its_own_answer(launch: Callable[..., Server], model_file: object) -> None:
    server = launch(model_file, batch=8, batch_wait_ms=1000)  # longer than a busy machine takes to send the next picture

    async def one_client(number: int) -> None:
        async with connected(server) as client:
            for round in range(ROUNDS):
                pixels = distinct(number, round)
                answer = await client.post(URL, content=file(pixels), headers=PNG)
                assert np.array_equal(pixels_of(answer.content), nearest(pixels[None], 2)[0])

    async def main() -> None:
        await asyncio.gather(*(one_client(number) for number in range(CLIENTS)))

    asyncio.run(main())
    batches = server.metric('pixlate_batch_size_count{model="nearest"}')
    assert server.metric('pixlate_batch_size_sum{model="nearest"}') == CLIENTS * ROUNDS and batches < CLIENTS * ROUNDS / 2
    assert server.stop() == 0


def test_rejected_clients_are_served_when_they_retry(launch: Callable[..., Server], model_file: object) -> None:
    server = launch(model_file, queue=2)
    sent_away = 0

    async def one_client(number: int) -> None:
        nonlocal sent_away
        pixels = distinct(number, 0, 60, 60)
        async with connected(server) as client:
            for _ in range(500):
                answer = await client.post(URL, content=file(pixels), headers=PNG)
                if answer.status_code != 429:
                    break
                assert int(answer.headers["retry-after"]) >= 1
                sent_away += 1
                await asyncio.sleep(0.05)
        assert np.array_equal(pixels_of(answer.content), nearest(pixels[None], 2)[0])

    async def main() -> None:
        await asyncio.gather(*(one_client(number) for number in range(24)))

    asyncio.run(main())
    assert sent_away > 0
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the resident memory is reported on Linux only")
def test_memory_does_not_grow_under_steady_load(server: Server) -> None:
    outcomes: Counter[str] = Counter()

    async def load(rounds: int) -> None:
        async def one_client(number: int) -> None:
            async with connected(server) as client:
                for round in range(rounds):
                    await ask(client, number, round, outcomes)

        await asyncio.gather(*(one_client(number) for number in range(8)))

    asyncio.run(load(200))
    before = server.metric("process_resident_memory_bytes")
    asyncio.run(load(500))
    after = server.metric("process_resident_memory_bytes")
    assert sum(outcomes.values()) == 8 * 700
    assert after - before < 8_000_000, f"{before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after 4000 requests more"
