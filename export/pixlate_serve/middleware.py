"""Middleware: ids, metrics and log of requests, and reading refused uploads to their end."""

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixlate_serve.logs import id_of, log, log_answer, request_id
from pixlate_serve.refusals import answer, internal
from pixlate_serve.service import Service

REQUEST_ID = "X-Request-ID"
"""Header with the id of a request, in the request or else in the answer alone."""
MODEL = "Pixlate-Model"
"""Header with the model of an answer: its name, the version that exported it and the hash of its weights."""
DRAIN_S = 10.0
"""Longest time a refused upload is still read."""


class Counted:
    """Middleware: gives each request an id, counts the answers below /v1, logs them where requested, and answers 500 where there is a bug."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = time.perf_counter()
        status = 0
        state = scope.setdefault("state", {})
        request_id.set(id_of(Headers(scope=scope).get(REQUEST_ID, "")))

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {REQUEST_ID: request_id.get(), MODEL: self._identity(state)}
                headers = [(name.lower().encode(), value.encode()) for name, value in named.items() if value]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            log.exception("unexpected error")
            if status:
                raise
            await answer(internal())(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            if scope["path"].startswith("/v1/"):
                self._service.metrics.answered(state.get("model", ""), status or 499, seconds, request_id.get())
            client = (scope.get("client") or ("-",))[0]
            path = scope.get("raw_path", b"").decode("ascii", "replace")
            log_answer(client, scope["method"], path, status or 499, seconds, self._identity(state))

    def _identity(self, state: MutableMapping[str, Any]) -> str:
        """Return what a request's answer says of its model, where it has one."""
        model = self._service.models.get(state.get("model", ""))
        return model.identity if model else ""


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
