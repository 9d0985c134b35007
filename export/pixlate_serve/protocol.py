"""HTTP/1.1 of one connection, where an upload that is cut off or not encoded as declared gets its answer from the application."""

from uvicorn.protocols.http.h11_impl import H11Protocol

from pixlate_serve.transfer import MALFORMED


class Protocol(H11Protocol):
    """uvicorn's protocol, which by itself closes such connections without an answer, or sends one of which the application does not know."""

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
