"""Reads ncnn's models, a text of layers (``.param``) beside their weights (``.bin``), as arrays. NumPy only."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError

MAGIC = "7767517"
HALF = 0x01306B47
"""Tag before weights that are stored as float16; 0 means float32."""
MOST_LAYERS = 20_000
_MOST_TEXT = 2**23
"""Most bytes of a .param."""
_MOST_NAMES = 64
"""Most inputs, or outputs, of a layer."""
_PLAIN = ("Input", "Split", "Noop", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle", "ReLU", "Swish", "Sigmoid")
KNOWN = ("Convolution", "PReLU", "MemoryData", *_PLAIN)
"""Layers whose weights are read here; the first three have any."""
_HINT = "download both files again, from one place"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """One layer of a ``.param``."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: Mapping[int, tuple[float, ...]]
    """Numbers by ncnn's own number of the option; an option that is not an array has one."""
    weights: tuple[Array, ...] = field(default=(), repr=False)
    """Of a convolution (channels_out, channels_in, height, width) and, if it has one, the bias; of a PReLU the slopes; of a constant its values."""

    def number(self, option: int, default: float = 0) -> float:
        """Return an option that is one number."""
        return self.options.get(option, (default,))[0]


def read(param: Path, weights: Path) -> tuple[Layer, ...]:
    """Return the layers of a model, each with its weights in 32 bits; both files are read as untrusted.

    Raises:
        PixlateError: One is missing, damaged, has layers that are unknown here, or is not of the same network as the other.
    """
    layers = _layers(_text(param), param)
    try:
        size = weights.stat().st_size
        with weights.open("rb") as file:
            reader = _Weights(file, size, weights, param)
            read = tuple(reader.filled(layer) for layer in layers)
    except FileNotFoundError as error:
        raise PixlateError(
            f"expected the weights of {param} in {weights}, but that file is not there; put it beside the .param, under the same name"
        ) from error
    except OSError as error:
        raise PixlateError(f"expected the weights of {param} in {weights}, but that file cannot be read ({error.strerror}); check its permissions") from error
    if reader.left:
        raise PixlateError(
            f"expected {size - reader.left:,} bytes of weights for the layers of {param}, but {weights} has {size:,}: it is of another network; {_HINT}"
        )
    return read


def _text(param: Path) -> list[str]:
    try:
        with param.open("rb") as file:
            content = file.read(_MOST_TEXT + 1)
    except OSError as error:
        raise PixlateError(f"expected an ncnn model, but {param} cannot be read ({error.strerror}); check its path") from error
    if len(content) > _MOST_TEXT:
        raise PixlateError(f"expected an ncnn model of at most {_MOST_TEXT:,} bytes of text, but {param} is longer; download it again")
    return content.decode("utf-8", "replace").splitlines()


def _layers(lines: Sequence[str], param: Path) -> tuple[Layer, ...]:
    """Return what a ``.param`` lists, without weights."""
    counts = lines[1].split() if len(lines) > 1 else []
    if not lines or lines[0].strip() != MAGIC or len(counts) != 2 or not re.fullmatch("[0-9]{1,6}", counts[0]):
        raise PixlateError(f"expected a text that begins with ncnn's number {MAGIC} and the count of layers, but {param} does not; download it again")
    rows = [line for line in lines[2:] if line.strip()]
    if int(counts[0]) != len(rows) or len(rows) > MOST_LAYERS:
        raise PixlateError(
            f"expected {min(int(counts[0]), MOST_LAYERS):,} layers, but {param} lists {len(rows):,}: it is cut off or damaged; download it again"
        )
    layers = tuple(_layer(row, number, param) for number, row in enumerate(rows, 3))
    if unknown := sorted({layer.kind for layer in layers} - {*KNOWN}):
        names = ", ".join(kind[:40].encode("unicode_escape").decode() for kind in unknown[:5])
        raise PixlateError(f"expected layers of Compact, RRDB or SPAN, but {param} has others ({names}); use the model's PyTorch weights (.pth) instead")
    return layers


def _layer(row: str, number: int, param: Path) -> Layer:
    """Return the layer of one line: its kind and name, the counts and names of its inputs and outputs, and options as ``number=value``."""
    words = row.split()
    try:
        kind, name, inputs, outputs = words[0], words[1], int(words[2][:6]), int(words[3][:6])
        if not (0 <= inputs <= _MOST_NAMES and 0 <= outputs <= _MOST_NAMES and len(words) >= 4 + inputs + outputs):
            raise ValueError
        names, options = words[4 : 4 + inputs + outputs], dict(_option(word) for word in words[4 + inputs + outputs :])
    except (ValueError, IndexError) as error:
        raise PixlateError(f"expected a layer in line {number} of {param}, got {row[:60]!r}; the file is damaged: download it again") from error
    return Layer(kind, name, tuple(names[:inputs]), tuple(names[inputs:]), options)


def _option(word: str) -> tuple[int, tuple[float, ...]]:
    """Return the number and values of an option; arrays, whose number is -23300 minus the option's, begin with their length."""
    key, equal, value = word.partition("=")
    option, values = int(key[:10]), [float(each) for each in value.split(",")]
    if not equal or not np.isfinite(values).all():
        raise ValueError
    if option > -23300:
        return option, tuple(values[:1])
    if int(values[0]) != len(values) - 1 or len(values) < 2:
        raise ValueError
    return -23300 - option, tuple(values[1:])


class _Weights:
    """Takes weights from a ``.bin`` layer by layer; no more is asked of the memory than the file has.

    Args:
        file: At its beginning.
        size: Bytes in it.
        path: Its name, for errors.
        param: That of the layers, for errors.
    """

    def __init__(self, file: BinaryIO, size: int, path: Path, param: Path) -> None:
        self._file, self.left, self._path, self._param = file, size, path, param

    def filled(self, layer: Layer) -> Layer:
        """Return a layer with its weights."""
        if layer.kind == "Convolution":
            weights = self._convolution(layer)
        elif layer.kind == "PReLU":
            weights = (self._plain(layer, self._count(layer, 0)),)
        elif layer.kind == "MemoryData":
            count = max(1, int(layer.number(0))) * max(1, int(layer.number(1))) * max(1, int(layer.number(2)))
            weights = (self._plain(layer, count),)
        else:
            return layer
        return Layer(layer.kind, layer.name, layer.inputs, layer.outputs, layer.options, weights)

    def _convolution(self, layer: Layer) -> tuple[Array, ...]:
        channels, width, count = self._count(layer, 0), self._count(layer, 1), self._count(layer, 6)
        height = self._count(layer, 11) if 11 in layer.options else width
        inner, rest = divmod(count, channels * height * width)
        if rest or not inner or layer.number(8):
            raise PixlateError(f"expected weights of 16 or 32 bits that fill the kernel of {layer.name[:60]!r} of {self._param}; use another file of the model")
        tag = int.from_bytes(self._bytes(layer, 4), "little")
        if tag not in (0, HALF):
            raise PixlateError(
                f"expected weights of 16 or 32 bits, but those of {layer.name[:60]!r} in {self._path} begin with 0x{tag:08X}: "
                f"the file is quantised or of another network; {_HINT}"
            )
        kernel = self._plain(layer, count) if tag == 0 else self._half(layer, count)
        bias = (self._plain(layer, channels),) if layer.number(5) else ()
        return (kernel.reshape(channels, inner, height, width), *bias)

    def _count(self, layer: Layer, option: int) -> int:
        number = layer.number(option)
        if not 1 <= number <= 2**31 or number % 1:
            raise PixlateError(f"expected option {option} of {layer.name[:60]!r} in {self._param} to be a count, got {number:g}; download the file again")
        return int(number)

    def _plain(self, layer: Layer, count: int) -> Array:
        return np.frombuffer(self._bytes(layer, 4 * count), "<f4").astype(np.float32)

    def _half(self, layer: Layer, count: int) -> Array:
        return np.frombuffer(self._bytes(layer, -(-2 * count // 4) * 4), "<f2")[:count].astype(np.float32)  # blobs are filled up to 4 bytes

    def _bytes(self, layer: Layer, count: int) -> bytes:
        content = self._file.read(count) if count <= self.left else b""
        if len(content) != count:
            raise PixlateError(
                f"expected {count:,} bytes of weights for {layer.name[:60]!r} of {self._param}, but {self._path} has {self.left:,} left: "
                f"it is cut off or of another network; {_HINT}"
            )
        self.left -= count
        return content
