"""Runs the application: binds the address, loads the models, serves, and shuts down cleanly."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import NoReturn

import uvicorn

from pixlate.errors import PixlateError
from pixlate.inference.models import find, load_for_pictures
from pixlate.system.access import bound
from pixlate_serve import logs
from pixlate_serve.app import build_app
from pixlate_serve.options import ServeOptions
from pixlate_serve.protocol import Protocol, backlog
from pixlate_serve.served_model import Weights
from pixlate_serve.service import Service
from pixlate_serve.watchdog import SIGNALS, watched

KEEP_ALIVE_S = 75
"""How long an idle connection is kept: longer than load balancers do, so that none of them sends into one that is just being closed."""
ENDING_S = 2.0
"""Last seconds of ``--grace-s``, in which connections and threads are ended; a fifth of it where it is short."""
_TICK_S = 0.05


def run(models: Mapping[str, str], options: ServeOptions, token: str) -> int:
    """Serve models, each under its name, until a signal comes; return the exit code.

    Raises:
        PixlateError: The address cannot be bound, a model cannot be loaded, or none works.
    """
    logs.configure(options.log_format, options.log_requests)
    with bound(options.host, options.port) as listener:
        if options.blend_with is not None and len(models) > 1:
            raise PixlateError(f"expected one model for --blend-with, got {' and '.join(models)}; serve the others by a server of their own")
        way = options.blend_with, options.strength, options.runtime, options.arithmetic
        translators = {name: load_for_pictures(model, options.device, *way) for name, model in models.items()}
        other = None if options.blend_with is None else find(options.blend_with)
        weights = {name: Weights.of(model, translators[name].spec, other, options.strength) for name, model in models.items()}
        service = Service(translators, options, token, weights)
        server = Server(service, listener)
        with watched(options.grace_s):
            service.start()
            asyncio.run(server.serve(sockets=[listener]))
            if not service.close(timeout_s=0.5):  # a thread is still busy with a cancelled picture
                _leave(server.exit_code)
    if not any(model.works for model in service.models.values()) and not server.announced:
        raise PixlateError("expected a model that translates, got none whose first picture succeeded; the log has the reasons")
    return server.exit_code


class Server(uvicorn.Server):
    """uvicorn, with Pixlate's way of starting and stopping.

    At the first signal new pictures are answered 503 and accepted ones finished; then connections are closed.
    """

    def __init__(self, service: Service, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                build_app(service),
                http=partial(Protocol, head_s=service.options.timeout_s),  # type: ignore[arg-type]
                backlog=backlog(),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
            )
        )
        self.exit_code = 0
        self.announced = False
        self._service, self._listener = service, listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen; the address is printed when the models are warm."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._tasks.append(asyncio.create_task(self._announce()))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down gracefully; at the second signal at once."""
        loop = self._loop
        if self._service.stopping or loop is None:
            _leave(130)
        self._service.stopping = True
        loop.call_soon_threadsafe(lambda: self._tasks.append(asyncio.ensure_future(self._finish())))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGHUP while serving; none is raised again afterwards, since a graceful shutdown is not a failure."""
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def _announce(self) -> None:
        models = self._service.models.values()
        while not all(model.warm.is_set() for model in models) and not self._service.stopping:
            await asyncio.sleep(_TICK_S)
        working = [model.name for model in models if model.works]
        if not working and not self._service.stopping:
            self._service.stopping = self.should_exit = True
            return
        self.announced = True
        host, port = self._listener.getsockname()[:2]
        address = f"[{host}]" if ":" in host else host
        print(f"serving {', '.join(working)} on http://{address}:{port} (interface: http://{address}:{port}/docs)", flush=True)

    async def _finish(self) -> None:
        """Drain accepted requests, then stop uvicorn."""
        loop = asyncio.get_running_loop()
        grace_s = self._service.options.grace_s
        until = loop.time() + grace_s - min(ENDING_S, grace_s / 5)
        while self._service.busy and loop.time() < until:
            await asyncio.sleep(_TICK_S)
        if self._service.busy:
            self.exit_code = 1
            self._service.cut_off()
            await asyncio.sleep(_TICK_S)
        self.should_exit = True


def _leave(code: int) -> NoReturn:
    """End the process without waiting for a model that runs."""
    with suppress(Exception):  # a signal may arrive in the middle of a line
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
