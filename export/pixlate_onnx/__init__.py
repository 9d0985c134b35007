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
    yield pixlate.Runtime(
        "onnxruntime",
        (".onnx",),
        lambda: find_spec("onnxruntime") is not None,
        _open,
        _blend,
        ("cpu", "cuda", "tensorrt", "coreml", "directml"),
        lambda: ("float32",),
    )


def _open(path: Path, device: str, arithmetic: str) -> "pixlate.Translator":
    from pixlate_onnx.runner import OnnxTranslator

    if arithmetic not in ("auto", "float32"):
        raise pixlate.PixlateError(f"expected --arithmetic auto or float32 for ONNX Runtime, which computes as the file says, got {arithmetic}; leave it out")
    translator = OnnxTranslator(path, device)
    if arithmetic == "float32" and translator.spec.precision in ("float16", "bfloat16"):
        raise pixlate.PixlateError(
            f"expected a file of float32 for --arithmetic float32, got one of {translator.spec.precision}, which ONNX Runtime computes in; leave it out"
        )
    return translator


def _blend(first: Path, second: Path, strength: float, device: str) -> "pixlate.Translator":
    from pixlate_onnx.interpolation import interpolated
    from pixlate_onnx.runner import OnnxTranslator

    return OnnxTranslator(first, device, interpolated(first, second, strength))


@pixlate.hookimpl
def pixlate_checks() -> "Iterable[pixlate.Check]":
    """Return which execution providers really load."""
    from pixlate_onnx.providers import checks

    return checks()
