"""Model repositories for Triton Inference Server, written from the model file alone, without PyTorch."""

from dataclasses import dataclass
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.inference.models import cards, find
from pixlate_triton.config import config_text
from pixlate_triton.interface import Interface, read_interface
from pixlate_triton.options import TritonOptions, require_name
from pixlate_triton.repository import Written, write

__all__ = ["TritonModel", "TritonOptions", "write_model"]


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
    """Write ``NAME/VERSION/model.onnx`` and ``NAME/config.pbtxt`` into a repository, whole or not at all.

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
    return TritonModel(name, interface, write(repository, name, options.version_number, interface, text, options.overwrite))
