"""One file over HTTP: whole or not at all, of bounded size, and never from a less secure address than the one that was given."""

import http.client
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pixlate.errors import PixlateError

PATIENCE = 30.0
"""Seconds to wait for a server that sends nothing."""
LONGEST = 4 * 3600.0
"""Seconds that a download may take."""
_BLOCK = 1 << 18


def is_url(text: str) -> bool:
    """Return whether a text is an address instead of a path."""
    return "://" in text


def public(url: str) -> str:
    """Return an address without what may be secret in it: user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def download(url: str, path: Path, most: int, watch: Callable[[int, int | None], None] | None = None) -> None:
    """Write what an address of ``http`` or ``https`` holds to a path.

    Args:
        url: The address; redirects are followed, but not from ``https`` to ``http``.
        path: The file to write.
        most: Most bytes taken.
        watch: Is called with the bytes so far, and with how many there are where the server says so.

    Raises:
        PixlateError: The server cannot be reached, refuses, sends a page instead of a file, too much, or less than it announced.
        OSError: The disk is full.
    """
    request = Request(url, headers={"User-Agent": f"pixlate/{version('pixlate')}"})  # noqa: S310 - the caller admits http and https alone
    try:
        answer: Any = build_opener(_Redirects()).open(request, timeout=PATIENCE)
    except HTTPError as error:
        error.close()
        raise PixlateError(f"{public(url)} answers {error.code} {error.reason}; check the address, or download the file with a browser") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _broken(url, error) from error
    with answer, path.open("xb") as file:
        if answer.headers.get_content_type() == "text/html":
            raise PixlateError(f"expected the address of a file, but {public(url)} is a page; take the link of its download button")
        length = answer.headers.get("Content-Length", "")
        _copy(url, answer, file, int(length) if length.isdecimal() else None, most, watch or (lambda done, total: None))


def _copy(url: str, answer: Any, file: IO[bytes], total: int | None, most: int, watch: Callable[[int, int | None], None]) -> None:
    """Copy an answer block by block."""
    too_large = PixlateError(f"expected a file of at most {most / 1e9:.1f} GB, got more from {public(url)}; check the address")
    if total is not None and total > most:
        raise too_large
    done, end = 0, time.monotonic() + LONGEST
    while True:
        try:
            block = answer.read1(_BLOCK)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _broken(url, error) from error
        done += len(block)
        if done > most:
            raise too_large
        if time.monotonic() > end:
            raise PixlateError(f"{public(url)} has sent {done / 1e6:.1f} MB in {LONGEST / 3600:.0f} hours; download the file with a browser")
        if not block:
            break
        file.write(block)
        watch(done, total)
    if total is not None and done < total:
        raise PixlateError(f"{public(url)} ended after {done} of {total} bytes; try again")


def _broken(url: str, error: Exception) -> PixlateError:
    reason = error.reason if isinstance(error, URLError) else error
    text = " ".join(str(reason).split()) or type(error).__name__
    return PixlateError(f"{public(url)} cannot be downloaded ({text}); check the address and the connection, and try again")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to addresses of HTTP, as many as the standard library allows."""

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        """Return the next request, or refuse it."""
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise PixlateError(f"{public(req.full_url)} leads on to {public(newurl)}, which is not secure; take another address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
