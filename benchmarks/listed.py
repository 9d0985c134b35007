"""A store in memory that lists as many objects as a benchmark asks for, and holds no pixel of them.

Its listings have the fields that S3 sends, of the sizes that S3 sends; what is written into it, such as a lease, is kept.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from fsspec import register_implementation  # type: ignore[import-untyped]
from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

FOLDER = 1000
"""Objects in a folder."""
SIZE = 120_000
"""Bytes that each object says it has."""
_CHANGED = datetime(2026, 1, 1, tzinfo=UTC)


def name_of(index: int) -> str:
    """Return the name of an object below its folder, as a camera and a person give them."""
    return f"{index // FOLDER:04d}/IMG_{index:08d}.jpg"


def md5_of(index: int) -> str:
    """Return the checksum that the store says an object has."""
    return f"{index + 1:032x}"


def lines_of(count: int, settings: str) -> bytes:
    """Return the journal of a conversion of all objects."""
    from pixlate.places.entries import Entry
    from pixlate_fsspec.url import version_of

    lines = []
    for index in range(count):
        name, version = name_of(index), version_of(_info("", index))
        lines.append(Entry(name, SIZE, hashlib.sha256(name.encode()).hexdigest(), version.size, version.mtime, settings, md5_of(index)).line())
    return b"".join(lines)


class Listed(AbstractFileSystem):  # type: ignore[misc]
    """The bucket ``listed://bucket/photos``, whose outputs ``listed://bucket/large`` has too once ``finished`` is set."""

    protocol = "listed"
    count: ClassVar[int] = 0
    finished: ClassVar[bool] = False
    journal: ClassVar[Path | None] = None
    """The journal of the outputs."""
    written: ClassVar[dict[str, bytes]] = {}

    def info(self, path: str, **_: object) -> dict[str, Any]:
        """Return what is at a path: a folder or what was written."""
        path = self._strip_protocol(path)
        if path in self.written:
            return {"name": path, "size": len(self.written[path]), "type": "file"}
        if path in ("bucket", "bucket/photos") or (path == "bucket/large" and self.finished):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def find(self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **_: object) -> dict[str, Any]:
        """Return all objects below the folder of sources, as one flat listing does."""
        assert detail and path == "bucket/photos"
        return {(info := _info(path, index))["name"]: info for index in range(self.count)}

    def ls(self, path: str, detail: bool = True, **_: object) -> list[dict[str, Any]]:
        """Return what is directly in a folder of the outputs."""
        last = path.rpartition("/")[2]
        if not self.finished or not last.isdigit():
            return []
        first = int(last) * FOLDER
        return [_info("bucket/large", index) for index in range(first, min(first + FOLDER, self.count))]

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
        """Return what was written."""
        if path.endswith("/journal.jsonl") and self.journal is not None:
            return self.journal.read_bytes()
        if path not in self.written:
            raise FileNotFoundError(path)
        return self.written[path]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        """Write a small object."""
        self.written[path] = value

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: there are no folders to be made."""

    def rm_file(self, path: str) -> None:
        """Remove what was written."""
        self.written.pop(path, None)

    def put_file(self, lpath: str, rpath: str, callback: object = None, mode: str = "overwrite", **_: object) -> None:
        """Write a file, of which only the size is kept."""
        self.written[rpath] = Path(lpath).read_bytes()[:1]

    def mv(self, path1: str, path2: str, **_: object) -> None:
        """Rename what was written."""
        self.written[path2] = self.written.pop(path1)


def _info(folder: str, index: int) -> dict[str, Any]:
    """Return an object as ``s3fs`` has it from a page of ``ListObjectsV2``."""
    path = f"{folder}/{name_of(index)}"
    return {
        "Key": path,
        "LastModified": _CHANGED,
        "ETag": f'"{md5_of(index)}"',
        "Size": SIZE,
        "StorageClass": "STANDARD",
        "type": "file",
        "size": SIZE,
        "name": path,
    }


register_implementation("listed", Listed, clobber=True)
