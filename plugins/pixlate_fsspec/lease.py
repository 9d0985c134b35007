"""Keeps two conversions from writing to one URL: a lease with a heartbeat, an object that its holder writes again every few seconds.

It is advisory: stores have no locks. No clocks are compared. Whoever finds the object watches whether
it changes; if it does not, its holder was killed, and the folder is taken over. A killed holder on this machine is detected at once.
"""

import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pixlate.errors import PixlateError
from pixlate_fsspec.retries import refusing
from pixlate_fsspec.url import Url

BEAT = 10.0
"""Seconds between two heartbeats."""
EXPIRY = 35.0
"""Seconds without a heartbeat after which the holder counts as killed."""
_LOOK = 1.0

_held: set[str] = set()
"""Tokens of this process."""


class Lease:
    """Held from construction to :meth:`release`.

    Args:
        url: The object.
        root: The output folder, for sentences.

    Raises:
        PixlateError: Another conversion holds it, or it cannot be written.
    """

    def __init__(self, url: Url, root: Url) -> None:
        self._url, self._root = url, root
        self._token = secrets.token_hex(8)
        self._lost = False
        self._beats = 0
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._ended = threading.Event()
        with refusing(str(root)):
            self._take()
        _held.add(self._token)
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Check that no other conversion has taken the folder over.

        Raises:
            PixlateError: One has.
        """
        if self._lost:
            raise PixlateError(f"another conversion has taken over {self._root}, since this one was not heard of for {EXPIRY:.0f} s; wait for it")

    def release(self) -> None:
        """Release the folder."""
        self._ended.set()
        self._thread.join()
        _held.discard(self._token)
        if not self._lost:
            with suppress(Exception):
                if self._read().get("token") == self._token:  # after an outage another conversion may have taken it over
                    self._url.remove()

    def _take(self) -> None:
        found = self._read()
        if found and not _was_killed_here(found):
            self._watch(found)
        with suppress(FileExistsError):
            self._write(create=not found)
        if self._read().get("token") != self._token:
            raise self._refused(self._read())

    def _watch(self, found: dict[str, Any]) -> None:
        """Wait until the holder's heartbeat has stopped for long enough."""
        until = time.monotonic() + EXPIRY
        if found.get("token") in _held:
            raise self._refused(found)
        while time.monotonic() < until:
            time.sleep(min(_LOOK, EXPIRY / 4))
            now = self._read()
            if not now:
                return
            if now != found:
                raise self._refused(now)

    def _refused(self, holder: dict[str, Any]) -> PixlateError:
        who = f"process {holder.get('process')} on {holder.get('host')}, since {holder.get('since')}"
        return PixlateError(f"another conversion is writing into {self._root} ({who}); wait for it or choose another folder")

    def _keep(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(Exception):  # the network may be back at the next beat
                found = self._read()
                if found and found.get("token") != self._token:
                    self._lost = True
                    return
                self._write()

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._url.read())
        except FileNotFoundError:
            return {}
        except ValueError:
            return {"host": "unknown"}
        return found if isinstance(found, dict) else {"host": "unknown"}

    def _write(self, create: bool = False) -> None:
        self._beats += 1
        told = {"host": socket.gethostname(), "process": os.getpid(), "since": self._started, "machine": _machine(), "token": self._token, "beat": self._beats}
        self._url.write(json.dumps(told).encode(), create)


def _was_killed_here(holder: dict[str, Any]) -> bool:
    """Return whether the holder was a process of this machine that has ended."""
    process = holder.get("process")
    if not _machine() or holder.get("machine") != _machine() or not isinstance(process, int) or holder.get("token") in _held:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return process == os.getpid()


def _machine() -> str:
    """Return what identifies this machine or container; empty if nothing does."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - no path
    except OSError:
        return ""
