"""Who may reach a server on this machine: the address it listens on, its token, and the names and pages it answers to. For `pixlate serve` and `pixlate web`."""

import ipaddress
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pixlate.errors import PixlateError

MOST_LETTERS = 4096
"""Letters of a token in a file: no client sends more in a header, and a path may be that of a device without an end."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_one_token(token: str | None, token_file: Path | None, without_token: bool) -> None:
    """Refuse options that contradict each other."""
    if token == "":
        raise PixlateError("expected --token to be a secret, got nothing in quotes, with which anybody would get in; write one, or leave it out")
    if token and token_file is not None:
        raise PixlateError("expected --token or --token-file, got both; leave one of them out")
    if without_token and (token or token_file is not None):
        raise PixlateError("expected a token or --without-token, got both; leave one of them out")


def required_token(host: str, token: str | None, token_file: Path | None, without_token: bool, environment: str) -> str:
    """Return the token clients must send, empty where none is asked for: that of the options goes before PIXLATE_TOKEN of the environment.

    Raises:
        PixlateError: The token is not valid in a header, or there is none and other machines can connect.
    """
    found = token or (_first_line(token_file) if token_file is not None else environment)
    if without_token:
        return ""
    if not found and not is_loopback(host):
        raise PixlateError(f"expected a token, since other machines can connect to --host {host}; add --token-file FILE, or --without-token to let anybody in")
    if not all("!" <= letter <= "~" for letter in found):
        raise PixlateError(
            "expected a token of letters, digits and signs of ASCII without blanks; make one: python -c 'import secrets; print(secrets.token_hex())'"
        )
    return found


def bound(host: str, port: int) -> socket.socket:
    """Return a socket with the address, so that one that is taken is known before anything is loaded.

    Raises:
        PixlateError: The address is taken, or none of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise PixlateError(f"expected --host to be an address of this machine, got {host!r}; write 127.0.0.1, or 0.0.0.0 for all of them") from error
    family, _, _, _, address = min(found, key=lambda item: item[0] != socket.AF_INET)
    dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(address, family=family, dualstack_ipv6=dual)  # two servers may bind, only one may listen
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise PixlateError(f"cannot listen on {host} at port {port} ({reason}); choose another --port, or 0 for a free one") from error


class Callers:
    """The names that clients may call a server by, and the web pages that may use it.

    A page of any site can have its visitor's browser send requests to this machine; the header Origin names the page. And it can have the name of its own
    site changed to the address of this machine, to read answers as its own (DNS rebinding); the header Host names that site.

    Args:
        host: The address listened on; names are checked where only this machine can connect.
        hosts: Names that are allowed besides those of this machine.
        origins: Pages that are allowed besides the server's own; ``*`` for all.
    """

    def __init__(self, host: str, hosts: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
        self._origins = origins
        self._hosts = {name.lower() for name in (host, "localhost", *hosts)} if is_loopback(host) else None

    def know(self, host: str) -> bool:
        """Return whether the header Host names this machine."""
        if self._hosts is None:
            return True
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        return name in self._hosts or _is_loopback_address(name)

    def may_come_from(self, origin: str, host: str, site: str) -> bool:
        """Return whether the page that the header Origin names may use the server; ``site`` is the header Sec-Fetch-Site."""
        own = origin.lower().partition("://")[2]
        return (own != "" and own == host.lower()) or site == "same-origin" or origin in self._origins or "*" in self._origins


def _is_loopback_address(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _first_line(path: Path) -> str:
    try:
        with path.open() as stream:
            line = stream.readline(MOST_LETTERS + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise PixlateError(f"--token-file {path} cannot be read ({reason}); check its path") from error
    if not line:
        raise PixlateError(f"expected the token in the first line of --token-file {path}, got an empty one; write it there")
    if len(line) > MOST_LETTERS:
        raise PixlateError(f"expected a token of at most {MOST_LETTERS} letters in the first line of --token-file {path}, got more; check its path")
    return line
