"""Runs an ONNX file with OpenVINO."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.plugin.translator import Statistics
from pixlate_onnx.program import require_readable
from pixlate_onnx.translator import FileTranslator
from pixlate_openvino.library import ARITHMETICS
from pixlate_openvino.program import open_program

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels


class OpenvinoTranslator(FileTranslator):
    """A generator in an ONNX file, run by OpenVINO.

    For pictures of 16 bits, what would be computed in bfloat16 is computed in float32: bfloat16 has 8 significant bits. The model is then compiled a second time.

    Args:
        path: The model file.
        device: ``auto``, which is the CPU, ``cpu``, ``gpu``, ``gpu:N`` or ``npu``.
        arithmetic: ``auto``, which is float32, ``float32`` or ``bfloat16``; what a file of 8 bits does not compute in these, it computes in this.

    Raises:
        PixlateError: The file is no image model that OpenVINO takes, or device or arithmetic are not there.
    """

    def __init__(self, path: Path, device: str = "auto", arithmetic: str = "auto") -> None:
        if arithmetic not in ("auto", *ARITHMETICS):
            raise PixlateError(f"expected --arithmetic auto, {' or '.join(ARITHMETICS)} for OpenVINO, got {arithmetic!r}; choose one of these")
        require_readable(path)
        self._arithmetic = "float32" if arithmetic == "auto" else arithmetic
        super().__init__(path, open_program(path, device, self._arithmetic))
        self._making = threading.Lock()
        self._deep: OpenvinoTranslator | None = None

    def arithmetic(self, kind: "np.dtype[Any]") -> str:
        """Return what pictures of a type are computed in; see :class:`pixlate.plugin.translator.Computing`."""
        rest = "float32" if kind == np.uint16 else self._arithmetic
        return rest if self.spec.precision != "int8" else f"int8 and {rest}" if rest != "float32" else "int8"

    def __call__(self, pixels: "Pixels | None", **conditions: NDArray[Any]) -> "Pixels":
        """Translate (batch, height, width, channels) of uint8 or uint16; see :class:`pixlate.Translator`."""
        if pixels is not None and pixels.dtype == np.uint16 and self._arithmetic != "float32":
            return self._in_float32()(pixels, **conditions)
        return super().__call__(pixels, **conditions)

    def statistics(self, pixels: "Pixels", **conditions: NDArray[Any]) -> Statistics:
        """Return what is measured on one image; see :class:`pixlate.plugin.translator.Measuring`."""
        if pixels.dtype == np.uint16 and self._arithmetic != "float32":
            return self._in_float32().statistics(pixels, **conditions)
        return super().statistics(pixels, **conditions)

    def with_statistics(self, statistics: Statistics) -> "OpenvinoTranslator":
        """Return the same model with given statistics; see :class:`pixlate.plugin.translator.Measuring`."""
        found = super().with_statistics(statistics)
        if self._deep is not None:
            found._deep = self._deep.with_statistics(statistics)
        return found

    def terminate(self) -> None:
        """End what runs, in any thread; see :class:`pixlate.plugin.translator.Interruptible`."""
        super().terminate()
        if self._deep is not None:
            self._deep.terminate()

    def _in_float32(self) -> "OpenvinoTranslator":
        """Return the same model in float32."""
        with self._making:
            if self._deep is None:
                self._deep = OpenvinoTranslator(self._path, self.device, "float32")
            return self._deep
