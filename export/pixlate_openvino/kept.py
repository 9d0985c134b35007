"""Compiled models in the user's cache, so that the next start is fast: written whole or not at all, checked when they are read.

A file is the SHA-256 of what follows, then the JSON of the model's spec and its length, then the blob of OpenVINO. It is named by the digest of the
model and by everything else that the blob depends on.
"""

import hashlib
import json
import mmap
import os
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixlate.errors import PixlateError
from pixlate.inference.files import digest_model
from pixlate.system.user import cache_folder, tag
from pixlate_openvino.library import library

if TYPE_CHECKING:
    import openvino

_LENGTH = 8
"""Bytes of the length of the metadata."""
_EXTERNAL = b"\x0a\x08location"
"""What stands in a file whose weights are in another beside it, whose digest is not that of the weights."""


class DamagedError(Exception):
    """A file of the cache is not what was written."""


def compiled(path: Path, device: str, settings: dict[str, Any], read: "Callable[[], tuple[openvino.Model, str]]") -> "tuple[openvino.CompiledModel, str]":
    """Return a compiled model and its metadata: the kept one, or one that is compiled now and kept.

    A cache that cannot be written costs time and a warning, no more.

    Args:
        path: The model file.
        device: OpenVINO's name of it.
        settings: How it is compiled.
        read: Reads the file.
    """
    try:
        place = None if _refers_to_others(path) else _place(path, device, settings)
    except PixlateError:  # a user without a home
        place = None
    if place is not None:
        try:
            return _kept(place, device, settings)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except DamagedError as error:
            warnings.warn(f"the compiled model {place} in the cache is damaged ({error}); it is made again", stacklevel=2)
        except OSError as error:
            warnings.warn(f"the compiled model {place} in the cache cannot be read ({error.strerror}); check its permissions", stacklevel=2)
    model, metadata = read()
    made = library().compile_model(model, device, settings)
    if place is not None:
        try:
            _keep(place, made, metadata)
        except OSError as error:
            warnings.warn(
                f"the compiled model cannot be kept in {place.parent} ({error.strerror}), so that each start compiles it again; free some space there, change its "
                "permissions, or name another folder with PIXLATE_CACHE",
                stacklevel=2,
            )
    return made, metadata


def _refers_to_others(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_EXTERNAL) >= 0


def _place(path: Path, device: str, settings: dict[str, Any]) -> Path:
    """Return where the compiled model is kept."""
    name = library().get_property(device, "FULL_DEVICE_NAME")
    capabilities = sorted(library().get_property(device, "OPTIMIZATION_CAPABILITIES"))
    depends = json.dumps([version("openvino"), device, name, capabilities, sorted(settings.items())])
    return cache_folder() / "openvino" / digest_model(path)[:16] / f"{hashlib.sha256(depends.encode()).hexdigest()[:16]}.blob"


def _kept(place: Path, device: str, settings: dict[str, Any]) -> "tuple[openvino.CompiledModel, str]":
    """Return what a file of the cache holds."""
    content = place.read_bytes()
    body = memoryview(content)[32:]
    if hashlib.sha256(body).digest() != content[:32]:
        raise DamagedError("its digest is another")
    length = int.from_bytes(body[:_LENGTH], "little")
    metadata, blob = bytes(body[_LENGTH : _LENGTH + length]).decode(), body[_LENGTH + length :]
    try:
        return library().import_model(bytes(blob), device, settings), metadata
    except RuntimeError as error:
        raise DamagedError("OpenVINO does not take it") from error


def _keep(place: Path, made: "openvino.CompiledModel", metadata: str) -> None:
    """Write a file of the cache; two processes that do so at once write the same."""
    place.parent.mkdir(parents=True, exist_ok=True)
    tag(place.parent.parent)
    text, blob = metadata.encode(), made.export_model()
    blob = blob if isinstance(blob, bytes) else blob.getbuffer()  # 2025.0 gives bytes, 2026 a stream
    body = b"".join([len(text).to_bytes(_LENGTH, "little"), text, blob])
    handle, part = tempfile.mkstemp(dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(body).digest())
            file.write(body)
        Path(part).replace(place)
    except BaseException:
        with suppress(OSError):
            Path(part).unlink()
        raise
