"""Runs ONNX files with OpenVINO, which knows the bfloat16 and 8-bit units of CPUs, and Intel's GPUs and NPUs. No PyTorch."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pixlate

PIXLATE_API = 2


@pixlate.hookimpl
def pixlate_runtimes() -> "Iterable[pixlate.Runtime]":
    """Offer OpenVINO for any file named ``*.onnx``."""
    yield pixlate.Runtime("openvino", (".onnx",), lambda: find_spec("openvino") is not None, _open, devices=("cpu", "gpu", "npu"), arithmetics=_arithmetics)


def _arithmetics() -> tuple[str, ...]:
    from pixlate_openvino.library import arithmetics

    return arithmetics()


def _open(path: Path, device: str, arithmetic: str) -> "pixlate.Translator":
    from pixlate_openvino.translator import OpenvinoTranslator

    return OpenvinoTranslator(path, device, arithmetic)


@pixlate.hookimpl
def pixlate_checks() -> "Iterable[pixlate.Check]":
    """Return whether OpenVINO loads, and what the CPU computes in."""
    from pixlate_openvino.library import checks

    return checks()
