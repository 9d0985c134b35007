"""Middleware at the door of the page: names, pages and token as `pixlate serve` has them, what of Gradio is reachable, and what browsers may load."""

import hmac
from collections.abc import Sequence
from html import escape
from secrets import token_urlsafe

from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixlate.system.access import Callers

OPEN = (
    "/config",
    "/theme.css",
    "/favicon.ico",
    "/assets/",
    "/static/",
    "/svelte/",
    "/pixlate/",
    "/gradio_api/app_id",
    "/gradio_api/component_server",
    "/gradio_api/file=/",
    "/gradio_api/heartbeat/",
    "/gradio_api/info",
    "/gradio_api/queue/",
    "/gradio_api/startup-events",
)
"""Beginnings of the paths that the page needs. Gradio has more, among them uploads without our limits, and fetching from other servers."""
_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
"""Browsers load nothing from other servers, whatever a library's page names."""
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_ASK = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Pixlate</title>
<body style="font: 16px system-ui; max-width: 30rem; margin: 4rem auto; padding: 0 1rem"><h1>Pixlate</h1><p>{sentence}</p>
<form><input name="token" type="password" aria-label="Token" autofocus> <button>Open</button></form></body></html>"""


class Door:
    """Middleware: refuses what is not from the page of this server, or without its token.

    A browser sends no token by itself, so that one which was given once, in the form or the address, is remembered by a cookie. Its value is
    a secret of this process, since browsers send cookies to every port of a machine.

    Args:
        app: What to protect.
        host: The address listened on.
        hosts: Names that are allowed besides those of this machine.
        token: Empty where none is asked for.
    """

    def __init__(self, app: ASGIApp, host: str, hosts: Sequence[str], token: str) -> None:
        self._app, self._callers, self._token = app, Callers(host, hosts), token
        self._ticket, self._cookie = token_urlsafe(32), f"pixlate_{token_urlsafe(6)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":  # the start and the end of the application; connections of other kinds are not accepted
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in _HEADERS}
                message = {**message, "headers": [*(each for each in message["headers"] if each[0].lower() not in names), *_HEADERS]}
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        host, site = headers.get("host", ""), headers.get("sec-fetch-site", "")
        if host and not self._callers.know(host):
            sentence = "expected an address with a name of this machine, such as localhost, got another; start the page with --allow-host NAME if it is right"
            return PlainTextResponse(sentence, 403)
        if not all(self._callers.may_come_from(origin, host, site) for origin in headers.getlist("origin")):
            return PlainTextResponse("expected a request from the page of this server, got one from another; open the page itself", 403)
        if self._token and not self._is_allowed(headers):
            return self._ask(path, QueryParams(scope["query_string"]).get("token", ""))
        if path != "/" and not path.startswith(OPEN):
            return PlainTextResponse("expected an address of the page, got another; open the page itself", 404)
        return None

    def _is_allowed(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self._token):
            return True
        return _same(cookie_parser(headers.get("cookie", "")).get(self._cookie, ""), self._ticket)

    def _ask(self, path: str, given: str) -> Response:
        if path != "/":
            return PlainTextResponse("expected the token of the page, got none or another; load the page again", 401)
        if given and _same(given, self._token):
            answer = RedirectResponse("/", 303)  # so that the token stays in no address
            answer.set_cookie(self._cookie, self._ticket, httponly=True, samesite="strict")
            return answer
        sentence = "That was not the token; it is what the page was started with." if given else "The page asks for the token that it was started with."
        return HTMLResponse(_ASK.format(sentence=escape(sentence)), 401)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())
