"""OpenVINO itself: imported without its telemetry, asked what this machine has, or refused in one sentence."""

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from pixlate.errors import PixlateError
from pixlate.plugin.check import Check
from pixlate.system.extras import install

if TYPE_CHECKING:
    import openvino

OLDEST = (2025, 0)
"""The oldest version whose results are tested."""
ARITHMETICS = {"float32": "f32", "bfloat16": "bf16"}
"""What is chosen by name -> OpenVINO's hint."""
_TOOLS = "openvino.tools.ovc"
"""Converts models of other frameworks; importing it sends telemetry, and takes longer than OpenVINO."""
KERNELS = 64
"""Most kernels that oneDNN, which computes on CPUs, keeps for the whole process; by default 1,024, which took 70 MB after 100 pictures of as many sizes, and made
nothing faster. What OpenVINO keeps of each model is another number: see :data:`pixlate_openvino.program.PRIMITIVES`."""
_KEPT = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
_ALONE = Lock()


def library() -> "openvino.Core":
    """Return OpenVINO, ready to open models and to run them in many threads.

    Raises:
        PixlateError: It is missing, too old, or does not load here.
    """
    with _ALONE:
        return _library()


@cache
def _library() -> "openvino.Core":
    try:
        found = version("openvino")
    except PackageNotFoundError as error:
        raise PixlateError(f"OpenVINO, which --runtime openvino and --device gpu and npu need, is not installed; run: {install('openvino')}") from error
    if tuple(int(part) for part in found.split(".")[:2] if part.isdigit()) < OLDEST:
        raise PixlateError(f"expected OpenVINO {'.'.join(map(str, OLDEST))} or newer, got {found}; run: pip install --upgrade openvino")
    hidden = _TOOLS not in sys.modules
    if hidden:
        sys.modules[_TOOLS] = None  # type: ignore[assignment] # what Python takes for a module that cannot be imported
    try:
        import openvino

        # its Python keeps tables of the types of arrays, which two threads that run their first picture at once would make at once, and wait for each other for ever
        _ = openvino.Tensor(np.zeros(1, np.float32)).data
        core = openvino.Core()
        if "CPU" in core.available_devices:
            _keep_few_kernels(core)
        return core
    except Exception as error:
        raise PixlateError(f"OpenVINO {found} does not load here ({shortened(str(error))}); run: pip install --force-reinstall openvino") from error
    finally:
        if hidden:
            del sys.modules[_TOOLS]


def _keep_few_kernels(core: "openvino.Core") -> None:
    """Compile something while the environment says how many kernels oneDNN, which OpenVINO's CPU plugin runs, is to keep: it reads that once in a process.

    PyTorch has a oneDNN of its own, which is to ask what the user has set.
    """
    import openvino
    from openvino import opset13

    before = os.environ.get(_KEPT)
    os.environ[_KEPT] = before or str(KERNELS)
    try:
        given = opset13.parameter([1, 1], np.float32)
        core.compile_model(openvino.Model([opset13.softmax(given, 1)], [given]), "CPU")
    finally:
        if before is None:
            del os.environ[_KEPT]


def arithmetics() -> tuple[str, ...]:
    """Return what the CPU computes in, the fastest last.

    Raises:
        PixlateError: There is no OpenVINO, or none for CPUs.
    """
    require_device("CPU")
    return tuple(name for name in ARITHMETICS if name != "bfloat16" or "BF16" in library().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def require_device(name: str) -> None:
    """Refuse a device of OpenVINO's naming, such as ``CPU`` or ``GPU.1``, that is not there."""
    there = library().available_devices
    if name not in there and f"{name}.0" not in there and not (name.endswith(".0") and name[:-2] in there):
        asked = name.lower().replace(".", ":")
        reason = _reason(name.partition(".")[0])
        todo = "use --device cpu or another runtime"
        if name == "CPU":
            todo = "reinstall openvino (pip install --force-reinstall openvino), or use --runtime onnxruntime"
        raise PixlateError(f"expected --device {asked} for OpenVINO, which finds {', '.join(there).lower() or 'no device'} here{reason}; {todo}")


def _reason(kind: str) -> str:
    """Return why OpenVINO has no device of a kind, in parentheses."""
    try:
        library().get_property(kind, "FULL_DEVICE_NAME")
    except RuntimeError as error:
        said = shortened(str(error))
        return "" if "FULL_DEVICE_NAME" in said else f" ({said})"  # what it answers where it has the plugin, but no such device
    return ""


def shortened(text: str) -> str:
    """Return the last sentence of an OpenVINO error, without the places in its source, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("Exception from", "Check '", "Caught exception"))]
    return " ".join((lines[-1] if lines else text).split())[:160]


def checks() -> Iterator[Check]:
    """Yield whether OpenVINO loads, and what it finds."""
    try:
        found = arithmetics()
    except PixlateError as error:
        reason, _, remedy = str(error).partition("; run: ")
        yield Check(
            "openvino", "note" if "not installed" in reason else "problem", reason.removeprefix("expected OpenVINO for --runtime openvino, but "), remedy
        )
        return
    core: Any = library()
    devices = ", ".join(f"{name} ({core.get_property(name, 'FULL_DEVICE_NAME')})" for name in core.available_devices)
    yield Check("openvino", "ok", f"openvino {version('openvino')} on {devices}; the CPU computes in {' and '.join(found)}")
