"""Compiled models in the user's cache, so that the next start is fast: written whole or not at all, checked when they are read.

A file is a head, padded to 64 bytes, with the CRC-32 of what follows it, its own length and the JSON of the model's spec; then the blob of OpenVINO, whose
weights are used where they lie in the file. It is named by the digest of the model and by everything else that the blob depends on.
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
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import imagecodecs
import numpy as np

from pixlate.errors import PixlateError
from pixlate.inference.files import digest_model
from pixlate.system.user import cache_folder, open_kept, tag
from pixlate_openvino.library import library

if TYPE_CHECKING:
    import openvino

FORMAT = 2
"""Of the files; those of another are never found."""
MOST_BYTES = 2 << 30
"""Most that all files take: what was used longest ago goes first."""
_ALIGNMENT = 64
"""Of a blob in its file, as OpenVINO has weights in memory."""
_EXTERNAL = b"\x0a\x08location"
"""What stands in a file whose weights are in another beside it, whose digest is not that of the weights."""


class DamagedError(Exception):
    """A file of the cache is not what was written."""


class Compiled(NamedTuple):
    """A compiled model."""

    model: "openvino.CompiledModel"
    metadata: str
    content: object = None
    """What the weights lie in, which must live as long as the model."""


def compiled(path: Path, device: str, settings: dict[str, Any], read: "Callable[[], tuple[openvino.Model, str]]") -> Compiled:
    """Return a compiled model: the kept one, or one that is compiled now and kept.

    A cache that cannot be written costs time and a warning, no more.

    Args:
        path: The model file.
        device: OpenVINO's name of it.
        settings: How it is compiled.
        read: Reads the file.
    """
    try:
        blob = _path_of_blob(path, device, settings)
    except PixlateError:  # a user without a home
        blob = None
    if blob is not None:
        try:
            return _kept(blob, device, settings)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except DamagedError as error:
            warnings.warn(f"the compiled model {blob} in the cache is damaged ({error}); it is made again", stacklevel=2)
        except OSError as error:
            warnings.warn(f"the compiled model {blob} in the cache cannot be read ({error.strerror}); remove it, or check its permissions", stacklevel=2)
    model, metadata = read()
    made = library().compile_model(model, device, settings)
    if blob is not None and not _refers_to_others(path):
        try:
            _keep(blob, made, metadata)
        except OSError as error:
            warnings.warn(
                f"the compiled model cannot be kept in {blob.parent} ({error.strerror}), so that each start compiles it again; free some space there, change its "
                "permissions, or name another folder with PIXLATE_CACHE",
                stacklevel=2,
            )
    return Compiled(made, metadata)


def _refers_to_others(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_EXTERNAL) >= 0


def _path_of_blob(path: Path, device: str, settings: dict[str, Any]) -> Path:
    """Return where the compiled model of a file is kept."""
    name = library().get_property(device, "FULL_DEVICE_NAME")
    capabilities = sorted(library().get_property(device, "OPTIMIZATION_CAPABILITIES"))
    depends = json.dumps([FORMAT, version("openvino"), device, name, capabilities, sorted(settings.items())])
    return cache_folder() / "openvino" / digest_model(path)[:16] / f"{hashlib.sha256(depends.encode()).hexdigest()[:16]}.blob"


def _kept(path: Path, device: str, settings: dict[str, Any]) -> Compiled:
    """Return what a file of the cache holds."""
    import openvino

    with open_kept(path) as file:
        if os.fstat(file.fileno()).st_size < _ALIGNMENT:
            raise DamagedError("it is cut short")
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    if imagecodecs.deflate_crc32(cast(bytes, content[4:])) != int.from_bytes(content[:4], "little"):
        raise DamagedError("its checksum is another")
    length = int.from_bytes(content[4:8], "little")
    try:
        metadata, blob = bytes(content[8:length]).decode().strip(), content[length:]
    except UnicodeDecodeError as error:
        raise DamagedError("its spec is no text") from error
    with suppress(OSError):  # the folder may allow no writing
        os.utime(path)
    try:
        try:
            array = np.frombuffer(blob, np.uint8)
            return Compiled(library().import_model(openvino.Tensor(array, shared_memory=True), device, settings), metadata, content)
        except TypeError:  # OpenVINO 2025.0 takes bytes
            return Compiled(library().import_model(bytes(blob), device, settings), metadata)
    except (RuntimeError, ValueError) as error:
        raise DamagedError("OpenVINO does not take it") from error


def _keep(path: Path, made: "openvino.CompiledModel", metadata: str) -> None:
    """Write a file of the cache; two processes that do so at once write the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent.parent
    tag(folder)
    blob, text = made.export_model(), metadata.encode()
    blob = blob if isinstance(blob, bytes) else blob.getbuffer()  # 2025.0 gives bytes, 2026 a stream
    length = -(-(8 + len(text)) // _ALIGNMENT) * _ALIGNMENT
    content = b"".join([length.to_bytes(4, "little"), text.ljust(length - 8), blob])
    handle, part = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(imagecodecs.deflate_crc32(content).to_bytes(4, "little"))
            file.write(content)
        Path(part).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(part).unlink()
        raise
    _make_room(folder)


def _make_room(folder: Path) -> None:
    """Remove what was used longest ago, where all files take more than :data:`MOST_BYTES`; also parts that killed processes have left."""
    found = []
    for path in folder.glob("*/*"):
        with suppress(OSError):  # another process removes it
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found)[:-1]:
        if total > MOST_BYTES:
            with suppress(OSError):
                path.unlink()
                total -= size
