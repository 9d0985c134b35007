"""Runs the page: binds the address, opens the browser, and ends cleanly."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import FrameType

import uvicorn

from pixlate.system.access import bound
from pixlate_web.models import offered
from pixlate_web.options import WebOptions
from pixlate_web.sessions import Sessions

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def run(folders: Mapping[str, Path], options: WebOptions, token: str) -> int:
    """Offer the page until a signal comes; return the exit code.

    Args:
        folders: Those that the page may convert, by the names that it shows.
        options: How it is offered.
        token: Empty where none is asked for.

    Raises:
        PixlateError: The address cannot be bound, or a model file cannot be opened.
    """
    with bound(options.host, options.port) as listener:
        models = offered(options.model)
        sessions = Sessions(options)
        try:
            _settle_gradio(sessions.root)
            from pixlate_web.app import build_app
            from pixlate_web.page import Page

            page = Page(options, folders, models, sessions)
            server = Server(build_app(page, token), listener, options, token)
            asyncio.run(server.serve(sockets=[listener]))
            until = time.monotonic() + options.grace_s
            ended = sessions.close_all(lambda thread: _joined(thread, until))
        finally:
            sessions.close_all(lambda thread: False)
    if not ended:
        _leave(130)
    return 0


def _settle_gradio(folder: Path) -> None:
    """Have Gradio send nothing to anyone, and keep its files with ours; it reads these when it is imported."""
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(folder / "gradio"), GRADIO_RUN_HISTORY="False", HF_HUB_OFFLINE="1")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _joined(thread: Thread, until: float) -> bool:
    thread.join(max(0.0, until - time.monotonic()))
    return not thread.is_alive()


class Server(uvicorn.Server):
    """uvicorn, which says where the page is, and ends without an error at the first signal, at the second at once."""

    def __init__(self, app: object, listener: socket.socket, options: WebOptions, token: str) -> None:
        super().__init__(
            uvicorn.Config(
                app,  # type: ignore[arg-type]
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._listener, self._options, self._token = listener, options, token

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        host, port = self._listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where it listens is the user's choice
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        print(f"the page is at {address}{' and asks for the token' if self._token else ''} (Ctrl-C ends it)", flush=True)
        if self._options.open and _has_screen():
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down gracefully; at the second signal at once."""
        if self.should_exit:
            _leave(130)
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals until the process ends: what runs is finished after the server has closed its connections."""
        for number in SIGNALS:
            signal.signal(number, self.handle_exit)
        yield


def _has_screen() -> bool:
    """Return whether a browser would have a screen: without one, a browser for terminals would take this one."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _leave(code: int) -> None:
    """End the process without waiting for what runs."""
    with suppress(Exception):
        sys.stdout.flush()
    os._exit(code)
