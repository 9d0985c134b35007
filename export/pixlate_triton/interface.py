"""What a model file takes and gives, read with ONNX Runtime, which also runs it once at its smallest size."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnxruntime

from pixlate.errors import PixlateError
from pixlate.inference.sizes import allowed_side
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate.weights.reading import SUFFIXES

_TYPES = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32", "tensor(float16)": "TYPE_FP16", "tensor(int64)": "TYPE_INT64"}
_NUMBERS = {"TYPE_UINT8": np.uint8, "TYPE_FP32": np.float32, "TYPE_FP16": np.float16, "TYPE_INT64": np.int64}
_PIXELS = (4, ("TYPE_UINT8", "TYPE_FP32", "TYPE_FP16"))
_KINDS = {"image": _PIXELS, "mask": _PIXELS, "label": (1, ("TYPE_INT64",)), "vector": (2, ("TYPE_FP32",)), "noise": (2, ("TYPE_FP32",)), "reference": _PIXELS}
"""Kind of an input -> its dimensions and types."""
UNKNOWN_SIDE = 64
"""Height and width tried where the file does not say its smallest."""


@dataclass(frozen=True)
class Tensor:
    """An input or output."""

    name: str
    """Name in the file."""
    type: str
    """Triton's word for its type, such as ``TYPE_UINT8``; ONNX Runtime's where no model of images has it."""
    shape: tuple[int, ...]
    """Sizes in the file's order, the batch first; -1 is free."""


@dataclass(frozen=True)
class Interface:
    """What a model file takes and gives."""

    model: bytes
    """The file."""
    inputs: tuple[Tensor, ...]
    """What it takes: the images first, then what its metadata calls conditions."""
    output: Tensor
    """The images it gives."""
    spec: ModelSpec | None
    """Its metadata, where it has any."""
    smallest: tuple[tuple[int, ...], ...]
    """Smallest shape of each input, of a batch of one where the batch is free."""

    @property
    def batches(self) -> bool:
        """Whether Triton may put images together: the batch is free on both sides."""
        return all(tensor.shape[0] == -1 for tensor in (*self.inputs, self.output))

    @property
    def digest(self) -> str:
        """A name for the file's very content."""
        return sha256(self.model).hexdigest()[:16]


def read_interface(path: Path) -> Interface:
    """Read a model file, and run it once.

    Raises:
        PixlateError: It cannot be read, is damaged, keeps weights in other files, does not run on a CPU, or is no model of images.
    """
    if path.suffix.lower() in SUFFIXES:
        raise PixlateError(f"expected an ONNX file for Triton, got {path}, which is named as weights; write it as ONNX: pixlate import {path} model.onnx")
    try:
        model = path.read_bytes()
    except OSError as error:
        raise PixlateError(f"the model {path} cannot be read ({error.strerror}); check its path") from error
    session = _open(path, model)
    inputs, gives = [_described(item) for item in session.get_inputs()], _described(session.get_outputs()[0])
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    spec = ModelSpec.from_json(text) if text else None
    _require_images(path, inputs, gives, spec)
    for name in (tensor.name for tensor in (*inputs, gives)):
        if not name or not name.isprintable() or any(mark in name for mark in "\"'\\"):
            raise PixlateError(f"{path}: expected names of inputs and outputs without quotes, backslashes and control characters, got {name!r}; rename it")
    verb, pixels = ("takes", inputs[0]) if spec is None or spec.takes_image else ("gives", gives)
    channels_last = pixels.type == "TYPE_UINT8"
    if spec is not None and (spec.io == "uint8") != channels_last:
        raise PixlateError(f"{path}: expected {spec.io} pixels, as its metadata says, but the file {verb} {pixels.type}; export it again with `pixlate export`")
    if pixels.shape[3 if channels_last else 1] < 1:
        raise PixlateError(f"{path}: expected a fixed number of channels, got a free dimension; export it with `pixlate export`")
    side = UNKNOWN_SIDE if spec is None else allowed_side(1, spec)
    smallest = tuple(tuple(size if size >= 1 else side if place else 1 for place, size in enumerate(tensor.shape)) for tensor in inputs)
    interface = Interface(model, tuple(inputs), gives, spec, smallest)
    _try(path, session, interface, (1, 2) if channels_last else (2, 3))
    return interface


def _described(item: onnxruntime.NodeArg) -> Tensor:
    return Tensor(item.name, _TYPES.get(item.type, item.type), tuple(size if isinstance(size, int) and size > 0 else -1 for size in item.shape))


def _require_images(path: Path, inputs: Sequence[Tensor], output: Tensor, spec: ModelSpec | None) -> None:
    """Refuse a file that gives no images, or takes other inputs than an image or those that its metadata lists."""
    listed = spec.inputs if spec is not None else ()
    kinds = [*([each.kind for each in listed] or ["image"]), "image"]
    tensors = [*inputs, output]
    fits = len(tensors) == len(kinds) and all(
        len(tensor.shape) == _KINDS[kind][0] and tensor.type in _KINDS[kind][1] for tensor, kind in zip(tensors, kinds, strict=True)
    )
    if fits and (not listed or [tensor.name for tensor in inputs] == [each.name for each in listed]):
        return
    found = ", ".join(f"{tensor.type}{list(tensor.shape)}" for tensor in tensors)
    if listed:
        named = ", ".join(f"{each.name} ({each.kind})" for each in listed)
        got = ", ".join(tensor.name for tensor in inputs)
        raise PixlateError(f"{path}: expected the inputs {named} and an image as output, as its metadata says, got {got}: {found}; export it again")
    raise PixlateError(f"{path}: expected a model from one image to one, of 4 dimensions each, in uint8 or float, got {found}; choose a model of images")


def _open(path: Path, model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it is only looked at
    nowhere = str(path.absolute() / "weights")  # otherwise weights in files of the working folder would be found, which Triton will not
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", nowhere)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:
        reason = _short(error)
        if type(error).__name__ == "NotImplemented":
            raise PixlateError(f"{path} is tried on the CPU, where ONNX Runtime cannot run it ({reason}); export it in float32 or float16") from error
        if "external data" in reason.lower():
            raise PixlateError(
                f"{path} keeps its weights in another file, and Triton is given one; write them into one: "
                'python -c \'import onnx; onnx.save(onnx.load("OLD.onnx"), "NEW.onnx")\''
            ) from error
        what = "is empty" if not model else f"of {len(model):,} bytes is damaged, newer than ONNX Runtime {onnxruntime.__version__}, or no ONNX model"
        raise PixlateError(f"the model file {path} {what} ({reason}); download or export it again") from error


def _short(error: Exception) -> str:
    """Return the last part of an ONNX Runtime message, on one line."""
    return " ".join(str(error).rsplit(" : ", maxsplit=1)[-1].split())[:160]


def _try(path: Path, session: onnxruntime.InferenceSession, interface: Interface, sides: Sequence[int]) -> None:
    """Run the smallest input, which Triton will run before it says that it is ready."""
    zeros = {tensor.name: np.zeros(shape, _NUMBERS[tensor.type]) for tensor, shape in zip(interface.inputs, interface.smallest, strict=True)}
    smallest = interface.smallest[0]
    try:
        output = session.run([interface.output.name], zeros)[0]
    except Exception as error:
        raise PixlateError(f"{path}: the model cannot take its own smallest input {smallest} ({_short(error)}); export it again") from error
    if interface.spec is not None and not interface.spec.takes_image:
        return
    scales = {output.shape[side] / smallest[side] for side in sides}
    wanted = {interface.spec.scale} if interface.spec is not None else {max(1, round(max(scales)))}
    if scales != wanted or len(output) != smallest[0]:
        raise PixlateError(
            f"{path}: expected a picture of {interface.spec.scale if interface.spec else 'a whole number of'} times the input's sides, got {output.shape} "
            f"from {smallest}; choose a model of images, or export it again"
        )
