"""Runs ONNX files with ONNX Runtime alone, without PyTorch."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pixlate

PIXLATE_API = 2
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# From 1.29 on ONNX Runtime tells its maker of every model that is opened, with its name; it looks at this when it is imported. Who sets it to 0 has it.


@pixlate.hookimpl
def pixlate_runtimes() -> Iterable[pixlate.Runtime]:
    """Offer ONNX Runtime for any file named ``*.onnx``."""
    yield pixlate.Runtime("onnxruntime", (".onnx",), lambda: find_spec("onnxruntime") is not None, _open)


def _open(path: Path, device: str, arithmetic: str) -> pixlate.Translator:
    from pixlate_onnx.runner import OnnxTranslator

    if arithmetic != "auto":
        raise pixlate.PixlateError(
            f"expected the arithmetic auto for ONNX Runtime, which computes as the file says, got {arithmetic}; export it with --precision"
        )
    return OnnxTranslator(path, device)


@pixlate.hookimpl
def pixlate_checks() -> Iterable[pixlate.Check]:
    """Tell which execution providers really load."""
    from pixlate_onnx.diagnosis import checks

    return checks()
