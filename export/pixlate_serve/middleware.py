"""Middleware: metrics, token, and reading refused uploads to their end."""

import asyncio
import hmac
import sys
import time
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixlate_serve.refusals import Refusal
from pixlate_serve.service import Service

OPEN_PATHS = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""Paths without a token: health, readiness and the API documentation."""
DRAIN_S = 10.0
"""Longest time a refused upload is still read."""


class Counted:
    """Middleware: counts the answers below /v1, and prints them where requested."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = time.perf_counter()
        status = 499
        scope.setdefault("state", {})

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.perf_counter() - started
            if scope["path"].startswith("/v1/"):
                self._service.metrics.answered(scope["state"].get("model", ""), status, seconds)
            if self._service.options.log_requests:
                client = (scope.get("client") or ("-",))[0]
                path = scope.get("raw_path", b"").decode("ascii", "replace")
                print(f"{client} {scope['method']} {path} {status} {seconds * 1000:.0f} ms", file=sys.stderr, flush=True)


class Lingering:
    """Middleware: reads on, without keeping anything, where an upload is refused before its end.

    A server that closes its connection while bytes are still coming has the answer discarded by the client's network stack. So the
    answer is sent at once, and its end when the upload has ended, too.
    """

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self._app, self._timeout_s = app, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        headers = dict(scope["headers"])
        uploading = b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip() != b"0"
        asked = headers.get(b"expect", b"").lower() == b"100-continue"  # the client sends nothing before the server answers 100

        async def watched() -> MutableMapping[str, Any]:
            nonlocal uploading, asked
            asked = False
            message = await receive()
            uploading = uploading and message.get("more_body", False)
            return message

        async def lingering(message: Message) -> None:
            if message["type"] == "http.response.start" and uploading and asked:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            if message["type"] == "http.response.body" and not message.get("more_body", False) and uploading and not asked:
                await send({**message, "more_body": True})
                message = {"type": "http.response.body", "body": b"", "more_body": False}
                try:
                    async with asyncio.timeout(self._timeout_s):
                        while uploading:
                            await watched()
                except TimeoutError:
                    pass
            await send(message)

        await self._app(scope, watched, lingering)


class Guarded:
    """Middleware: requires the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if self._token and scope["path"] not in OPEN_PATHS and not self._allows(scope["headers"]):
            refusal = Refusal(401, "unauthorized", "expected the server's token; send the header Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
            await refused(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allows(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


def refused(refusal: Refusal) -> JSONResponse:
    """Return the answer for a refusal."""
    return JSONResponse({"error": {"code": refusal.code, "message": refusal.message}}, refusal.status, dict(refusal.headers))
