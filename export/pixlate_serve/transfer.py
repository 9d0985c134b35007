"""Request and response bodies: an upload, limited to the allowed size, and an answer, counted against the memory until the client has received it."""

import asyncio
import logging
from itertools import chain
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pixlate_serve.admission import Claim
from pixlate_serve.media import MEDIA_TYPES
from pixlate_serve.refusals import ClientGone, Refusal
from pixlate_serve.translation import Answer

PIECE = 256 * 1024
"""Bytes sent at once; the next chunk waits until the client has received most of the one before."""
NOTES = "Pixlate-Notes"
"""Header with what the user should know of the picture."""
_MOST_NOTES = 1000
log = logging.getLogger("pixlate_serve")
Result = TypeVar("Result")


async def received(receive: Receive, declared: str | None, claim: Claim, max_bytes: int, timeout_s: float) -> bytes:
    """Return the body of a request.

    Args:
        receive: Of ASGI.
        declared: The Content-Length header, or None if the body is chunked.
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
    """Return what a task returns; if the client disconnects first, cancel the task.

    Raises:
        ClientGone: It disconnected.
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


class PictureResponse(Response):
    """An image, sent in chunks.

    Args:
        answer: What is sent.
        claim: Released when it is sent, the client has disconnected, or it receives nothing for too long.
        timeout_s: Seconds for each chunk.
    """

    def __init__(self, answer: Answer, claim: Claim, timeout_s: float) -> None:
        super().__init__(answer.data, 200, _headers(answer), media_type=MEDIA_TYPES[answer.format])
        self._claim, self._timeout_s = claim, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the image; if a chunk is not received in time, stop, so that the server closes the connection."""
        starts = range(0, len(self.body), PIECE)
        bodies = ({"type": "http.response.body", "body": bytes(self.body[start : start + PIECE]), "more_body": start < starts[-1]} for start in starts)
        try:
            for message in chain([{"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}], bodies):
                async with asyncio.timeout(self._timeout_s):
                    await send(message)
        except TimeoutError:
            log.warning("a client took nothing of its answer for %g s; its connection is closed", self._timeout_s)
        finally:
            self._claim.release()


def _headers(answer: Answer) -> dict[str, Any]:
    headers = {"X-Content-Type-Options": "nosniff"}
    if answer.notes:
        headers[NOTES] = "; ".join(answer.notes).encode("ascii", "replace").decode()[:_MOST_NOTES]
    return headers
