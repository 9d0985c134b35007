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
"""Tokens of this process, which are refused without a wait."""


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
        self._holder = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": _machine(),
            "token": self._token,
        }
        self._ended = threading.Event()
        with refusing(str(root)):
            self._take()
        _held.add(self._token)
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Refuse to go on where another conversion has taken the folder over."""
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
        """Write the object, where there is a holder once it was killed here or its heartbeat has stopped for long enough."""
        found, until = self._read(), time.monotonic() + EXPIRY
        if found.get("token") in _held:
            raise self._refused(found)
        while found and not _was_killed_here(found) and time.monotonic() < until:
            time.sleep(min(_LOOK, EXPIRY / 4))
            now = self._read()
            if now and now != found:
                raise self._refused(now)
            found = now
        with suppress(FileExistsError):
            self._write(create=not found)
        if (holder := self._read()).get("token") != self._token:
            raise self._refused(holder)

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
        self._url.write(json.dumps(self._holder | {"beat": secrets.token_hex(8)}).encode(), create)


def _was_killed_here(holder: dict[str, Any]) -> bool:
    """Return whether the holder was a process of this machine that has ended; its token is none of this process."""
    process = holder.get("process")
    if not _machine() or holder.get("machine") != _machine() or not isinstance(process, int):
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return process == os.getpid()  # an earlier process had the number of this one


def _machine() -> str:
    """Return what identifies this machine or container; empty if nothing does."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - no path
    except OSError:
        return ""
