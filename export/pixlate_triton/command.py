"""``pixlate triton``: a model as a folder that Triton Inference Server serves, made of the model file alone, without PyTorch.

Files are written atomically, and nothing is overwritten unasked.
"""

import csv
import errno
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.inference.models import find
from pixlate.inference.ready import named
from pixlate.system.folder import refuse_link
from pixlate.system.locking import sync
from pixlate.system.text import printable
from pixlate_triton.config import CACHE, TritonOptions, config_text, difference, max_batch, require_name, threads
from pixlate_triton.interface import Interface, Tensor, read_interface

IMAGE = "nvcr.io/nvidia/tritonserver:26.07-py3"
"""Container named in the printed command."""
PORTS = (8000, 8001, 8002)
"""HTTP, gRPC and metrics."""
MODEL, CONFIG = "model.onnx", "config.pbtxt"


@dataclass(frozen=True)
class TritonModel:
    """What was written."""

    name: str
    """Name by which clients ask for the model."""
    interface: Interface
    """What it takes and gives."""
    model: Path
    """The copied model file."""
    config: Path
    """The configuration, of all versions."""


def triton(model: str, repository: Path, *, options: Annotated[TritonOptions | None, Parameter(name="*")] = None) -> int:
    """Write a model repository for Triton Inference Server: the model file and a configuration for it, atomically.

    Parameters
    ----------
    model
        A ready model's name (see pixlate models) or an .onnx file.
    repository
        Folder of models that Triton serves; created if it is missing; other models in it are kept.
    """
    if not model:
        raise PixlateError("expected a model; write: pixlate triton upscale-x4 repository/, and see `pixlate models` for others")
    chosen = options or TritonOptions()
    done = write_model(model, repository, chosen)
    print(f"wrote {printable(done.model)}, {len(done.interface.model) / 1e6:.1f} MB; its configuration is {printable(done.config)}")
    print(f"{done.name} takes {', '.join(map(_described, done.interface.inputs))} and gives {_described(done.interface.output)}")
    if done.interface.batches:
        print(f"images of one size are put together, up to {max_batch(done.interface, chosen)}")
    else:
        print("its batch is fixed in the file, so that Triton cannot put requests together (max_batch_size 0)")
    print("start the server, reachable from this machine only:")
    print(docker_command(repository, chosen).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return 0


def write_model(model: str | Path, repository: Path, options: TritonOptions | None = None) -> TritonModel:
    """Write ``NAME/VERSION/model.onnx`` and ``NAME/config.pbtxt`` into a repository, atomically.

    Raises:
        PixlateError: No such model, no image model, a name Triton cannot take, files in the way, or a folder that cannot be written.
    """
    options = options or TritonOptions()
    path = find(model)
    name = require_name(options.name or (str(model) if named(str(model)) is not None else path.stem))
    interface = read_interface(path)
    config = config_text(name, interface, options)
    folder = repository / name
    try:
        _write(folder, str(options.version_number), interface.model, config, options.overwrite)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise PixlateError(f"another command has just written {folder}; look at it, and run this one again") from error
        raise PixlateError(
            f"the repository {repository} cannot be written ({error.strerror or error}); check its permissions and the space on its disk"
        ) from error
    return TritonModel(name, interface, folder / str(options.version_number) / MODEL, folder / CONFIG)


def _write(folder: Path, version: str, model: bytes, config: str, overwrite: bool) -> None:
    """Write a version of a model, and the configuration if it is the first.

    Raises:
        PixlateError: Something is in the way that may not be overwritten.
    """
    repository, target = folder.parent, folder / version
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]", str(repository)):  # a path has taken one of the URL's two slashes away
        raise PixlateError(f"expected a folder on this machine for REPOSITORY, got the URL {repository}; write it here and copy it there")
    refuse_link(folder, target)
    for path, what in ((repository, "REPOSITORY"), (folder, f"the model {folder.name}")):
        if path.exists() and not path.is_dir():
            raise PixlateError(f"expected a folder for {what}, but {path} is a file; name another")
    if target.exists() and not overwrite:
        raise PixlateError(f"{target} is there already; choose another --version-number or --name, or replace it with --overwrite")
    known = folder.exists()
    if known and not overwrite:
        shared = folder / CONFIG
        there = shared.exists()
        different = difference(shared.read_text("utf-8", "replace") if there else "", config)
        if different:
            raise PixlateError(
                f"expected {shared}, which all versions share, to say {different[1]}, got {different[0] if there else 'no such file'}; "
                "use the options it was written with, choose another --name, or replace it with --overwrite"
            )
    repository.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", suffix=".partial", dir=repository) as temporary:
        partial = Path(temporary) / folder.name  # a folder in the private one, so that the server may read it
        (partial / version).mkdir(parents=True)
        _write_file(partial / version / MODEL, model)
        _write_file(partial / CONFIG, config.encode())
        if not known:
            partial.rename(folder)  # a rename never replaces a folder that holds anything
            return
        if overwrite and target.exists():
            (partial / version / MODEL).replace(target / MODEL)
        else:
            (partial / version).rename(target)
        if overwrite:
            (partial / CONFIG).replace(folder / CONFIG)


def _write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        sync(file.fileno())


def docker_command(repository: Path, options: TritonOptions) -> str:
    """Return the line that starts Triton on a repository, ready for a shell."""
    words = ["docker", "run", "--rm"]
    words += ["--gpus", "all"] if options.device == "gpu" else ["--cpus", str(threads(options) * options.instances)]
    for port in PORTS:
        words += ["--publish", f"127.0.0.1:{port}:{port}"]
    words += ["--mount", _mount("type=bind", f"source={repository.absolute()}", "target=/models", "readonly")]
    if options.tensorrt:
        words += ["--mount", _mount("type=volume", "source=pixlate-tensorrt", f"target={CACHE}")]
    return shlex.join([*words, IMAGE, "tritonserver", "--model-repository=/models"])


def _mount(*fields: str) -> str:
    """Return fields as Docker reads them: one line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _described(tensor: Tensor) -> str:
    shape = ", ".join("free" if size == -1 else str(size) for size in tensor.shape)
    return f"{tensor.name}: {tensor.type.removeprefix('TYPE_').lower()} ({shape})"
