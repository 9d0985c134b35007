"""Model repositories for Triton Inference Server, written from the model file alone, without PyTorch.

Files are written atomically, and nothing is overwritten unasked.
"""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pixlate.errors import PixlateError
from pixlate.inference.models import cards, find
from pixlate_triton.config import cache_folder, config_text, tensor_text
from pixlate_triton.interface import Interface, read_interface
from pixlate_triton.options import TritonOptions, require_name

MODEL, CONFIG = "model.onnx", "config.pbtxt"


@dataclass(frozen=True)
class Written:
    """What a repository holds now."""

    model: Path
    """The copied model file, new."""
    config: Path
    """The configuration."""
    config_written: bool
    """Whether the configuration is new; otherwise that of the other versions holds for this one too."""
    config_differs: bool
    """Whether a kept configuration says something else than the options did."""


@dataclass(frozen=True)
class TritonModel:
    """What was written."""

    name: str
    """Name by which clients ask for the model."""
    interface: Interface
    """What it takes and gives."""
    written: Written
    """Which files were written and which kept."""


def write_model(model: str | Path, repository: Path, options: TritonOptions | None = None) -> TritonModel:
    """Write ``NAME/VERSION/model.onnx`` and ``NAME/config.pbtxt`` into a repository, atomically.

    Args:
        model: A ready model's name or an .onnx file.
        repository: The folder; made where it is missing.
        options: How Triton is to run it.

    Raises:
        PixlateError: No such model, no image model, a name Triton cannot take, files in the way, or a folder that cannot be written.
    """
    options = options or TritonOptions()
    path = find(model)
    name = require_name(options.name or (str(model) if str(model) in cards() else path.stem))
    interface = read_interface(path)
    if options.device == "cpu" and not interface.tried:
        raise PixlateError(f"expected --device gpu, since ONNX Runtime has no operators on CPUs for {path}; leave out --device cpu, or export in float32")
    text = config_text(name, interface, options)
    return TritonModel(name, interface, _write(repository, name, interface, text, options))


def _write(repository: Path, name: str, interface: Interface, config: str, options: TritonOptions) -> Written:
    version, overwrite = options.version_number, options.overwrite
    if "\0" in str(repository):
        raise PixlateError(f"expected a folder for REPOSITORY, got {str(repository)!r}, which no folder can be called; name another")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]", str(repository)):  # a path has taken one of the URL's two slashes away
        raise PixlateError(f"expected a folder on this machine for REPOSITORY, got the URL {repository}; write it here and copy it there")
    folder, target = repository / name, repository / name / str(version)
    try:
        if repository.exists() and not repository.is_dir():
            raise PixlateError(f"expected a folder for REPOSITORY, but {repository} is a file; name another")
        before = _require_room(folder, target, interface, overwrite)
        keep = before is not None and not overwrite
        repository.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{name}.", suffix=".partial", dir=repository) as temporary:
            partial = Path(temporary) / name  # a folder in the private one, so that the server may read it
            (partial / str(version)).mkdir(parents=True)
            _write_file(partial / str(version) / MODEL, interface.model)
            if not keep:
                _write_file(partial / CONFIG, config.encode())
            _move(partial, folder, version, overwrite)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise PixlateError(f"another command has just written {folder}; look at it, and run this one again") from error
        raise PixlateError(
            f"the repository {repository} cannot be written ({error.strerror or error}); check its permissions and the space on its disk"
        ) from error
    return Written(target / MODEL, folder / CONFIG, not keep, keep and before != config)


def _require_room(folder: Path, target: Path, interface: Interface, overwrite: bool) -> str | None:
    """Return the configuration that is there, if any.

    Raises:
        PixlateError: A file or version is in the way, or a configuration that is to be kept is that of another model.
    """
    if folder.exists() and not folder.is_dir():
        raise PixlateError(f"expected a folder for the model {folder.name}, but {folder} is a file; name another")
    if target.exists() and not overwrite:
        raise PixlateError(f"{target} is there already; choose another --version-number or --name, or replace it with --overwrite")
    before = (folder / CONFIG).read_text("utf-8", "replace") if (folder / CONFIG).exists() else None
    if before is not None and not overwrite:
        _require_fit(folder / CONFIG, before, folder.name, interface)
    return before


def _require_fit(path: Path, text: str, name: str, interface: Interface) -> None:
    """Refuse a kept configuration that would not run this file, or run it with another file's compiled weights."""
    lines = {" ".join(line.split()) for line in text.splitlines()}
    batches = any(line.startswith("max_batch_size:") and line != "max_batch_size: 0" for line in lines)
    tensors = (*(("input", tensor) for tensor in interface.inputs), ("output", interface.output))
    fits = all(tensor_text(kind, tensor, batches) in lines for kind, tensor in tensors)
    caches = re.findall(r'"trt_engine_cache_path"\s+value:\s*"([^"]*)"', text)
    if batches != interface.batches or not fits:
        raise PixlateError(f"{path} describes other inputs and outputs than this model's; choose another --name, or replace the configuration with --overwrite")
    if caches and caches != [cache_folder(name, interface)]:
        raise PixlateError(
            f"{path} names the TensorRT cache of another version, whose compiled weights Triton would keep using; choose another --name, or write it again "
            "with --tensorrt --overwrite"
        )


def _move(partial: Path, folder: Path, version: int, overwrite: bool) -> None:
    """Move what is written to its place; a rename never replaces a folder that holds anything."""
    if not folder.exists():
        partial.rename(folder)
        return
    new, target = partial / CONFIG, folder / CONFIG
    if not overwrite and new.exists() and target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    if overwrite and (folder / str(version)).exists():
        (partial / str(version) / MODEL).replace(folder / str(version) / MODEL)
    else:
        (partial / str(version)).rename(folder / str(version))
    if new.exists():
        new.replace(target)


def _write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
