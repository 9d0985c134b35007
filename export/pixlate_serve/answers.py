"""The answer that carries a picture: sent piece by piece, and held against the memory until the client has taken it."""

from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pixlate_serve.admission import Claim
from pixlate_serve.media import MEDIA_TYPES
from pixlate_serve.translation import Answer

PIECE = 256 * 1024
"""Bytes sent at once; the next piece waits until the client has taken most of the one before."""
NOTES = "Pixlate-Notes"
"""Header with what the user should know of the picture."""
_MOST_NOTES = 1000


class PictureResponse(Response):
    """An image.

    Args:
        answer: What is sent.
        claim: Released when it is sent, or the client has gone away.
    """

    def __init__(self, answer: Answer, claim: Claim) -> None:
        super().__init__(answer.data, 200, _headers(answer), media_type=MEDIA_TYPES[answer.format])
        self._claim = claim

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the image."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self.body), PIECE):
                more = start + PIECE < len(self.body)
                await send({"type": "http.response.body", "body": bytes(self.body[start : start + PIECE]), "more_body": more})
        finally:
            self._claim.release()


def _headers(answer: Answer) -> dict[str, Any]:
    headers = {"X-Content-Type-Options": "nosniff"}
    if answer.notes:
        headers[NOTES] = "; ".join(answer.notes).encode("ascii", "replace").decode()[:_MOST_NOTES]
    return headers
