"""Opens an ONNX file in OpenVINO and runs it: arrays in, arrays out; or says in one sentence why not."""

import copy
import io
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.plugin.spec import METADATA_KEY
from pixlate.system.cores import granted_cores
from pixlate_onnx.program import Value
from pixlate_openvino import kept
from pixlate_openvino.library import ARITHMETICS, library, require_device, shortened

if TYPE_CHECKING:
    import openvino

_TYPES = {"f32": "float", "f16": "float16", "u8": "uint8", "i64": "int64"}
"""OpenVINO's names of types -> ONNX's, where they differ."""
PRIMITIVES = 64
"""Most kernels that OpenVINO itself keeps for each model, for shapes of pictures that were met; by default memory grows with a folder of many sizes. oneDNN below it
keeps its own for the whole process: see :data:`pixlate_openvino.library.KERNELS`."""
_OUT_OF_MEMORY = ("bad_alloc", "bad allocation", "out of memory", "cannot allocate", "failed to allocate", "could not allocate", "cl_out_of")


def open_program(path: Path, device: str, arithmetic: str) -> "Running":
    """Open a file with an arithmetic, on a device of Pixlate's naming: ``cpu``, ``gpu``, ``gpu:N`` or ``npu``.

    Raises:
        PixlateError: The file is no ONNX model that OpenVINO takes, the device is not there, or it lacks the arithmetic.
    """
    name = _device(device)
    require_device(name)
    found = library().get_property(name, "OPTIMIZATION_CAPABILITIES")
    if arithmetic == "bfloat16" and "BF16" not in found:
        raise PixlateError(f"expected units for bfloat16 in {_named(name)}, which has {', '.join(found)}; leave out --arithmetic, or use float32")
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": ARITHMETICS[arithmetic]}
    if name == "CPU":
        settings |= {"INFERENCE_NUM_THREADS": granted_cores(), "ENABLE_CPU_PINNING": False, "CPU_RUNTIME_CACHE_CAPACITY": PRIMITIVES}
    try:
        compiled = kept.compiled(path, name, settings, lambda: _read(path))
    except PixlateError:
        raise
    except Exception as error:
        raise _refused(path, error) from error
    return Running(path, compiled, _named(name), name, settings)


def _device(device: str) -> str:
    """Return OpenVINO's name of a device."""
    kind, _, number = device.replace(".", ":").partition(":")
    if kind not in ("auto", "cpu", "gpu", "npu") or (number and (kind not in ("gpu", "npu") or not (number.isascii() and number.isdigit()))):
        raise PixlateError(f"expected --device auto, cpu, gpu, gpu:N or npu with --runtime openvino, got {device!r}; choose one of these")
    return "CPU" if kind == "auto" else f"{kind.upper()}{number and f'.{number}'}"


def _named(name: str) -> str:
    """Return Pixlate's name of a device of OpenVINO's naming."""
    kind, _, number = name.lower().partition(".")
    return f"gpu:{number or 0}" if kind == "gpu" else kind


def _read(source: Path | bytes) -> "tuple[openvino.Model, str]":
    """Return a model as OpenVINO reads it, and its metadata; nothing but ONNX is tried, as OpenVINO would by itself."""
    from openvino.frontend import FrontEndManager

    library()
    reader = FrontEndManager().load_by_framework("onnx")
    given = source if isinstance(source, Path) and str(source).isprintable() else io.BytesIO(source if isinstance(source, bytes) else source.read_bytes())
    model = reader.convert(reader.load(given))
    place = ["framework", METADATA_KEY]
    return model, model.get_rt_info(place).astype(str) if model.has_rt_info(place) else ""


def _refused(path: Path, error: Exception) -> PixlateError:
    return PixlateError(f"OpenVINO does not take the model {path} ({shortened(str(error))}); use --runtime onnxruntime, or export it again")


class Running:
    """A compiled model that runs from any thread; see :class:`pixlate_onnx.program.Program`. Threads share the model, each has a request of its own.

    What is given as floating point is overwritten by the next run of the same thread.
    """

    def __init__(self, path: Path, compiled: kept.Compiled, device: str, name: str, settings: dict[str, Any]) -> None:
        self.device, self.metadata = device, compiled.metadata
        self.inputs, self.outputs = ([_value(item) for item in items] for items in (compiled.model.inputs, compiled.model.outputs))
        self._path, self._compiled, self._name, self._settings = path, compiled, name, settings
        self._constants: Sequence[NDArray[Any]] = ()
        self._own = threading.local()
        self._active: set[openvino.InferRequest] = set()

    def edited(self, model: bytes) -> "Running":
        """Return a model that was made of this file, on its device."""
        try:
            compiled = kept.Compiled(library().compile_model(_read(model)[0], self._name, self._settings), self.metadata)
        except Exception as error:
            raise _refused(self._path, error) from error
        found = Running(self._path, compiled, self.device, self._name, self._settings)
        found._active = self._active
        return found

    def given(self, constants: Sequence[NDArray[Any]]) -> "Running":
        """Return the same model with its last inputs given."""
        found = copy.copy(self)
        found._constants, found._own = constants, threading.local()
        return found

    def __call__(self, *arrays: NDArray[Any]) -> NDArray[Any]:
        """Return the first output."""
        request = self._ran(arrays)
        output: NDArray[Any] = request.get_output_tensor(0).data
        return output if output.dtype == np.float32 else output.copy()

    def every(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """Return all outputs, in their order."""
        request = self._ran(arrays)
        return [request.get_output_tensor(index).data.copy() for index in range(len(self.outputs))]

    def terminate(self) -> None:
        """End what runs here, in any thread; it raises :class:`PixlateError` there."""
        for request in self._active.copy():
            with suppress(RuntimeError):  # it has ended meanwhile
                request.cancel()

    def _ran(self, arrays: Sequence[NDArray[Any]]) -> "openvino.InferRequest":
        """Return the thread's request after a run."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.model.create_infer_request()
        request: openvino.InferRequest = self._own.request
        self._active.add(request)
        try:
            request.start_async(dict(enumerate((*arrays, *self._constants))), share_inputs=True)
            request.wait()
        except Exception as error:
            raise self._explained(arrays[0], str(error)) from error
        finally:
            self._active.discard(request)
        return request

    def _explained(self, images: NDArray[Any], text: str) -> Exception:
        if any(sign in text.lower() for sign in _OUT_OF_MEMORY):
            self._own = threading.local()  # its memory is let go
            return OutOfDeviceMemory(f"{self.device} has no memory for {images.shape}")
        if images.ndim != 4:
            return PixlateError(f"the model cannot take these conditions ({shortened(text)}); use other values or another model")
        height, width = images.shape[1:3] if images.dtype == np.uint8 else images.shape[2:]
        return PixlateError(f"the model cannot take an image of {width}x{height} ({shortened(text)}); use another size or model")


def _value(item: Any) -> Value:
    name = item.get_element_type().get_type_name()
    sides: list[int | str | None] = [side.get_length() if side.is_static else None for side in item.get_partial_shape()]
    return Value(item.get_any_name(), f"tensor({_TYPES.get(name, name)})", sides)
