"""What passes over the wire: the formats of an upload and its answer, the upload's bytes within their limits, and the answer until it is received."""

import asyncio
import logging
import re
from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Literal, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pixlate.images.formats import BUILT_IN, named
from pixlate_serve.admission import Claim
from pixlate_serve.multipart import FORM
from pixlate_serve.refusals import ClientGone, Refusal
from pixlate_serve.translation import Answer

MEDIA_TYPES: Mapping[str, str] = MappingProxyType({name: format.media_type for name, format in named(BUILT_IN).items() if format.media_type})
"""Format -> its media type."""
FormatName = Literal["jpeg", "jpg", "png", "webp", "tiff", "tif", "bmp", "avif", "gif"]
"""What ``?format=`` takes."""
_ALIASES = {"image/jpg": "jpeg", "image/pjpeg": "jpeg", "image/x-png": "png", "image/apng": "png", "image/tif": "tiff", "image/x-ms-bmp": "bmp"}
_ANY = sorted(MEDIA_TYPES, key=lambda name: name != "png")
"""Formats where any will do: first the one without loss, which counts where the source's own is refused."""
_RANGES = {media: [name] for name, media in MEDIA_TYPES.items()} | {media: [name] for media, name in _ALIASES.items()}
_RANGES |= dict.fromkeys(("*/*", "image/*", "application/octet-stream"), _ANY)
"""Media range of an Accept header -> formats."""
_QUALITY = re.compile(r";\s*q=(\d+(?:\.\d*)?)")
PIECE = 256 * 1024
"""Bytes sent at once; the next chunk waits until the client has received most of the one before."""
NOTES = "Pixlate-Notes"
"""Header with what the user should know of the picture."""
_MOST_NOTES = 1000
MALFORMED = "malformed"
"""Set in the state of a request whose body ended early or was not encoded as its headers say."""
log = logging.getLogger("pixlate_serve")
Result = TypeVar("Result")


def require_image(content_type: str | None, content_encoding: str | None) -> None:
    """Refuse with 415 an upload that is not declared as an image or as unspecified bytes."""
    media = (content_type or "application/octet-stream").partition(";")[0].strip().lower()
    if not media.startswith("image/") and media not in ("application/octet-stream", FORM):
        sentence = f"expected the bytes of an image with the Content-Type image/... or application/octet-stream, got {media[:60]!r}; set the header"
        raise Refusal(415, "unsupported_media_type", sentence)
    if (content_encoding or "identity").strip().lower() != "identity":
        raise Refusal(415, "unsupported_encoding", "expected an upload without Content-Encoding, since images are compressed already; send the file as it is")


def wanted_format(format: FormatName | None, accept: str | None, source: str) -> str:
    """Return the format of the answer: what ``?format=`` says, else what the Accept header prefers (RFC 9110, 12.5.1), else that of the source.

    Raises:
        Refusal: 406, the header accepts nothing that Pixlate writes.
    """
    if format is not None:
        return BUILT_IN[f".{format}"].name
    ranges = []
    for part in (accept or "*/*").lower().split(","):
        quality = _QUALITY.search(part)  # one that cannot be read counts as 1
        ranges.append((_RANGES.get(part.partition(";")[0].strip(), []), min(1.0, float(quality[1])) if quality else 1.0))
    refused = {names[0] for names, quality in ranges if not quality and len(names) == 1}
    offers = [(quality, name) for names, quality in ranges if quality for name in names if name not in refused]
    if not offers:
        known = ", ".join(MEDIA_TYPES.values())
        raise Refusal(406, "not_acceptable", f"expected an Accept header with one of {known} or image/*; change it, or add ?format=png")
    best, _ = max(offers)
    choices = [name for quality, name in offers if quality == best]
    return source if source in choices else choices[0]


async def received(request: Request, claim: Claim, max_bytes: int, timeout_s: float) -> bytes:
    """Return the body of a request, whose bytes the claim holds as they come.

    Args:
        request: Its Content-Length header declares the bytes, unless the body is chunked.
        claim: Of the request.
        max_bytes: A client that declares or sends more is refused as soon as that is known.
        timeout_s: Seconds for the whole body.

    Raises:
        Refusal: 400 cut off or not HTTP, 413 too large, 408 too slow, 422 empty, or 429 where the claim cannot hold it.
        ClientGone: The connection ended before the body did.
    """
    too_large = Refusal(413, "too_many_bytes", f"expected an upload of at most {max_bytes:,} bytes, got more; send a smaller picture")
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise too_large
    parts: list[bytes] = []
    count = 0
    try:
        async with asyncio.timeout(timeout_s):
            more = True
            while more:
                message = await request.receive()
                if message["type"] != "http.request":
                    raise ClientGone
                part = message.get("body", b"")
                more = message.get("more_body", False)
                count += len(part)
                if count > max_bytes:
                    raise too_large
                claim.hold(count)
                parts.append(part)
    except TimeoutError as error:
        raise Refusal(408, "too_slow", f"expected the whole picture within {timeout_s:g} s, got {count:,} bytes; send it again") from error
    if getattr(request.state, MALFORMED, False):
        sentence = (
            f"expected the whole picture in the encoding that the headers name, got {count:,} bytes and then the end or bytes that are none; send it again"
        )
        raise Refusal(400, "bad_upload", sentence)
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


class PictureResponse(Response):
    """An image, sent in chunks; its claim is released when it is sent, the client has disconnected, or one chunk takes too long."""

    def __init__(self, answer: Answer, claim: Claim, timeout_s: float) -> None:
        headers = {"X-Content-Type-Options": "nosniff"}
        if answer.notes:
            headers[NOTES] = "; ".join(answer.notes).encode("ascii", "replace").decode()[:_MOST_NOTES]
        super().__init__(answer.data, 200, headers, media_type=MEDIA_TYPES[answer.format])
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
