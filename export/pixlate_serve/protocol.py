"""HTTP/1.1 of one connection: the time for the head of a request, and the answer to an upload that is cut off or not encoded as declared."""

import asyncio
import math
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pixlate_serve.transfer import MALFORMED

BACKLOG = 64
"""Connections that are accepted at once: before the first of them is counted, all of them take a file descriptor."""
MOST_CONNECTIONS = 4096
"""Open connections, where the process may open as many files."""


class Protocol(H11Protocol):
    """uvicorn's protocol, which by itself waits for ever, closes connections whose upload ends early, and keeps what is not HTTP from the application.

    Args:
        head_s: Seconds for the head of a request: of the first from when the connection is open, of others from their first byte.
    """

    def __init__(self, *arguments: Any, head_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_s = head_s
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request; where too many connections are open, close the one without a request that would be closed first."""
        super().connection_made(transport)
        self._expect_head()
        if len(self.connections) > most_connections():
            waiting = [each for each in self.connections if isinstance(each, Protocol) and each.closes_at < math.inf]
            min(waiting, key=lambda each: each.closes_at, default=self).transport.abort()

    @property
    def closes_at(self) -> float:
        """Return when the connection is closed unless a request comes, by the clock of the event loop; infinity where one is answered."""
        timer = self._late or self.timeout_keep_alive_task
        return math.inf if timer is None or self.transport.is_closing() else timer.when()

    def data_received(self, data: bytes) -> None:
        """Read on; only the time for the rest of a head is bounded here."""
        super().data_received(data)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._expect_head()

    def _expect_head(self) -> None:
        """Start the clock where a head is missing, stop it where one is complete or the connection has ended."""
        missing = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if missing and self._late is None:
            self._late = self.loop.call_later(self._head_s, self.transport.abort)
        elif not missing and self._late is not None:
            self._late.cancel()
            self._late = None

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether to keep the connection for an answer: where the client has closed its side before its upload was complete.

        A client whose upload is complete has gone, as far as can be known.
        """
        if not self._uploading or self.transport.is_closing():
            return False
        self.conn.receive_data(b"")
        self.handle_events()
        return not self.transport.is_closing()

    def send_400_response(self, msg: str) -> None:
        """Report what is not HTTP: to the application, where it reads an upload, which then answers 400; else to the client."""
        if self._uploading:
            self.scope["state"][MALFORMED] = True
            self.cycle.keep_alive = self.cycle.more_body = False
            self.cycle.message_event.set()
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    @property
    def _uploading(self) -> bool:
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete


def backlog() -> int:
    """Return how many connections may wait to be accepted, which the event loop accepts all at once before it can close any: few of those that may be open."""
    return min(BACKLOG, max(8, most_connections() // 8))


def most_connections() -> int:
    """Return how many connections may be open: half of the files that this process may open, so that those are never all taken."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)
