"""Text that a terminal can show, and texts that name a path or a URL."""

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pixlate.errors import PixlateError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://|[a-z0-9]+::")
_FLATTENED = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:$")


def printable(path: str | Path) -> str:
    """Return a path on one line, with control characters and undecodable bytes escaped."""
    return "".join(character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode() for character in str(path))


def file_size(count: int) -> str:
    """Return a number of bytes as a list shows it: ``31 KB`` below a megabyte, ``2.7 MB`` from there on."""
    return f"{count / 1e6:.1f} MB" if count >= 999_500 else f"{count / 1e3:.0f} KB" if count >= 500 else f"{count} bytes"


def is_url(place: str | Path) -> bool:
    """Return whether a place is a URL; ``file://`` is none, since it is a local path."""
    return isinstance(place, str) and bool(_URL.match(place)) and not place.startswith("file://")


def refuse_flattened(path: Path, expected: str) -> None:
    """Refuse a URL that was made a Path, which leaves one of its slashes."""
    if path.parts and _FLATTENED.match(path.parts[0]) and not Path(path.parts[0]).exists():
        raise PixlateError(f"expected {expected}, got the path {path}, which was a URL and has lost a slash; give a text, or a path of this machine")


def shown(place: str | Path) -> str:
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
