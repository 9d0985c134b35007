"""Runs ONNX files with ONNX Runtime alone, without PyTorch."""

import os
from collections.abc import Iterable
from pathlib import Path

import pixlate

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# From 1.29 on ONNX Runtime tells its maker of every model that is opened, with its name; it looks at this when it is imported. Who sets it to 0 has it.


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
