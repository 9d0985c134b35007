"""Where images lie: a path on this machine or a URL. fsspec comes in only where there is a URL."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from pixlate.errors import PixlateError

if TYPE_CHECKING:
    from pixlate.places.url import Url

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://|[a-z0-9]+::")
_FLATTENED = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:$")
_PIP_NAMES: Mapping[str, str] = MappingProxyType({"smbclient": "smbprotocol", "pygit2": "pygit2", "dropboxdrivefs": "dropboxdrivefs"})
"""Module -> package, where the names differ."""


def is_url(place: str | Path) -> bool:
    """Tell whether a place is a URL; ``file://`` counts as none, since it is a path of this machine."""
    return isinstance(place, str) and bool(_URL.match(place)) and not place.startswith("file://")


def locate(place: str | Path) -> "Path | Url":
    """Return the path of a place on this machine, or an opened URL of another.

    Raises:
        PixlateError: fsspec or the package for the URL's protocol is missing, the protocol is unknown, or a URL was given as a Path.
    """
    if isinstance(place, str) and is_url(place):
        return _open(place)
    if isinstance(place, str):
        return Path(unquote(place.removeprefix("file://"))) if place.startswith("file://") else Path(place)
    refuse_flattened(place, "a URL")
    return place


def refuse_flattened(path: Path, expected: str) -> None:
    """Refuse a URL that was made a Path, which leaves one of its slashes.

    Raises:
        PixlateError: With what was expected instead.
    """
    if path.parts and _FLATTENED.match(path.parts[0]) and not Path(path.parts[0]).exists():
        raise PixlateError(f"expected {expected}, got the path {path}, which was a URL and has lost a slash; give a text, or a path of this machine")


def shown(place: "str | Path | Url") -> str:
    """Return a place as it may be printed: a URL without password and, where one signs it, without its query."""
    text = str(place)
    return _without_secrets(text) if is_url(text) else text


def _without_secrets(url: str) -> str:
    first, chain, rest = url.partition("::")
    parts = urlsplit(first)
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}{at}{host}" if parts.scheme in {"http", "https", "sftp", "ssh", "ftp", "smb", "webdav", "hdfs", "webhdfs"} else ""
    if netloc:
        first = urlunsplit((parts.scheme, netloc, parts.path, "", "") if parts.scheme in {"http", "https"} else (parts.scheme, netloc, *parts[2:]))
    return first + chain + (_without_secrets(rest) if "://" in rest else rest)


def _open(text: str) -> "Url":
    """Open the file system of a URL."""
    name = shown(text)
    protocol = re.split("://|::", text, maxsplit=1)[0]
    try:
        core = import_module("fsspec.core")
    except ImportError as error:
        raise PixlateError(f"{name} is a URL, and the package that opens URLs is missing; run: pip install 'pixlate[remote]'") from error
    from pixlate.places.remote import refusal
    from pixlate.places.url import Url

    try:
        system, path = core.url_to_fs(text)
        system.invalidate_cache()
    except ImportError as error:
        missing = getattr(error.__cause__, "name", None) or getattr(error, "name", None) or "one"
        package = _PIP_NAMES.get(missing, missing)
        raise PixlateError(f"{name} needs the package {package}, which is missing; run: pip install {package}") from error
    except ValueError as error:
        if "rotocol" not in str(error):
            raise refusal(error, name) from error
        raise PixlateError(f"expected a URL such as s3://, gs:// or https://, got {name}, whose protocol {protocol} is not known; mend it") from error
    except Exception as error:
        raise refusal(error, name) from error
    return Url(system, path, name)
