"""Middleware at the door: the names a client may call the server by, the web pages that may use it, and the token."""

import hmac
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pixlate.system.access import Callers
from pixlate_serve.refusals import Refusal, answer

OPEN_PATHS = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""Paths without a token: health, readiness and the API documentation."""
OPEN_FOLDER = "/static-offline-docs/"
"""Where the files of the API documentation are, also without a token."""


class Addressed:
    """Middleware: refuses what a web browser sends for pages that are not to use the server.

    Args:
        app: What to protect.
        host: The address listened on.
        hosts: Names that are allowed besides those of this machine; see :class:`pixlate.system.access.Callers`.
        origins: Pages that are allowed besides the server's own; ``*`` for all.
    """

    def __init__(self, app: ASGIApp, host: str, hosts: Sequence[str], origins: Sequence[str]) -> None:
        self._app, self._callers = app, Callers(host, hosts, origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        headers = Headers(scope=scope)
        host, site = headers.get("host", ""), headers.get("sec-fetch-site", "")
        if host and not self._callers.know(host):
            sentence = "expected a Host header that names this machine, such as localhost, got another; start the server with --allow-host NAME if it is right"
            await answer(Refusal(403, "wrong_host", sentence))(scope, receive, send)
        elif not all(self._callers.may_come_from(origin, host, site) for origin in headers.getlist("origin")):
            sentence = "expected a request from a page of this server, got another Origin; start the server with --allow-origin ORIGIN if it is right"
            await answer(Refusal(403, "foreign_origin", sentence))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Guarded:
    """Middleware: requires the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        is_open = scope["path"] in OPEN_PATHS or scope["path"].startswith(OPEN_FOLDER)
        if self._token and not is_open and not self._allows(scope["headers"]):
            refusal = Refusal(401, "unauthorized", "expected the server's token; send the header Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
            await answer(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allows(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)
