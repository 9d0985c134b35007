"""Which execution provider of ONNX Runtime a device asks for, and whether it loads.

ONNX Runtime asked for CUDA that cannot load prints an error and runs on the CPU; here it is refused with the library that is missing.
"""

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime

from pixlate.errors import PixlateError

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
INSTALL_CUDA = "pip install 'pixlate[cuda]'"


def gpus() -> int:
    """Return how many GPUs the NVIDIA driver finds.

    Raises:
        OSError: There is no driver.
    """
    devices = ctypes.c_int(0)
    library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    return devices.value if library.cuInit(0) == 0 and library.cuDeviceGetCount(ctypes.byref(devices)) == 0 else 0


@cache
def cuda_problem() -> str | None:
    """Return why ONNX Runtime cannot use a GPU here, with the remedy, or None where it can."""
    if CUDA not in onnxruntime.get_available_providers():
        return f"the installed ONNX Runtime {onnxruntime.__version__} is built without CUDA; run: pip install onnxruntime-gpu"
    try:
        if gpus() == 0:
            return "the NVIDIA driver finds no GPU; check it with: nvidia-smi"
    except OSError as error:
        return f"the NVIDIA driver is not installed ({str(error).split(': ')[0]} is missing); install NVIDIA's driver, or use --device cpu"
    onnxruntime.preload_dlls()
    folder = Path(onnxruntime.__file__).parent / "capi"
    for name in ("libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so") if sys.platform == "linux" else ():
        try:
            ctypes.CDLL(str(folder / name))
        except OSError as error:
            return f"a CUDA library is missing ({str(error).split(': ')[0]}); run: {INSTALL_CUDA}"
    return None


def choose(device: str) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """Return the device really used, ``cpu`` or ``cuda:N``, and the providers to ask ONNX Runtime for.

    Args:
        device: ``auto`` takes the first GPU that works, else the CPU; ``cpu``, ``cuda`` and ``cuda:N`` are taken or refused.

    Raises:
        PixlateError: The device is misspelled, or asked for and not usable.
    """
    kind, colon, index = device.partition(":")
    if device != "auto" and (kind not in ("cpu", "cuda") or (colon and (kind == "cpu" or not index.isdigit()))):
        raise PixlateError(f"expected --device auto, cpu, cuda or cuda:N, got {device!r}; choose one of these")
    if kind == "cpu":
        return "cpu", [(CPU, {})]
    problem = cuda_problem()
    if problem is None:
        number = int(index or 0)
        if number >= gpus():
            raise PixlateError(f"expected one of the {gpus()} GPUs, counted from 0, got --device {device}; choose one of these")
        return f"cuda:{number}", [(CUDA, {"device_id": number, "arena_extend_strategy": "kSameAsRequested"}), (CPU, {})]
    if kind == "cuda":
        raise PixlateError(f"expected a GPU for --device {device}, but {problem}")
    return "cpu", [(CPU, {})]
