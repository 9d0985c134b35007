"""Which execution provider of ONNX Runtime a device asks for, whether it loads, and what ``pixlate doctor`` says of that.

ONNX Runtime asked for CUDA that cannot load prints an error and runs on the CPU; here it is refused with the library that is missing.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnxruntime

from pixlate.errors import PixlateError
from pixlate.plugin.check import Check
from pixlate.system.extras import install
from pixlate.system.user import cache_folder, tag

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
INSTALL_CUDA = install("cuda")
CUDA_BUILT_FOR = str(getattr(onnxruntime, "cuda_version", "") or "")
"""CUDA that the installed ONNX Runtime is built for, such as 13.0; empty where it is built without."""
INSTALL_TENSORRT = f"pip install 'tensorrt-cu{CUDA_BUILT_FOR.partition('.')[0] or 13}<11'"
"""ONNX Runtime links with libnvinfer.so.10, which TensorRT 11 does not bring."""
COREML = "CoreMLExecutionProvider"
DIRECTML = "DmlExecutionProvider"
KINDS = ("cpu", "cuda", "tensorrt", "coreml", "directml")
_NUMBERED = ("cuda", "tensorrt", "directml")
"""Kinds of which a machine may have several, counted from 0."""
_CUDA_OPTIONS = {
    "arena_extend_strategy": "kSameAsRequested",  # the next power of two would take up to twice what is needed
    "cudnn_conv_algo_search": "HEURISTIC",  # the default asks cuDNN for a slower estimate at each new shape, and before 1.20 tried every kernel
    "cudnn_conv_use_max_workspace": "1",
}
_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")
TINY_MODEL = bytes.fromhex(
    "080812003a4c0a190a05696e70757412066f757470757422084964656e74697479120474696e795a130a05696e707574120a0a08080112040a02080162140a066f7574707574120a0a08080112040a02080142040a001011"
)
"""An ONNX model of one Identity node, float ``input`` [1] to ``output`` [1]; ``test_tiny_model_is_one_identity_node`` makes it again."""


@dataclass(frozen=True)
class Chosen:
    """A device and how ONNX Runtime is asked for it."""

    device: str
    """``cpu``, ``cuda:N``, ``tensorrt:N``, ``coreml`` or ``directml:N``."""
    providers: tuple[tuple[str, dict[str, Any]], ...]
    """Providers with their options, the one asked for first."""

    @property
    def gpu(self) -> int | None:
        """Number of the NVIDIA GPU, or None elsewhere."""
        kind, _, number = self.device.partition(":")
        return int(number) if kind in ("cuda", "tensorrt") else None


def gpus() -> int:
    """Return how many GPUs the NVIDIA driver finds.

    Raises:
        OSError: There is no driver.
    """
    devices = ctypes.c_int(0)
    library = _driver()
    return devices.value if library.cuInit(0) == 0 and library.cuDeviceGetCount(ctypes.byref(devices)) == 0 else 0


def cuda_of_driver() -> tuple[int, int]:
    """Return major and minor number of the newest CUDA that the NVIDIA driver runs.

    Raises:
        OSError: There is no driver.
    """
    number = ctypes.c_int(0)
    _driver().cuDriverGetVersion(ctypes.byref(number))
    return number.value // 1000, number.value % 1000 // 10


def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


@cache
def cuda_problem() -> str | None:
    """Return why ONNX Runtime cannot use a GPU here, with the remedy, or None if it can."""
    if CUDA not in onnxruntime.get_available_providers():
        return f"the installed ONNX Runtime {onnxruntime.__version__} is built without CUDA; run: pip install onnxruntime-gpu"
    try:
        if gpus() == 0:
            return "the NVIDIA driver finds no GPU; check it with: nvidia-smi"
        major, minor = cuda_of_driver()
    except OSError as error:
        return f"the NVIDIA driver is not installed ({str(error).split(': ')[0]} is missing); install NVIDIA's driver, or use --device cpu"
    if CUDA_BUILT_FOR and major < int(CUDA_BUILT_FOR.partition(".")[0]):  # of one major number, any driver runs any CUDA
        return (
            f"the NVIDIA driver runs CUDA {major}.{minor}, and ONNX Runtime {onnxruntime.__version__} is built for CUDA {CUDA_BUILT_FOR}; "
            "update NVIDIA's driver, or use --device cpu"
        )
    # Else convolutions of float32 would round their inputs to 10 bits, with which pictures of 16 bits are not exact. The provider's own option, use_tf32,
    # takes the matrix units from models of float16 too. The libraries read this when they are loaded.
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    onnxruntime.preload_dlls()
    onnxruntime.set_default_logger_severity(4)  # each session on a GPU would print a warning that says nothing to a user; what goes wrong is raised
    missing = _missing("libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so")
    return f"a CUDA library is missing ({missing}); run: {INSTALL_CUDA}" if missing else None


@cache
def tensorrt_problem() -> str | None:
    """Return why ONNX Runtime cannot use TensorRT here, with the remedy, or None where it can."""
    if problem := cuda_problem():
        return problem
    if TENSORRT not in onnxruntime.get_available_providers():
        return f"the installed ONNX Runtime {onnxruntime.__version__} is built without TensorRT; use --device cuda"
    found = find_spec("tensorrt_libs")  # the libraries of the pip package, which the loader does not find by itself
    for folder in (found.submodule_search_locations or []) if found else []:
        for library in sorted(Path(folder).glob("libnvinfer.so*")) + sorted(Path(folder).glob("lib*plugin.so*")) + sorted(Path(folder).glob("libnvonnx*.so*")):
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    missing = _missing("libonnxruntime_providers_tensorrt.so")
    return f"TensorRT is missing ({missing}); run: {INSTALL_TENSORRT}, or use --device cuda" if missing else None


def choose(device: str, precision: str = "float32", cache_folder: Path | None = None) -> Chosen:
    """Return the device really used and the providers to ask ONNX Runtime for.

    Args:
        device: ``auto`` takes the first NVIDIA GPU that works, else the CPU; ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt``, ``tensorrt:N``, ``coreml``,
            ``directml`` and ``directml:N`` are taken or refused.
        precision: The model's; TensorRT computes in 16 bits where the model does.
        cache_folder: Where TensorRT keeps its engines.

    Raises:
        PixlateError: The device is misspelled, or asked for and not usable.
    """
    kind, colon, index = device.partition(":")
    if device != "auto" and (kind not in KINDS or (colon and (kind not in _NUMBERED or not (index.isascii() and index.isdigit() and len(index) < 5)))):
        raise PixlateError(
            f"expected --device auto, cpu, cuda, cuda:N, tensorrt, tensorrt:N, coreml, directml or directml:N, got {device!r}; choose one of these"
        )
    if kind == "cpu":
        return Chosen("cpu", ((CPU, {}),))
    if kind in ("coreml", "directml"):
        return _of_system(kind, int(index or 0))
    problem = tensorrt_problem() if kind == "tensorrt" else cuda_problem()
    if problem is None:
        number = int(index or 0)
        if number >= gpus():
            raise PixlateError(f"expected one of the {gpus()} GPUs, counted from 0, got --device {device}; choose one of these")
        cuda = (CUDA, {"device_id": number, **_CUDA_OPTIONS})
        if kind == "tensorrt":
            return Chosen(f"tensorrt:{number}", ((TENSORRT, _tensorrt_options(number, precision, cache_folder)), cuda, (CPU, {})))
        return Chosen(f"cuda:{number}", (cuda, (CPU, {})))
    if kind != "auto":
        raise PixlateError(f"expected a GPU for --device {device}, but {problem}")
    return Chosen("cpu", ((CPU, {}),))


def _of_system(kind: str, number: int) -> Chosen:
    """Return Apple's or Windows' own way to the GPU, where the installed wheel has it.

    Raises:
        PixlateError: It has not; the sentence names the wheel that has.
    """
    provider, system, wheel = {
        "coreml": (COREML, "macOS", "the wheel onnxruntime for macOS has it: pip uninstall -y onnxruntime-gpu && pip install onnxruntime"),
        "directml": (
            DIRECTML,
            "Windows",
            "the wheel onnxruntime-directml for Windows has it: pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-directml",
        ),
    }[kind]
    if provider not in onnxruntime.get_available_providers():
        raise PixlateError(
            f"expected an ONNX Runtime with {provider} for --device {kind}, which {system} alone has, but {onnxruntime.__version__} on {sys.platform} is built "
            f"without it; {wheel}, or use --device cpu"
        )
    if kind == "coreml":  # the newer of its two formats knows more operators
        return Chosen(kind, ((provider, {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}), (CPU, {})))
    return Chosen(f"{kind}:{number}", ((provider, {"device_id": number}), (CPU, {})))


def _tensorrt_options(number: int, precision: str, cache_folder: Path | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        "device_id": number,
        "trt_fp16_enable": precision == "float16",
        "trt_bf16_enable": precision == "bfloat16",
        "trt_layer_norm_fp32_fallback": True,
    }
    if cache_folder is not None:
        kept = str(cache_folder)
        options |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": kept, "trt_timing_cache_enable": True, "trt_timing_cache_path": kept}
    return options


def engine_folder(digest: str) -> Path:
    """Make and return the folder in which TensorRT keeps the engines of one model, by the digest of its file."""
    engines = cache_folder() / "tensorrt"
    folder = engines / digest[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tag(engines)
    except OSError as error:
        raise PixlateError(
            f"TensorRT keeps its engines in {engines}, which cannot be written ({error.strerror}); free some space there, change its "
            "permissions, or name another folder with PIXLATE_CACHE"
        ) from error
    return folder


def _missing(*names: str) -> str:
    """Return the first library that one of ONNX Runtime's provider libraries lacks, or nothing."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    for name in names if sys.platform == "linux" else ():
        try:
            ctypes.CDLL(str(folder / name))
        except OSError as error:
            return str(error).split(": ")[0]
    return ""


def checks() -> Iterator[Check]:
    """Yield which runtime is installed and which providers really load, found by opening a tiny session."""
    installed = {name: found for name in _DISTRIBUTIONS if (found := _version(name))}
    if len(installed) > 1:
        several = " and ".join(f"{name} {found}" for name, found in installed.items())
        remedy = f"pip uninstall -y {' '.join(installed)} && pip install {list(installed)[-1]}"
        yield Check("runtime", "problem", f"{several} are installed together and overwrite each other", remedy)
    else:
        yield Check("runtime", "ok", ", ".join(f"{name} {found}" for name, found in installed.items()) or f"onnxruntime {onnxruntime.__version__}")
    onnxruntime.set_default_logger_severity(4)  # a provider that does not load would print what is reported here
    for provider in onnxruntime.get_available_providers():
        yield _try(provider)
    onnxruntime.set_default_logger_severity(2)


def _try(provider: str) -> Check:
    problem = {CUDA: cuda_problem, TENSORRT: tensorrt_problem}.get(provider, lambda: None)()
    if problem:
        reason, _, remedy = problem.partition("; ")
        return Check(provider, "note", f"does not load: {reason}", remedy.removeprefix("run: "))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(TINY_MODEL, options, providers=[provider], enable_fallback=0)
    except Exception:  # noqa: BLE001 - ONNX Runtime's errors share no base class, and here say only that libraries are missing
        session = None
    if session is None or session.get_providers()[0] != provider:
        return Check(provider, "note", "does not load; Pixlate does not use it")
    try:
        session.run(None, {"input": [1.0]})
    except Exception as error:  # noqa: BLE001 - as above; a GPU that is full, lost or in exclusive use by another process
        return Check(provider, "problem", f"loads, but does not run ({' '.join(str(error).split())[:200]})", "nvidia-smi")
    return Check(provider, "ok", "loads and runs")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
