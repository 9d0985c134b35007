"""Runs an ONNX file with ONNX Runtime."""

from pathlib import Path

from pixlate_onnx.session import Running, open_program
from pixlate_onnx.translator import FileTranslator


class OnnxTranslator(FileTranslator):
    """A generator in an ONNX file, run by ONNX Runtime.

    Args:
        path: The model file.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt`` or ``tensorrt:N``.
        model: What is run in place of the file, which it was made of.

    Raises:
        PixlateError: The file is damaged, no image model, or the device cannot be used.
    """

    _run: Running

    def __init__(self, path: Path, device: str = "auto", model: bytes = b"") -> None:
        super().__init__(path, open_program(path, device, model), model)
