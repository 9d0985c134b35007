"""Connections that end when their client is too slow: uvicorn waits without end for a request's headers, and for an answer to be taken."""

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedProtocol(H11Protocol):
    """HTTP/1.1 with a limit, in seconds, on headers, on a client that takes nothing of its answer, and on the end of a connection."""

    timeout_s = 60.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadlines: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect("request")

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a request's headers, or of an upload that was refused."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._expect("request")
        else:
            self._met("request")

    def pause_writing(self) -> None:
        """Expect the client to take what is on its way."""
        super().pause_writing()
        self._expect("taken")

    def resume_writing(self) -> None:
        """The client takes its answer."""
        super().resume_writing()
        self._met("taken")

    def on_response_complete(self) -> None:
        """Expect the end, where the connection is to end."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect("end")

    def timeout_keep_alive_handler(self) -> None:
        """Expect the end."""
        super().timeout_keep_alive_handler()
        self._expect("end")

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        for what in list(self._deadlines):
            self._met(what)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else is answered: in JSON; where an answer is on its way already, end the connection."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            self._expect("end")
            return
        body = json.dumps({"error": {"code": "bad_request", "message": "expected a valid HTTP/1.1 request, got something else; check the client"}}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        for event in (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._expect("end")

    def _expect(self, what: str) -> None:
        if what not in self._deadlines:
            self._deadlines[what] = self.loop.call_later(self.timeout_s, self.transport.abort)

    def _met(self, what: str) -> None:
        handle = self._deadlines.pop(what, None)
        if handle is not None:
            handle.cancel()
