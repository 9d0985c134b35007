"""Pictures as they come from a page and go to it: uploads within limits, what a browser shows, downloads of one or all."""

import asyncio
import zipfile
from collections.abc import Iterator, Sequence
from mimetypes import guess_type
from pathlib import Path
from typing import IO
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from pixlate.errors import PixlateError
from pixlate.images import ImageFile, Picture, to_srgb, unsupported
from pixlate.images.picture import to_8_bits
from pixlate.images.write import encode_picture
from pixlate.plugin.manager import installed
from pixlate_web.options import WebOptions
from pixlate_web.sessions import Session

SHOWN = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif", "gif": "image/gif", "bmp": "image/bmp"}
"""Formats that browsers show, and their names on the web."""
LONGEST_NAME = 120
"""Letters of a file name that are kept."""
PIECE = 1 << 20
ANY_SIZE = 2**62
"""A limit for what has passed the limit before, or was made of that."""
MOST_DECODED = 100_000_000
"""Pixels of a file that browsers do not show by themselves."""
_FORBIDDEN = '<>:"/\\|?*'
"""Signs that some file system, or a path, has another use for."""


def refused(error: Exception, status: int = 422) -> JSONResponse:
    """Return the answer that shows a sentence on the page."""
    return JSONResponse({"error": str(error)}, status)


async def received(request: Request, path: Path, options: WebOptions) -> None:
    """Write the body of a request to a file.

    Raises:
        PixlateError: It is empty or too large, or no more of it comes within the time.
        ClientDisconnect: The page was closed meanwhile.
    """
    too_large = PixlateError(f"expected a file of at most {options.max_bytes:,} bytes, got more; convert it with `pixlate convert`, or make it smaller first")
    if int(request.headers.get("content-length", "0")[:20]) > options.max_bytes:
        raise too_large
    count, parts = 0, aiter(request.stream())
    try:
        with path.open("wb") as file:
            while True:
                async with asyncio.timeout(options.timeout_s):
                    part = await anext(parts, None)
                if part is None:
                    break
                count += len(part)
                if count > options.max_bytes:
                    raise too_large
                file.write(part)
    except TimeoutError as error:
        raise PixlateError(f"expected the whole file, got {count:,} bytes and then nothing for {options.timeout_s:g} s; drop it again") from error
    except OSError as error:
        raise PixlateError(f"this machine does not take the file ({error.strerror or error}); free some space on its disk and drop it again") from error
    if not count:
        raise PixlateError("expected a picture, got an empty file; drop another")


async def upload(request: Request, session: Session, options: WebOptions) -> Response:
    """Take in a picture that was dropped on a page: the body is the file, ``?name=`` its name."""
    try:
        name = safe_name(request.query_params.get("name", ""))
        with session.place(name) as (number, path):
            await received(request, path, options)
            size = await run_in_threadpool(measured, path, options.max_pixels)
            picture = session.keep(number, path, size)
    except PixlateError as error:
        return refused(error)
    except ClientDisconnect:
        return Response(status_code=499)
    return JSONResponse({"number": number, "name": picture.name, "width": size[0], "height": size[1], "bytes": picture.path.stat().st_size})


def safe_name(name: str) -> str:
    """Return a file name that every file system takes, and leads into no other folder.

    Raises:
        PixlateError: Its suffix is that of no image.
    """
    kept = "".join("_" if letter in _FORBIDDEN or ord(letter) < 32 else letter for letter in name.replace("\\", "/").rpartition("/")[2]).strip(". ")
    stem, dot, suffix = kept.rpartition(".")
    formats = installed().image_formats()
    if not dot or f".{suffix.lower()}" not in formats:
        known = ", ".join(sorted({format.title for format in formats.values()}))
        kind = f" ({advice})" if (advice := _advice(suffix)) else ""
        raise PixlateError(f"expected a picture ({known}), got {name[-LONGEST_NAME:] or 'a file without a name'}{kind}; drop another")
    return f"{stem[: LONGEST_NAME - len(suffix) - 1] or 'picture'}.{suffix}"


def accepted() -> str:
    """Return what the browser's dialog for files offers: pictures, and every name that :func:`safe_name` takes, many of which browsers do not know as pictures."""
    return ",".join(["image/*", *sorted(installed().image_formats())])


def _advice(suffix: str) -> str:
    """Return what to do instead, of what people have and the page does not take."""
    if f".{suffix.lower()}" in unsupported.FILMS:
        return "a film: start the page as `pixlate web FOLDER` with its folder and use the tab Folder, or run `pixlate convert`"
    return unsupported.PHONE if suffix.lower() in ("heic", "heif") else ""


def measured(path: Path, max_pixels: int) -> tuple[int, int]:
    """Return width and height from a file's header; a plugin's format without one is decoded.

    Raises:
        PixlateError: The file is no image, is damaged as far as its header shows, or has too many pixels.
    """
    with ImageFile(path, max_pixels=max_pixels, formats=installed().image_formats()) as file:
        return file.size


def view(path: Path) -> Response:
    """Return a picture as a browser shows it: the file itself where it can, as of films, or its pixels as PNG of 8 bits."""
    if path.suffix.lower() in unsupported.FILMS:
        return FileResponse(path, media_type=guess_type(path.name)[0] or "application/octet-stream")
    try:
        with ImageFile(path, max_pixels=ANY_SIZE, formats=installed().image_formats()) as file:
            if file.format.name in SHOWN:
                return FileResponse(path, media_type=SHOWN[file.format.name])
            width, height = file.size
            if width * height > MOST_DECODED:
                raise PixlateError(f"expected at most {MOST_DECODED / 1e6:.0f} million pixels to show of a {file.format.title} file, got more; download it")
            picture = to_srgb(file.read(3))
        data, _ = encode_picture(Picture(to_8_bits(picture.pixels), None if picture.alpha is None else to_8_bits(picture.alpha)), "png")
    except PixlateError as error:
        return refused(error)
    return Response(data, media_type="image/png")


def attachment(name: str) -> dict[str, str]:
    """Return the header that makes a browser save an answer under a name."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}


def download(path: Path) -> Response:
    """Return a file as it is, to be saved."""
    return FileResponse(path, media_type="application/octet-stream", headers=attachment(path.name))


class _Chunks:
    """What a zip file writes to, as far as nobody has taken it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Take bytes in."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: what was written is taken as it comes."""

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def zipped(paths: Sequence[Path]) -> Iterator[bytes]:
    """Yield a zip file of files, each under its own name, or with a number where two have one; pictures are packed already, so they are only stored."""
    chunks = _Chunks()
    names: set[str] = set()
    with zipfile.ZipFile(chunks, "w") as archive:  # type: ignore[call-overload]  # it only writes, one after the other
        for path in paths:
            name, count = path.name, 1
            while name.lower() in names:
                count += 1
                name = f"{path.stem} ({count}){path.suffix}"
            names.add(name.lower())
            entry = zipfile.ZipInfo.from_file(path, name)
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=path.stat().st_size > 1 << 31) as target:
                yield from _copied(source, target, chunks)
    yield chunks.taken()


def _copied(source: IO[bytes], target: IO[bytes], chunks: _Chunks) -> Iterator[bytes]:
    while piece := source.read(PIECE):
        target.write(piece)
        yield chunks.taken()


def download_all(paths: Sequence[Path]) -> Response:
    """Return a zip file of files, made while it is sent."""
    return StreamingResponse(zipped(paths), media_type="application/zip", headers=attachment("pixlate.zip"))
