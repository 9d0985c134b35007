"""Receives an upload, never more of it than is allowed."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

from pixlate_serve.admission import Claim
from pixlate_serve.refusals import ClientGone, Refusal

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Result = TypeVar("Result")


async def received(receive: Receive, declared: str | None, claim: Claim, max_bytes: int, timeout_s: float) -> bytes:
    """Return the body of a request.

    Args:
        receive: Of ASGI.
        declared: The Content-Length header, or None where the body comes in chunks.
        claim: Holds the bytes as they come.
        max_bytes: Most bytes; a client that declares or sends more is refused as soon as that is known.
        timeout_s: Seconds for the whole body.

    Raises:
        Refusal: 413 too large, 408 too slow, 422 empty, or 429 where the claim cannot hold it.
        ClientGone: The connection ended before the body did.
    """
    if declared is not None and declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise _too_large(max_bytes)
    parts: list[bytes] = []
    count = 0
    try:
        async with asyncio.timeout(timeout_s):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                part = message.get("body", b"")
                more = message.get("more_body", False)
                count += len(part)
                if count > max_bytes:
                    raise _too_large(max_bytes)
                claim.hold(count)
                parts.append(part)
    except TimeoutError as error:
        raise Refusal(408, "too_slow", f"expected the whole picture within {timeout_s:g} s, got {count:,} bytes; send it again") from error
    if not count:
        raise Refusal(422, "empty", "expected the bytes of an image, got an empty body; send the file with --data-binary @FILE or its like")
    return b"".join(parts)


async def unless_gone(work: "asyncio.Task[Result]", receive: Receive) -> Result:
    """Return what a task returns; where the client goes away first, cancel the task.

    Raises:
        ClientGone: It went away.
    """
    gone = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise ClientGone
    finally:
        for task in (gone, work):
            task.cancel()
        await asyncio.gather(gone, work, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    """Return when the connection ends; the body has been received already."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_large(max_bytes: int) -> Refusal:
    return Refusal(413, "too_many_bytes", f"expected an upload of at most {max_bytes:,} bytes, got more; send a smaller picture")
