"""Runs an ONNX file with ONNX Runtime, and nothing else: no PyTorch, no onnx package."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.machine import granted_cores
from pixlate.spec import METADATA_KEY, ModelSpec, Precision
from pixlate_onnx import providers

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
STRIP = 32
"""Rows converted at once."""
_OUT_OF_MEMORY = (
    "failed to allocate memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "cudaerrormemoryallocation",
    "alloc_failed",
    "is smaller than requested bytes",
)


class OnnxTranslator:
    """A generator in an ONNX file: (batch, channels, height, width) in [0, 1] in and out, free batch, height and width.

    A file without Pixlate's metadata is opened too: channels are read from its shapes, the scale from a small trial.

    Args:
        path: The model file.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        PixlateError: The file is damaged, no image model, or the device cannot be used.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        self.device, wanted = providers.choose(device)
        self._session = _open(path, wanted, self.device)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape) != 4:
            found = ", ".join(f"{item.type}{item.shape}" for item in inputs)
            raise PixlateError(
                f"{path}: expected a model of one float image (batch, channels, height, width) in [0, 1], got {found}; export it with `pixlate export`"
            )
        self._input, self._type, self._output = inputs[0].name, _TYPES[inputs[0].type], outputs[0].name
        self._batch = inputs[0].shape[0]
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        self.spec = ModelSpec.from_json(text) if text else self._read_spec(path, inputs[0].shape)

    def __call__(self, pixels: "Pixels") -> "Pixels":
        """Translate (batch, height, width, channels) of uint8 or uint16; see :class:`pixlate.Translator`."""
        if pixels.ndim != 4 or pixels.shape[3] != self.spec.channels_in or pixels.dtype not in (np.uint8, np.uint16):
            raise PixlateError(
                f"expected uint8 or uint16 pixels (batch, height, width, {self.spec.channels_in}), got {pixels.dtype} {pixels.shape}; add a batch axis or convert them"
            )
        height, width = pixels.shape[1:3]
        padded = self._pad(pixels)
        peak = float(np.iinfo(pixels.dtype).max)
        images = np.ascontiguousarray(padded.transpose(0, 3, 1, 2), dtype=np.float32)
        images *= 1 / peak
        output = self._run_batches(images.astype(self._type, copy=False))
        self._require_shape(output, padded.shape)
        try:
            return _levels(output[:, :, : height * self.spec.scale, : width * self.spec.scale], pixels.dtype)
        except FloatingPointError as error:
            raise PixlateError(f"the model gave values that are not numbers, as {self.spec.precision} can; use a model of higher precision") from error

    def _pad(self, pixels: "Pixels") -> "Pixels":
        """Repeat the last row and column until height and width suit the network."""
        height, width = (-(-max(side, self.spec.minimum) // self.spec.multiple) * self.spec.multiple for side in pixels.shape[1:3])
        if (height, width) == pixels.shape[1:3]:
            return pixels
        return np.pad(pixels, ((0, 0), (0, height - pixels.shape[1]), (0, width - pixels.shape[2]), (0, 0)), mode="edge")

    def _require_shape(self, output: NDArray[Any], given: tuple[int, ...]) -> None:
        expected = (given[0], self.spec.channels_out, given[1] * self.spec.scale, given[2] * self.spec.scale)
        if output.shape != expected:
            raise PixlateError(f"expected the model to give {expected}, as its metadata says, got {output.shape}; export it again with `pixlate export`")

    def _run_batches(self, images: NDArray[Any]) -> NDArray[Any]:
        """Run the images; a model made for a fixed batch gets them in its portions, the last one filled up with copies."""
        if not isinstance(self._batch, int) or self._batch == len(images):
            return self._run(images)
        missing = -len(images) % self._batch
        filled = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)), mode="edge")
        return np.concatenate([self._run(portion) for portion in np.split(filled, len(filled) // self._batch)])[: len(images)]

    def _run(self, images: NDArray[Any]) -> NDArray[Any]:
        try:
            output: NDArray[Any] = self._session.run([self._output], {self._input: images})[0]
        except Exception as error:
            text = str(error)
            if any(sign in text.lower() for sign in _OUT_OF_MEMORY):
                raise OutOfDeviceMemory(f"{self.device} has no memory for {images.shape}") from error
            raise PixlateError(f"the model cannot take an image of {images.shape[3]}x{images.shape[2]} ({_short(text)}); use another size or model") from error
        return output

    def _read_spec(self, path: Path, shape: list[int | str | None]) -> ModelSpec:
        channels = shape[1]
        if not isinstance(channels, int):
            raise PixlateError(f"{path}: expected a fixed number of channels, got the free dimension {channels!r}; export it with `pixlate export`")
        height, width = (side if isinstance(side, int) else 64 for side in shape[2:])
        output = self._run(np.zeros((self._batch if isinstance(self._batch, int) else 1, channels, height, width), self._type))
        scale, remainder = divmod(output.shape[-1], width) if output.ndim == 4 else (0, 0)
        if scale < 1 or remainder or output.shape[2] != height * scale:
            raise PixlateError(
                f"{path}: expected an output of a whole multiple of the input's {width}x{height}, got the shape {output.shape}; use a model for images"
            )
        precision: Precision = "float16" if self._type == np.float16 else "float32"
        return ModelSpec(scale=scale, channels_in=channels, channels_out=int(output.shape[1]), precision=precision)


def _levels(images: NDArray[Any], kind: "np.dtype[np.uint8 | np.uint16]") -> "Pixels":
    """Return images (batch, channels, height, width) of [0, 1] as rounded levels (batch, height, width, channels).

    Strip by strip, so that what a strip needs stays in the processor's cache: five times as fast as whole images.

    Raises:
        FloatingPointError: A value is not a number.
    """
    batch, channels, height, width = images.shape
    peak = np.float32(np.iinfo(kind).max)
    result: Pixels = np.empty((batch, height, width, channels), kind)
    with np.errstate(invalid="raise"):  # converting what is not a number
        for top in range(0, height, STRIP):
            strip = images[:, :, top : top + STRIP].astype(np.float32)
            strip *= peak
            strip += np.float32(0.5)
            np.clip(strip, 0, peak, out=strip)
            levels = strip.astype(kind)
            for channel in range(channels):
                result[:, top : top + STRIP, :, channel] = levels[:, channel]
    return result


def _open(path: Path, wanted: list[tuple[str, dict[str, Any]]], device: str) -> onnxruntime.InferenceSession:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PixlateError(f"the model {path} cannot be read ({error.strerror}); check its path") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the log would print it a second time
    options.intra_op_num_threads = granted_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning would take the cores that decode and encode
    try:
        session = onnxruntime.InferenceSession(data, options, providers=wanted, enable_fallback=0)
    except Exception as error:
        what = "is empty" if not data else f"of {len(data):,} bytes is damaged or no ONNX model"
        raise PixlateError(f"the model file {path} {what} ({_short(str(error))}); download or export it again") from error
    if session.get_providers()[0] != wanted[0][0]:
        raise PixlateError(
            f"expected ONNX Runtime to run on {device}, but it fell back to {session.get_providers()}; run `pixlate doctor`, or use --device cpu"
        )
    return session


def _short(text: str) -> str:
    """Return the last part of an ONNX Runtime message, on one line."""
    return " ".join(text.rsplit(" : ", maxsplit=1)[-1].split())[:160]
