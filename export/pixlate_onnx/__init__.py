"""Runs ONNX files with ONNX Runtime alone, without PyTorch."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pixlate

PIXLATE_API = 2
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# ONNX Runtime 1.29 and later send telemetry about every model that is opened; this is read at import. Users who set it to 0 keep telemetry.


@pixlate.hookimpl
def pixlate_runtimes() -> "Iterable[pixlate.Runtime]":
    """Offer ONNX Runtime for any file named ``*.onnx``."""
    yield pixlate.Runtime("onnxruntime", (".onnx",), lambda: find_spec("onnxruntime") is not None, _open, _blend)


def _open(path: Path, device: str, arithmetic: str) -> "pixlate.Translator":
    from pixlate.system.signals import interruptible
    from pixlate_onnx.runner import OnnxTranslator

    if arithmetic != "auto":
        raise pixlate.PixlateError(
            f"expected the arithmetic auto for ONNX Runtime, which computes as the file says, got {arithmetic}; export it with --precision"
        )
    return interruptible(lambda: OnnxTranslator(path, device))


def _blend(first: Path, second: Path, strength: float, device: str) -> "pixlate.Translator":
    from pixlate.system.signals import interruptible
    from pixlate_onnx.interpolation import interpolated
    from pixlate_onnx.runner import OnnxTranslator

    return interruptible(lambda: OnnxTranslator(first, device, interpolated(first, second, strength)))


@pixlate.hookimpl
def pixlate_checks() -> "Iterable[pixlate.Check]":
    """Return which execution providers really load."""
    from pixlate_onnx.providers import checks

    return checks()
