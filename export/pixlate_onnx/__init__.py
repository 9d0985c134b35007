"""ONNX: runs model files (with ONNX Runtime alone) and writes them (with PyTorch)."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pixlate

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# From 1.29 on ONNX Runtime tells its maker of every model that is opened, with its name; it looks at this when it is imported. Who sets it to 0 has it.

if TYPE_CHECKING:
    from cyclopts import App


@pixlate.hookimpl
def pixlate_open_model(path: Path, device: str) -> pixlate.Translator | None:
    """Open any file named ``*.onnx``."""
    if path.suffix.lower() != ".onnx":
        return None
    from pixlate_onnx.runner import OnnxTranslator

    return OnnxTranslator(path, device)


@pixlate.hookimpl
def pixlate_checks() -> Iterable[pixlate.Check]:
    """Tell which execution providers really load."""
    from pixlate_onnx.diagnosis import checks

    return checks()


@pixlate.hookimpl
def pixlate_commands(app: "App") -> None:
    """Add ``pixlate export``, ``pixlate import`` and ``pixlate triton``."""
    app.command("pixlate_onnx.command:export", name="export", help="Write a trained generator as one ONNX file, checked against PyTorch.")
    app.command("pixlate_onnx.importing:import_weights", name="import", help="Write weights of another code base as one ONNX file, checked against PyTorch.")
    app.command("pixlate_onnx.triton.command:triton", name="triton", help="Write a model repository for Triton Inference Server.")
