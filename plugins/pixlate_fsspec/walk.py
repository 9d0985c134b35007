"""Lists the files a URL names: a file, a folder or a glob. Keys of object stores are any text, so each is looked at before it becomes a path."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import unquote

from pixlate.errors import PixlateError
from pixlate.places.journal import Earlier
from pixlate.places.local import HOME, JOURNAL
from pixlate.places.paths import is_named
from pixlate.plugin.place import Failures, Found, Store
from pixlate_fsspec.retries import refusing
from pixlate_fsspec.store import UrlStore
from pixlate_fsspec.url import Url

_MAGIC = re.compile(r"[*?\[]")
_WEB_MAGIC = re.compile(r"\*")
"""In an address of the web ``?`` begins a query."""


def find(source: Url, out: Store, failures: Failures) -> Iterator[Found]:
    """Return the files a URL names; hidden folders are skipped, and ``failures`` receives the keys that are no paths.

    See :meth:`pixlate.plugin.place.Place.files`.
    """
    magic = _WEB_MAGIC if source.is_web else _MAGIC
    with refusing(str(source)):
        kind = source.kind()
        if kind == "folder":
            if isinstance(out, UrlStore) and out.root.identity() == source.identity():
                raise PixlateError(f"expected an output folder other than the source {source}; name another one")
            return _below(source, None, out, failures)
        if kind == "file":
            return iter([Found(replace(source, listed_version=source.version()), PurePosixPath(source.pure.name), named=True)])
        if magic.search(source.path):
            return _matching(source, magic, out, failures)
    raise PixlateError(f"expected a file, a folder or a glob, but {source} does not exist; check the URL")


def _matching(pattern: Url, magic: re.Pattern[str], out: Store, failures: Failures) -> Iterator[Found]:
    parts = pattern.path.split("/")
    like = tuple(parts[next(index for index, part in enumerate(parts) if magic.search(part)) :])
    base = pattern
    for _ in like:
        base = base.parent
    depth = None if "**" in like else len(like)
    return (found for found in _below(base, depth, out, failures) if is_named(found.relative.parts, like))


def _below(folder: Url, depth: int | None, out: Store, failures: Failures) -> Iterator[Found]:
    """List a folder at once, so that what cannot be listed is refused here; look at each file as it is asked for."""
    output = ""
    if isinstance(out, UrlStore) and out.root.identity()[:2] == folder.identity()[:2] and out.root.identity() != folder.identity():
        output = f"{out.root.path.rstrip('/')}/"
    listed = folder.below(depth + 1 if depth is not None and depth > 1 else depth)  # where the journals are of the folders that hold the files
    return _found(folder, listed, output, failures)


def _found(folder: Url, listed: list[Url], output: str, failures: Failures) -> Iterator[Found]:
    journals = {PurePosixPath(url.key).parent.parent for url in listed if url.key.endswith(f"/{HOME}/{JOURNAL}")}
    earlier = Earlier(lambda below: UrlStore(folder.child(below.as_posix())) if below in journals else None, failures)
    is_web = folder.is_web
    for url in listed:
        parts = [unquote(part) for part in url.key.split("/")] if is_web else url.key.split("/")
        if any(part.startswith(".") and part not in (".", "..") for part in parts[:-1]) or (output and url.path.startswith(output)):
            continue
        bad = [part for part in parts if part in ("", ".", "..") or "/" in part or "\0" in part]
        if bad:
            failures.append((str(url), f"its name has the part {bad[0]!r}, of which no path of an output can be made; rename it"))
        else:
            relative = PurePosixPath(*parts)
            text = str(relative)
            file = Url(url.root, text, url.listed_version) if text == url.key else url  # the text is the output's name, too, and in memory once
            yield Found(file, relative, output_of=earlier.output_folder(relative))
