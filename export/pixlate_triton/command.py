"""``pixlate triton``: a model as a folder that Triton Inference Server serves."""

import csv
import io
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.system.text import printable
from pixlate_triton.config import CACHE, max_batch, threads
from pixlate_triton.interface import Tensor
from pixlate_triton.options import TritonOptions
from pixlate_triton.repository import write_model

IMAGE = "nvcr.io/nvidia/tritonserver:26.07-py3"
"""Container named in the printed command."""
PORTS = (8000, 8001, 8002)
"""HTTP, gRPC and metrics."""


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
    print(f"wrote {printable(done.written.model)}, {len(done.interface.model) / 1e6:.1f} MB")
    print(f"{done.name} takes {', '.join(map(_said, done.interface.inputs))} and gives {_said(done.interface.output)}")
    if not done.interface.batches:
        print("its batch is fixed in the file, so that Triton cannot put requests together (max_batch_size 0)")
    if not done.interface.tried:
        print("ONNX Runtime has no operators for it on CPUs, so that it was not tried; the server needs a GPU")
    if done.written.config_differs:
        print(f"kept {printable(done.written.config)}, although the options differ from it; --overwrite writes it again")
        return 0
    print(f"{'wrote' if done.written.config_written else 'kept'} {printable(done.written.config)}")
    if done.interface.batches:
        print(f"images of one size are put together, up to {max_batch(done.interface, chosen)}")
    print("start the server, reachable from this machine only:")
    print(docker_command(repository, chosen).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return 0


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


def _said(tensor: Tensor) -> str:
    shape = ", ".join("free" if size == -1 else str(size) for size in tensor.shape)
    return f"{tensor.name}: {tensor.type.removeprefix('TYPE_').lower()} ({shape})"
