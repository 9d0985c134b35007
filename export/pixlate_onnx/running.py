"""One run of a session: arrays in, arrays out, through bound device memory on GPUs."""

import threading
from collections import deque
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate_onnx.opening import shortened

_OUT_OF_MEMORY = (
    "failed to allocate memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "cudaerrormemoryallocation",
    "alloc_failed",
    "is smaller than requested bytes",
)
_LOST = ("cuda failure", "cuda error", "cudnn_status", "cudnn failure", "cublas failure", "cublas_status", "no cuda-capable device", "driver shutting down")
_REFUSED = ("not_supported", "bad_param", "invalid_value")
"""What the libraries say of work that they do not do, while the GPU is well."""
REMEMBERED = 16
"""Shapes that may take turns without the arena being shrunk each time."""
_SHRINK = "memory.enable_memory_arena_shrinkage"


class Running:
    """Runs a session from any thread.

    On a GPU the batch is copied once into device memory that is kept for the next batch of its shape, and the result comes back in one copy. An
    arena would keep what the largest of all shapes needed, piece by piece: it is shrunk after the first run of each new shape.

    Args:
        session: The session.
        gpu: Number of the GPU, or None.
        device: Name for messages.
    """

    def __init__(self, session: onnxruntime.InferenceSession, gpu: int | None, device: str) -> None:
        self.session, self.device = session, device
        self._kind, self._number = ("cpu", 0) if gpu is None else ("cuda", gpu)
        self._inputs, self._output = [item.name for item in session.get_inputs()], session.get_outputs()[0].name
        self._bound = threading.local()
        self._seen: deque[tuple[tuple[int, ...], ...]] = deque(maxlen=REMEMBERED)
        self._shrinking = onnxruntime.RunOptions()
        self._shrinking.add_run_config_entry(_SHRINK, f"{'cpu' if gpu is None else 'gpu'}:{self._number}")

    def __call__(self, *arrays: NDArray[Any]) -> NDArray[Any]:
        """Return what the session makes of a batch, given its inputs in their order.

        Raises:
            OutOfDeviceMemory: The batch does not fit.
            DeviceLost: The GPU has failed.
            PixlateError: The model does not take an image of this size.
        """
        options = None
        shapes = tuple(array.shape for array in arrays)
        if shapes not in self._seen:
            self._seen.append(shapes)
            options = self._shrinking
        try:
            if self._kind == "cpu":
                output: NDArray[Any] = self.session.run([self._output], dict(zip(self._inputs, arrays, strict=True)), options)[0]
                return output
            return self.bound(*arrays, options=options)
        except Exception as error:
            raise self._explained(arrays[0], str(error)) from error

    def bound(self, *arrays: NDArray[Any], options: onnxruntime.RunOptions | None = None) -> NDArray[Any]:
        """Run through bound memory."""
        kept = self._bound
        shapes = tuple(array.shape for array in arrays)
        if getattr(kept, "shapes", None) != shapes:
            kept.shapes = None
            kept.values = [onnxruntime.OrtValue.ortvalue_from_numpy(array, self._kind, self._number) for array in arrays]
            kept.binding = self.session.io_binding()
            for name, value in zip(self._inputs, kept.values, strict=True):
                kept.binding.bind_ortvalue_input(name, value)
            kept.shapes = shapes
        else:
            for value, array in zip(kept.values, arrays, strict=True):
                value.update_inplace(array)
        kept.binding.clear_binding_outputs()
        kept.binding.bind_output(self._output, self._kind, self._number)
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
