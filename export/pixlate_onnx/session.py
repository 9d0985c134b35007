"""Opens a model file in ONNX Runtime and runs it: arrays in, arrays out, through bound device memory on GPUs; or says in one sentence why not."""

import copy
import hashlib
import os
import re
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate.system.cores import granted_cores
from pixlate_onnx import providers
from pixlate_onnx.program import Value, require_readable
from pixlate_onnx.providers import Chosen

HEAVY = frozenset({"AveragePool", "Conv", "ConvTranspose", "DepthToSpace", "Gemm", "InstanceNormalization", "MatMul", "MaxPool", "Pad", "Resize"})
"""Nodes that make a GPU worth asking for."""
_OUT_OF_MEMORY = (
    "failed to allocate memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "cudaerrormemoryallocation",
    "alloc_failed",
    "allocation_failed",
    "is smaller than requested bytes",
)
_LOST = ("cuda failure", "cuda error", "cudnn_status", "cudnn failure", "cublas failure", "cublas_status", "no cuda-capable device", "driver shutting down")
_REFUSED = ("not_supported", "bad_param", "invalid_value", "invalid argument", "invalid configuration argument")
"""What the libraries say of work that they do not do, while the GPU is well."""
REMEMBERED = 16
"""Shapes that may take turns without the arena being shrunk each time."""
_SHRINK = "memory.enable_memory_arena_shrinkage"


def open_program(path: Path, device: str, model: bytes = b"") -> "Running":
    """Open a file on a device, with as many threads as the container grants cores.

    ``model`` is run in place of the file, where it is given.

    Raises:
        PixlateError: The file is missing, damaged, not ONNX, too new, lacks its external data, or the device cannot be used.
    """
    require_readable(path)
    chosen = _with_engines(path, device, model) if device.startswith("tensorrt") else providers.choose(device)
    options = _options()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "0" if chosen.device == "cpu" else "1")
    session = _session(path, options, chosen, model)
    if session.get_providers()[0] != chosen.providers[0][0]:
        raise PixlateError(
            f"expected ONNX Runtime to run on {chosen.device}, but it fell back to {session.get_providers()}; run `pixlate doctor`, or use --device cpu"
        )
    if chosen.device != "cpu":
        _require_on_gpu(path, session, chosen.device)
    return Running(path, session, chosen)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the log would print it a second time
    options.intra_op_num_threads = granted_cores()
    options.enable_mem_pattern = False  # a pattern is kept for every shape there ever was, and memory grows with a folder of mixed sizes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning would take the cores that decode and encode
    return options


def _session(path: Path, options: onnxruntime.SessionOptions, chosen: Chosen, model: bytes = b"") -> onnxruntime.InferenceSession:
    name = os.fspath(path)
    source: str | bytes = model or name if name.isprintable() else path.read_bytes()  # external data is looked for beside a path, which must be Unicode
    try:
        return onnxruntime.InferenceSession(source, options, providers=list(chosen.providers), enable_fallback=0)
    except Exception as error:
        raise _explained(path, str(error), chosen.device) from error


def _explained(path: Path, text: str, device: str) -> PixlateError:
    """Return the sentence for a file that ONNX Runtime does not open on a device."""
    lower = text.lower()
    if any(sign in lower for sign in _OUT_OF_MEMORY):
        return PixlateError(f"{device} has no memory for the model {path} ({shortened(text)}); close what else uses it, or use another --device")
    if any(sign in lower for sign in _LOST):
        return PixlateError(f"{device} cannot be used ({shortened(text)}); check it with `pixlate doctor` and nvidia-smi, or use --device cpu")
    if "could not find an implementation" in lower or "not_implemented" in lower:
        return PixlateError(f"{device} cannot run the model {path} ({shortened(text)}); use another device, or a model of --precision float32")
    return _not_read(path, text)


def _not_read(path: Path, text: str) -> PixlateError:
    """Return the sentence for a file that ONNX Runtime does not open anywhere."""
    lower = text.lower()
    if found := re.search(r"opset (\d+) is under development", lower):
        return PixlateError(
            f"the model file {path} uses opset {found[1]}, which ONNX Runtime {onnxruntime.__version__} does not know; "
            "update ONNX Runtime, or export it with an earlier --opset"
        )
    if "unsupported model ir version" in lower:
        return PixlateError(f"the model file {path} is of a newer ONNX than ONNX Runtime {onnxruntime.__version__} reads; update ONNX Runtime")
    if found := re.search(r"no op registered for (\w+) with domain_version of (\d+)", lower):
        return PixlateError(
            f"the model file {path} uses {found[1]} of opset {found[2]}, which ONNX Runtime {onnxruntime.__version__} does not know; export it with --opset 18"
        )
    if "external" in lower and ("data" in lower or "initializer" in lower):
        return PixlateError(
            f"the weights of the model {path} are in a file beside it, which is missing, cut short or outside its folder ({shortened(text)}); "
            "copy it there, or export the model as one file"
        )
    return PixlateError(f"the model file {path} of {path.stat().st_size:,} bytes is damaged or no ONNX model ({shortened(text)}); download or export it again")


def shortened(text: str) -> str:
    """Return the last part of an ONNX Runtime message, on one line."""
    return " ".join(text.rsplit(" : ", maxsplit=1)[-1].split())[:160]


def _require_on_gpu(path: Path, session: onnxruntime.InferenceSession, device: str) -> None:
    """Refuse a model whose heavy nodes ONNX Runtime has put on the CPU without a word."""
    tell = getattr(session, "get_provider_graph_assignment_info", None)  # from ONNX Runtime 1.24 on
    if tell is None:
        return
    strayed = {node.op_type for part in tell() if part.ep_name == providers.CPU for node in part.get_nodes()} & HEAVY
    if strayed:
        raise PixlateError(
            f"expected {device} to run all of {path}, but ONNX Runtime has no kernel there for {', '.join(sorted(strayed))} as this file has them; "
            "export it with --opset 18, with --precision float16 or float32, or use --device cpu"
        )


def _with_engines(path: Path, device: str, model: bytes = b"") -> Chosen:
    """Return TensorRT with a folder for the engines of this very model; says so where there are none yet, since building takes minutes."""
    folder = providers.engine_folder(hashlib.sha256(model or path.read_bytes()).hexdigest())
    plain = providers.choose(device)
    plain = replace(plain, providers=plain.providers[1:])
    metadata = _session(path, _options(), plain, model).get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    chosen = providers.choose(device, ModelSpec.from_json(metadata).precision if metadata else "float32", folder)
    if not any(folder.glob("*.engine")):
        warnings.warn(f"TensorRT builds an engine for each new size of {path.name}; this takes minutes, once, and is kept in {folder}", stacklevel=2)
    return chosen


class Running:
    """A session that runs from any thread; see :class:`pixlate_onnx.program.Program`.

    On a GPU the batch is copied once into device memory that is kept for the next batch of its shape, and the result comes back in one copy. An
    arena would keep what the largest of all shapes needed, piece by piece: it is shrunk after the first run of each new shape.
    """

    def __init__(self, path: Path, session: onnxruntime.InferenceSession, chosen: Chosen) -> None:
        self.session, self.device, self._path, self._chosen = session, chosen.device, path, chosen
        self.metadata: str = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "")
        self.inputs, self.outputs = ([Value(item.name, item.type, item.shape) for item in items] for items in (session.get_inputs(), session.get_outputs()))
        self._constants: Sequence[NDArray[Any]] = ()
        self._kind, self._number = ("cpu", 0) if chosen.gpu is None else ("cuda", chosen.gpu)
        self._bound = threading.local()
        self._active: set[onnxruntime.RunOptions] = set()
        self._seen: deque[tuple[tuple[int, ...], ...]] = deque(maxlen=REMEMBERED)
        self._shrunk = f"{'cpu' if chosen.gpu is None else 'gpu'}:{self._number}"

    def edited(self, model: bytes) -> "Running":
        """Return a model that was made of this file, on its device."""
        options = _options()
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.fspath(self._path.parent))
        found = Running(self._path, _session(self._path, options, self._chosen, model), self._chosen)
        found._active = self._active
        return found

    def given(self, constants: Sequence[NDArray[Any]]) -> "Running":
        """Return the same session with its last inputs given."""
        found = copy.copy(self)
        found._constants, found._bound = constants, threading.local()
        return found

    def __call__(self, *arrays: NDArray[Any]) -> NDArray[Any]:
        """Return what the session makes of a batch, given its inputs in their order.

        Raises:
            OutOfDeviceMemory: The batch does not fit.
            DeviceLost: The GPU has failed.
            PixlateError: The model does not take an image of this size.
        """
        arrays = (*arrays, *self._constants)
        shapes = tuple(array.shape for array in arrays)
        new = shapes not in self._seen
        if new:
            self._seen.append(shapes)
        with self._running(arrays[0], new) as options:
            if self._kind == "cpu":
                output: NDArray[Any] = self.session.run([self.outputs[0].name], self._named(arrays), options)[0]
                return output
            return self.bound(*arrays, options=options)

    def every(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """Return all outputs, in their order; raises what a call raises."""
        with self._running(arrays[0], True) as options:
            outputs: list[NDArray[Any]] = self.session.run(None, self._named(arrays), options)
            return outputs

    def _named(self, arrays: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {value.name: array for value, array in zip(self.inputs, arrays, strict=True)}

    def terminate(self) -> None:
        """End what runs here, in any thread, after the node it is at; it raises :class:`PixlateError` there."""
        for options in self._active.copy():
            options.terminate = True

    @contextmanager
    def _running(self, images: NDArray[Any], shrinking: bool) -> Iterator[onnxruntime.RunOptions]:
        """Run in a way that :meth:`terminate` can end, and explain what is raised; the arena is shrunk afterwards where asked."""
        options = onnxruntime.RunOptions()
        if shrinking:
            options.add_run_config_entry(_SHRINK, self._shrunk)
        self._active.add(options)
        try:
            yield options
        except Exception as error:
            raise self._explained(images, str(error)) from error
        finally:
            self._active.discard(options)

    def bound(self, *arrays: NDArray[Any], options: onnxruntime.RunOptions | None = None) -> NDArray[Any]:
        """Run through bound memory."""
        kept = self._bound
        shapes = tuple(array.shape for array in arrays)
        if getattr(kept, "shapes", None) != shapes:
            kept.shapes = None
            kept.values = [onnxruntime.OrtValue.ortvalue_from_numpy(array, self._kind, self._number) for array in arrays]
            kept.binding = self.session.io_binding()
            for item, value in zip(self.inputs, kept.values, strict=True):
                kept.binding.bind_ortvalue_input(item.name, value)
            kept.shapes = shapes
        else:
            for value, array in zip(kept.values, arrays, strict=True):
                value.update_inplace(array)
        kept.binding.clear_binding_outputs()
        kept.binding.bind_output(self.outputs[0].name, self._kind, self._number)
        self.session.run_with_iobinding(kept.binding, options)
        output: NDArray[Any] = kept.binding.get_outputs()[0].numpy()
        return output if self._kind != "cpu" else np.array(output)

    def _explained(self, images: NDArray[Any], text: str) -> Exception:
        lower = text.lower()
        if any(sign in lower for sign in _OUT_OF_MEMORY):
            self._bound = threading.local()  # what was bound is let go
            return OutOfDeviceMemory(f"{self.device} has no memory for {images.shape}")
        if self._kind == "cuda" and any(sign in lower for sign in _LOST) and not any(sign in lower for sign in _REFUSED):
            return DeviceLost(f"{self.device} answers no more ({shortened(text)}); check it with nvidia-smi, or use another --device")
        if images.ndim != 4:
            return PixlateError(f"the model cannot take these conditions ({shortened(text)}); use other values or another model")
        height, width = images.shape[1:3] if images.dtype == np.uint8 else images.shape[2:]
        return PixlateError(f"the model cannot take an image of {width}x{height} ({shortened(text)}); use another size or model")
