"""A place in a file system that fsspec opens: an object store, a server, or the memory of this process."""

import base64
import hashlib
import inspect
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, ClassVar, Literal
from urllib.parse import unquote

from pixlate.errors import PixlateError
from pixlate.places.local import missing_opener
from pixlate.plugin.place import Existing, Failures, Found, GivenUp, Reach, Store, Version
from pixlate.system.text import shown
from pixlate_fsspec.retries import cause, refusing, steady

_WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "tos", "memory"}
"""Protocols whose objects are written atomically, and have no folders to be made. All others are written under a temporary name first."""
_FTP = Lock()
"""Of the one protocol whose client is not made for several threads."""
_CHECKSUMS = ("md5Hash", "content_md5", "content_settings", "ETag", "etag")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "timeModified", "created")


def open_url(text: str) -> "Url":
    """Return the place of a URL.

    Raises:
        PixlateError: fsspec or the package for the URL's protocol is missing, or the protocol is unknown.
    """
    name = shown(text)
    try:
        core = import_module("fsspec.core")
    except ImportError as error:
        raise missing_opener(name) from error
    with refusing(name):
        try:
            system, path = core.url_to_fs(text)
            system.invalidate_cache()
        except ImportError as error:
            missing = getattr(error.__cause__, "name", None) or error.name or "one"
            package = "smbprotocol" if missing == "smbclient" else missing
            raise PixlateError(f"{name} needs the package {package}, which is missing; run: pip install {package}") from error
        except ValueError as error:
            if "rotocol" not in str(error):
                raise
            protocol = re.split("://|::", text, maxsplit=1)[0]
            raise PixlateError(f"expected a URL such as s3://, gs:// or https://, got {name}, whose protocol {protocol} is not known; fix it") from error
    return Url(Root(system, path, name))


@dataclass(frozen=True)
class Root:
    """A URL as it was given; the millions that may be below share it."""

    fs: Any
    """The file system, of fsspec."""
    path: str
    """As the file system spells it."""
    name: str
    """As it is printed."""

    @cached_property
    def system(self) -> tuple[object, ...]:
        """What distinguishes the file system from every other."""
        return type(self.fs), tuple(sorted((name, str(value)) for name, value in self.fs.storage_options.items()))


@dataclass(frozen=True, slots=True)
class Url:
    """A file, folder or glob in a file system; see :class:`pixlate.plugin.place.Place`."""

    root: Root
    key: str = ""
    """Path below the root; empty for the root itself."""
    listed_version: Version | None = None
    """What a listing said of the file."""
    local: ClassVar[None] = None
    """It is downloaded before it is read."""

    def __str__(self) -> str:
        return self.name

    @property
    def fs(self) -> Any:
        """The file system, of fsspec."""
        return self.root.fs

    @property
    def path(self) -> str:
        """As the file system spells it."""
        return f"{self.root.path.rstrip('/')}/{self.key}" if self.key else self.root.path

    @property
    def name(self) -> str:
        """As it is printed."""
        first, chain, rest = self.root.name.partition("::")
        return f"{first.removesuffix('/')}/{self.key}{chain}{rest}" if self.key else self.root.name

    @property
    def protocol(self) -> str:
        """Such as ``s3``."""
        return self.fs.protocol if isinstance(self.fs.protocol, str) else str(self.fs.protocol[0])

    @property
    def is_web(self) -> bool:
        """Whether it is an address of the web, whose parts are quoted."""
        return self.protocol in {"http", "https"}

    @property
    def is_object_store(self) -> bool:
        """Whether a file is written atomically."""
        return self.protocol in _WHOLE

    @property
    def reach(self) -> Reach:
        """Who can open it."""
        return "process" if self.protocol == "memory" else "machine" if self.protocol in ("file", "local") else "anywhere"

    def identity(self) -> tuple[object, ...]:
        """Return what distinguishes it from every other file."""
        return *self.root.system, self.path.rstrip("/")

    @property
    def pure(self) -> PurePosixPath:
        """Its path, for its parts, its name and its suffix."""
        path = self.path.partition("?")[0] if self.is_web else self.path
        return PurePosixPath(unquote(path) if self.is_web else path)

    @property
    def parent(self) -> "Url":
        """The parent folder."""
        above = self.name.rstrip("/").rpartition("/")[0]
        return Url(Root(self.fs, self.path.rstrip("/").rpartition("/")[0], f"{above}/" if above.endswith(":/") else above))

    def child(self, relative: str) -> "Url":
        """Return what is below."""
        return Url(self.root, f"{self.key.rstrip('/')}/{relative}" if self.key else relative)

    def kind(self) -> Literal["folder", "file", "nothing"]:
        """Return what exists here."""
        with refusing(self.name):
            info = self.info()
        return "nothing" if info is None else "folder" if info.get("type") == "directory" or (self.is_web and self.path.endswith("/")) else "file"

    def files(self, out: Store, failures: Failures) -> Iterator[Found]:
        """Yield the files it names; see :func:`pixlate_fsspec.walk.find`."""
        from pixlate_fsspec.walk import find

        return find(self, out, failures)

    def version(self) -> Version:
        """Return what distinguishes this content from another, as the listing said."""
        return self.listed_version or version_of(self.info() or {})

    def store(self) -> Store:
        """Return the folder as an output folder, which cannot be inside an archive."""
        from pixlate_fsspec.store import UrlStore

        if "::" in self.name:
            raise PixlateError(f"expected the output at a URL without ::, got {self}; write into a folder and pack it afterwards")
        return UrlStore(self)

    def info(self) -> Mapping[str, Any] | None:
        """Return what the file system says, or None where there is nothing."""
        found: Mapping[str, Any] | None = None
        with suppress(FileNotFoundError):
            found = self._do(self.fs.info, self.path)
        return found

    def below(self, depth: int | None = None) -> list["Url"]:
        """Return the files below this folder, in the order of the parts of their names, as URLs of which this folder is the root.

        The listing of a million files is larger than the URLs, so each part of it is dropped as soon as it has been read.
        """
        found: dict[str, Mapping[str, Any]] = self._do(self.fs.find, self.path, maxdepth=depth, detail=True)
        self.fs.invalidate_cache(self.path)  # which holds the listing, too
        root = Root(self.fs, self.path, self.name)
        base = self.path.rstrip("/") + "/"
        paths = [path for path in found if path.startswith(base) and not path.endswith("/")]
        if any(_parts(first) > _parts(second) for first, second in pairwise(paths)):  # most stores list in order, and sorting takes memory
            paths.sort(key=_parts)
        paths.reverse()
        below = []
        while paths:
            path = paths.pop()
            below.append(Url(root, path.removeprefix(base), version_of(found.pop(path))))
        return below

    def listed(self) -> dict[str, Existing]:
        """Return what is directly in this folder, by name, as it is now: other processes may have written there."""
        self.fs.invalidate_cache(self.path)
        found: dict[str, Existing] = {}
        with suppress(FileNotFoundError, NotADirectoryError):
            for info in self._do(self.fs.ls, self.path, detail=True):
                path = str(info["name"]).rstrip("/")
                name, is_folder = path.rpartition("/")[2], info.get("type") == "directory"
                if path != self.path.rstrip("/") and not (name in found and is_folder):
                    found[name] = Existing(-1) if is_folder else Existing(int(info.get("size") or 0), md5_of(info))
        return found

    def read(self) -> bytes:
        """Return the content; raise FileNotFoundError where there is no such file."""
        content: bytes = self._do(self.fs.cat_file, self.path)
        return content

    def write(self, content: bytes, create: bool = False) -> None:
        """Write a small file.

        Raises:
            FileExistsError: ``create``, and something exists there already, as far as the file system can tell.
        """
        self._make_parent()
        self._do(self.fs.pipe_file, self.path, content, **self._mode(self.fs.pipe_file, create))

    def upload(self, part: Path, create: bool, aside: "Url") -> None:
        """Write a file atomically.

        Args:
            part: The local file.
            create: As in :meth:`write`.
            aside: A temporary name on the same file system, for those where a file being written can be seen.
        """
        if self.protocol == "memory":
            self.write(part.read_bytes(), create)
            return
        if self.is_object_store:
            self._do(self.fs.put_file, str(part), self.path, **self._mode(self.fs.put_file, create))
            return
        aside._make_parent()
        self._do(self.fs.put_file, str(part), aside.path)
        self._make_parent()
        with self._serial():
            if create and self.fs.exists(self.path):
                raise FileExistsError(self.path)
            try:
                self.fs.mv(aside.path, self.path)
            except FileNotFoundError:  # an attempt whose answer was lost, if the file is there
                if self.fs.exists(aside.path) or not self.fs.exists(self.path):
                    raise
            except OSError:  # some do not rename onto a file
                if create or not self.fs.exists(self.path):
                    raise
                self.fs.rm_file(self.path)
                self.fs.mv(aside.path, self.path)

    def remove(self) -> None:
        """Remove the file, if it is there."""
        with suppress(FileNotFoundError):
            self._do(self.fs.rm_file, self.path)

    def remove_folder(self) -> None:
        """Remove the folder, if it is there and empty."""
        if not self.is_object_store:
            with suppress(Exception):
                self.fs.rmdir(self.path)

    @contextmanager
    def fetched(self, give_up: Callable[[], bool] = lambda: False) -> Iterator[Path]:
        """Yield a local copy, which is removed at the end; see :meth:`pixlate.plugin.place.Place.fetched`."""
        ending = self.pure.suffix if self.pure.suffix[1:].isalnum() else ""
        number, text = tempfile.mkstemp(prefix="pixlate-", suffix=ending)
        os.close(number)
        path = Path(text)
        try:
            try:
                with self._serial():
                    steady(lambda: self.fs.get_file(self.path, text), give_up)
            except FileNotFoundError as error:
                raise PixlateError("there is no such file; it may have been moved or renamed since the folder was listed") from error
            except Exception as error:
                if give_up():
                    raise GivenUp from error
                raise PixlateError(
                    f"the file cannot be fetched ({cause(error)}); check the network and the credentials, and run the same command again"
                ) from error
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _make_parent(self) -> None:
        if not self.is_object_store:
            self._do(self.fs.makedirs, self.parent.path, exist_ok=True)

    def _mode(self, function: Callable[..., object], create: bool) -> dict[str, str]:
        """Return how to ask that nothing is replaced; where the file system has no word for it, look first."""
        if create and "mode" in inspect.signature(function).parameters:
            return {"mode": "create"}
        if create and self.fs.exists(self.path):
            raise FileExistsError(self.path)
        return {}

    def _do(self, act: Callable[..., Any], *arguments: object, **named: Any) -> Any:
        """Call a method of the file system, with retries."""
        with self._serial():
            return steady(lambda: act(*arguments, **named))

    def _serial(self) -> AbstractContextManager[object]:
        return _FTP if self.protocol == "ftp" else nullcontext()


def _parts(path: str) -> str:
    """Return a text that sorts as the parts of a path do."""
    return path.replace("/", "\0")


def version_of(info: Mapping[str, Any]) -> Version:
    """Return what changes when a file does, from its file system's metadata: its checksum, or else its modification time."""
    size, told = int(info.get("size") or 0), _checksum(info) or next((time for time in map(info.get, _TIMES) if time not in (None, "")), "")
    if isinstance(told, datetime):
        return Version(size, round(told.timestamp() * 1e6) * 1000)
    if isinstance(told, int | float):
        return Version(size, int(told * 1e9))
    return Version(size, int.from_bytes(hashlib.sha256(str(told).encode()).digest()[:7]) if told else 0)


def md5_of(info: Mapping[str, Any]) -> str:
    """Return the MD5 in hexadecimal where a file system reports one, or nothing: not every ``ETag`` is one."""
    checksum = _checksum(info)
    if match := re.fullmatch('"?([0-9a-f]{32})"?', checksum.lower()):
        return match[1]
    with suppress(ValueError):
        decoded = base64.b64decode(checksum, validate=True)
        return decoded.hex() if len(decoded) == 16 else ""
    return ""


def _checksum(info: Mapping[str, Any]) -> str:
    for name in _CHECKSUMS:
        value = info.get(name)
        if value is None:
            continue
        value = value.get("content_md5") if isinstance(value, Mapping) else value
        if isinstance(value, bytes | bytearray):
            return value.hex()
        if isinstance(value, str) and value:
            return value
    return ""
