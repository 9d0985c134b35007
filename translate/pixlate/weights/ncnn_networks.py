"""Which network an ncnn model is, by its structure, and its weights under the names of the published PyTorch code. NumPy only."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixlate.errors import PixlateError
from pixlate.inference.files import ncnn_pair
from pixlate.weights.ncnn import Array, Layer, read

RESIZED = "ncnn.resized"
"""Name of one number among the weights: the factor of a bicubic resizing after the network."""
SPAN_MEAN = (0.4488, 0.4371, 0.4040)
SPAN_BLOCKS = 6
_MOST_JOINED = 64
"""Most features that are joined: the layers of a damaged file could double them without end."""


@dataclass(frozen=True)
class Network:
    """A network that was recognised."""

    architecture: str
    """``Compact``, ``RRDB`` or ``SPAN``."""
    weights: Mapping[str, Array]
    """By the published names; those of a fused convolution of SPAN are written as its branches, which multiply out to the same numbers."""
    scale: int
    """Height and width of the output over those of the input, before ``resized``."""
    blocks: int
    """Convolutions of Compact but for the first and last; blocks of the others."""
    resized: float = 1.0
    """Factor of a bicubic resizing of the output."""


def read_network(path: Path) -> Network:
    """Return the network of a ``.param``, or of a ``.bin`` beside one.

    Raises:
        PixlateError: The files cannot be read, or are of a network that is unknown here.
    """
    found = ncnn_pair(path)
    if found is None:
        raise PixlateError(f"expected a .param of ncnn, or a .bin beside one, got {path}; name a .param")
    return recognise(read(*found), found[0])


def recognise(layers: Sequence[Layer], path: Path) -> Network:
    """Return the network that layers compute, whatever their names and order.

    What the file computes is compared as a whole with what each architecture would, of as many blocks as it has convolutions.
    """
    actual = _Actual(layers, path)
    output, resized = actual.output()
    for architecture in (_compact, _rrdb, _span):
        network = architecture(actual, output, resized)
        if network is not None:
            return network
    count = len(actual.convolutions)
    raise PixlateError(
        f"expected the layers of {path} to be Compact (SRVGGNetCompact), RRDB (ESRGAN) or SPAN, but its {count} convolutions are joined otherwise; "
        "use the model's PyTorch weights (.pth) instead"
    )


class _Expressions:
    """Numbers for expressions: equal expressions of equal operands have one number, so that whole graphs are compared by one."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._expressions: list[tuple[Hashable, ...]] = []
        self.image = self._make("image")

    def _make(self, *expression: Hashable) -> int:
        number = self._numbers.setdefault(expression, len(self._numbers))
        if number == len(self._expressions):
            self._expressions.append(expression)
        return number

    def of(self, number: int) -> tuple[Hashable, ...]:
        return self._expressions[number]

    def convolution(self, value: int, index: int, size: int) -> int:
        return self._make("convolution", value, index, size)

    def prelu(self, value: int, index: int) -> int:
        return self._make("prelu", value, index)

    def leaky(self, value: int, slope: float) -> int:
        return self._make("leaky", value, round(slope, 5))

    def sigmoid(self, value: int) -> int:
        return self._make("sigmoid", value)

    def constant(self, values: Sequence[float]) -> int:
        return self._make("constant", tuple(round(float(value), 3) for value in values[:8]))

    def silu(self, value: int) -> int:
        return self.times(value, self.sigmoid(value))

    def times(self, one: int, other: int) -> int:
        return self._make("times", *sorted((one, other)))

    def less(self, value: int, constant: int) -> int:
        return self._make("less", value, constant)

    def shifted(self, value: int, by: float) -> int:
        return self._make("shifted", value, round(by, 5))

    def sum(self, *terms: tuple[int, float]) -> int:
        """A weighted sum; an operand that is itself only weighted is taken with its weight."""
        flat = []
        for value, weight in terms:
            kind, *rest = self.of(value)
            inner = rest[0] if kind == "sum" and len(rest) == 1 else (value, 1.0)
            assert isinstance(inner, tuple)
            flat.append((inner[0], round(inner[1] * weight, 5)))
        return self._make("sum", *sorted(flat))

    def joined(self, *values: int) -> int | None:
        flat: list[Hashable] = []
        for value in values:
            kind, *rest = self.of(value)
            flat += rest if kind == "joined" else [value]
        return self._make("joined", *flat) if len(flat) <= _MOST_JOINED else None

    def enlarged(self, value: int, factor: float) -> int:
        return value if factor == 1 else self._make("enlarged", value, round(factor, 5))

    def bicubic(self, value: int, factor: float) -> int:
        return value if factor == 1 else self._make("bicubic", value, factor)

    def shuffled(self, value: int, factor: int) -> int:
        return value if factor == 1 else self._make("shuffled", value, factor)


class _Actual(_Expressions):
    """What a file computes."""

    def __init__(self, layers: Sequence[Layer], path: Path) -> None:
        super().__init__()
        self.convolutions: list[Layer] = []
        self.slopes: list[Layer] = []
        self.doublings = 0
        self._path = path
        self._values: dict[str, int] = {}
        used: set[str] = set()
        made: list[str] = []
        for layer in layers:
            inputs = []
            for name in layer.inputs:
                if name not in self._values:
                    raise PixlateError(f"expected {layer.name[:60]!r} of {path} to follow what it takes, {name[:60]!r}; the file is damaged: download it again")
                inputs.append(self._values[name])
            value = self._value(layer, inputs)
            if value is None or not layer.outputs:
                raise PixlateError(
                    f"expected layers as Compact, RRDB and SPAN have them, but {path} has {layer.name[:60]!r} of the kind {layer.kind}, with other options; "
                    "use the model's PyTorch weights (.pth) instead"
                )
            used.update(layer.inputs)
            made += layer.outputs
            self._values.update(dict.fromkeys(layer.outputs, value))
        if (count := sum(layer.kind == "Input" for layer in layers)) != 1:
            raise PixlateError(f"expected a network of one input, but {path} has {count}; use the model's PyTorch weights (.pth) instead")
        self._ends = [name for name in made if name not in used]

    def output(self) -> tuple[int, float]:
        """Return the output before a bicubic resizing that it ends in, and the factor of that."""
        values = {self._values[name] for name in self._ends}
        if len(values) != 1:
            raise PixlateError(f"expected a network of one output, but {self._path} has {len(values)}; use the model's PyTorch weights (.pth) instead")
        value = values.pop()
        kind, *rest = self.of(value)
        if kind != "bicubic":
            return value, 1.0
        inner, factor = rest
        assert isinstance(inner, int) and isinstance(factor, float)
        return inner, factor

    def _value(self, layer: Layer, inputs: Sequence[int]) -> int | None:  # noqa: PLR0911 - one for each kind
        """Return what a layer gives, or None where its options are not of the networks known here."""
        kind = layer.kind
        if kind == "Input":
            return self.image
        if kind == "MemoryData":
            return self.constant(layer.weights[0].tolist())
        if kind in ("Concat", "Eltwise", "BinaryOp"):
            return self._several(layer, inputs)
        if len(inputs) != 1:
            return None
        value = inputs[0]
        if kind in ("Split", "Noop"):
            return value
        if kind == "Convolution":
            return self._convolution(layer, value)
        if kind == "PReLU":
            self.slopes.append(layer)
            return self.prelu(value, len(self.slopes) - 1)
        if kind == "ReLU":
            return self.leaky(value, layer.number(0))
        if kind == "Sigmoid":
            return self.sigmoid(value)
        if kind == "Swish":
            return self.silu(value)
        if kind == "PixelShuffle":
            return self.shuffled(value, int(layer.number(0, 1))) if not layer.number(1) else None
        return self._resized(layer, value)

    def _convolution(self, layer: Layer, value: int) -> int | None:
        size = layer.weights[0].shape[2]
        padding = layer.number(4)
        same = all(layer.number(option, padding) == padding for option in (14, 15, 16)) and layer.weights[0].shape[3] == size
        plain = layer.number(2, 1) == layer.number(3, 1) == 1 and layer.number(12, 1) == layer.number(13, 1) == 1 and not layer.number(18)
        if not (same and plain and len(layer.weights) == 2 and size in (1, 3) and padding == size // 2):
            return None
        self.convolutions.append(layer)
        value = self.convolution(value, len(self.convolutions) - 1, size)
        activation = layer.number(9)
        if activation in (1, 2):
            return self.leaky(value, layer.number(10) if activation == 2 else 0)
        return {0: value, 4: self.sigmoid(value)}.get(int(activation))

    def _several(self, layer: Layer, inputs: Sequence[int]) -> int | None:  # noqa: PLR0911 - one for each kind
        if not inputs:
            return None
        if layer.kind == "Concat":
            return self.joined(*inputs) if layer.number(0) in (0, -3) else None
        operation = int(layer.number(0))
        if layer.kind == "Eltwise":
            weights = layer.options.get(1, (1.0,) * len(inputs))
            if operation == 0 and len(inputs) == 2:
                return self.times(*inputs)
            return self.sum(*zip(inputs, weights, strict=True)) if operation == 1 and len(weights) == len(inputs) else None
        if len(inputs) == 1 and layer.number(1):
            number = layer.number(2)
            return {0: lambda: self.shifted(inputs[0], number), 1: lambda: self.shifted(inputs[0], -number), 2: lambda: self.sum((inputs[0], number))}.get(
                operation, lambda: None
            )()
        if len(inputs) != 2:
            return None
        one, other = inputs
        return {0: lambda: self.sum((one, 1), (other, 1)), 1: lambda: self.less(one, other), 2: lambda: self.times(one, other)}.get(operation, lambda: None)()

    def _resized(self, layer: Layer, value: int) -> int | None:
        factor = layer.number(1, 1)
        if factor != layer.number(2, 1) or not 0.1 <= factor <= 8 or layer.number(3) or layer.number(4) or layer.number(6):
            return None
        if layer.number(0) == 1:
            self.doublings += factor == 2
            return self.enlarged(value, factor)
        return self.bicubic(value, factor) if layer.number(0) == 3 else None

    def shapes_follow(self, widths: Mapping[int, int]) -> bool:
        """Return whether convolutions take as many channels as ``widths`` says of each by its index."""
        return all(self.convolutions[index].weights[0].shape[1] == width for index, width in widths.items())

    def channels(self, index: int) -> int:
        """Return the channels that a convolution gives."""
        return len(self.convolutions[index].weights[0])

    def named(self, names: Sequence[str]) -> dict[str, Array]:
        """Return the weights of the convolutions, in their order, under names."""
        return {
            f"{name}.{part}": values
            for name, layer in zip(names, self.convolutions, strict=True)
            for part, values in zip(("weight", "bias"), layer.weights, strict=True)
        }


def _factor(channels_out: int, channels: int) -> int:
    """Return the factor of a pixel shuffle that leaves a number of channels, or 0 where none does."""
    factor = round((channels_out / channels) ** 0.5)
    return factor if factor**2 * channels == channels_out else 0


def _compact(graph: _Actual, output: int, resized: float) -> Network | None:
    count = len(graph.convolutions)
    if count < 2 or len(graph.slopes) != count - 1:
        return None
    scale = _factor(graph.channels(count - 1), graph.convolutions[0].weights[0].shape[1])
    value = graph.image
    for index in range(count - 1):
        value = graph.prelu(graph.convolution(value, index, 3), index)
    value = graph.shuffled(graph.convolution(value, count - 1, 3), scale)
    widths = {index: graph.channels(index - 1) for index in range(1, count)}
    fits = all(layer.weights[0].size == graph.channels(index) for index, layer in enumerate(graph.slopes))
    if graph.sum((value, 1), (graph.enlarged(graph.image, scale), 1)) != output or not graph.shapes_follow(widths) or not fits:
        return None
    weights = graph.named([f"body.{2 * index}" for index in range(count)])
    weights |= {f"body.{2 * index + 1}.weight": layer.weights[0] for index, layer in enumerate(graph.slopes)}
    return Network("Compact", weights, scale, count - 2, resized)


def _rrdb(graph: _Actual, output: int, resized: float) -> Network | None:
    count, doublings = len(graph.convolutions), graph.doublings
    blocks, rest = divmod(count - 4 - doublings, 15)
    if blocks < 1 or rest or graph.slopes:
        return None
    indices = iter(range(count))
    widths: dict[int, int] = {}
    channels = graph.channels(0)

    def convolved(value: int, width: int) -> int:
        index = next(indices)
        widths[index] = width
        return graph.convolution(value, index, 3)

    first = value = convolved(graph.image, graph.convolutions[0].weights[0].shape[1])
    growth = graph.channels(1)
    for _ in range(blocks):
        before = value
        for _ in range(3):
            dense = [value]
            for step in range(4):
                joined = graph.joined(*dense)
                assert joined is not None
                dense.append(graph.leaky(convolved(joined if step else value, channels + step * growth), 0.2))
            joined = graph.joined(*dense)
            assert joined is not None
            value = graph.sum((convolved(joined, channels + 4 * growth), 0.2), (value, 1))
        value = graph.sum((value, 0.2), (before, 1))
    value = graph.sum((convolved(value, channels), 1), (first, 1))
    for _ in range(doublings):
        value = graph.leaky(convolved(graph.enlarged(value, 2), channels), 0.2)
    value = graph.leaky(convolved(value, channels), 0.2)
    colours = graph.convolutions[0].weights[0].shape[1]
    if convolved(value, channels) != output or not graph.shapes_follow(widths) or graph.channels(count - 1) != colours:
        return None
    names = [f"body.{block}.rdb{part}.conv{step}" for block in range(blocks) for part in (1, 2, 3) for step in range(1, 6)]
    names = ["conv_first", *names, "conv_body", *(f"conv_up{step + 1}" for step in range(doublings)), "conv_hr", "conv_last"]
    return Network("RRDB", graph.named(names), 2**doublings, blocks, resized)


def _span(graph: _Actual, output: int, resized: float) -> Network | None:
    count = 3 * SPAN_BLOCKS + 4
    if len(graph.convolutions) != count or graph.slopes:
        return None
    scale = _factor(graph.channels(count - 1), graph.convolutions[0].weights[0].shape[1])
    normal = graph.sum((graph.less(graph.image, graph.constant(SPAN_MEAN)), 255))
    channels = graph.channels(0)
    widths = dict.fromkeys(range(1, count), channels) | {count - 2: 4 * channels}
    for start in (graph.image, normal):
        first = value = graph.convolution(start, 0, 3)
        outputs = []
        inner = value
        for block in range(SPAN_BLOCKS):
            inner = graph.silu(graph.convolution(value, 3 * block + 1, 3))
            last = graph.convolution(graph.silu(graph.convolution(inner, 3 * block + 2, 3)), 3 * block + 3, 3)
            value = graph.times(graph.sum((last, 1), (value, 1)), graph.shifted(graph.sigmoid(last), -0.5))
            outputs.append(value)
        joined = graph.joined(first, graph.convolution(value, count - 3, 3), outputs[0], inner)
        assert joined is not None
        value = graph.convolution(graph.convolution(joined, count - 2, 1), count - 1, 3)
        if graph.shuffled(value, scale) == output and graph.shapes_follow(widths):
            break
    else:
        return None
    blocks = [f"block_{block}.c{part}_r" for block in range(1, SPAN_BLOCKS + 1) for part in (1, 2, 3)]
    fused = ["conv_1", *blocks, "conv_2"]
    plain = graph.named([*fused, "conv_cat", "upsampler.0"])
    weights = {name: values for name, values in plain.items() if name.startswith(("conv_cat", "upsampler"))}
    for name in fused:
        weights |= _branches(name, plain[f"{name}.weight"], plain[f"{name}.bias"])
    if start == graph.image:
        weights["no_norm"] = np.zeros(1, np.float32)
    return Network("SPAN", weights, scale, SPAN_BLOCKS, resized)


def _branches(name: str, kernel: Array, bias: Array) -> dict[str, Array]:
    """Return the weights of a convolution of several branches (Conv3XC of SPAN) that multiply out to a kernel, exactly: all but one chain of identities is zero."""
    channels_out, channels_in = kernel.shape[:2]
    middle = np.zeros((2 * channels_out, 2 * channels_in, 3, 3), np.float32)
    middle[:channels_out, :channels_in] = kernel
    return {
        f"{name}.sk.weight": np.zeros((channels_out, channels_in, 1, 1), np.float32),
        f"{name}.sk.bias": np.zeros(channels_out, np.float32),
        f"{name}.conv.0.weight": np.eye(2 * channels_in, channels_in, dtype=np.float32)[:, :, None, None],
        f"{name}.conv.0.bias": np.zeros(2 * channels_in, np.float32),
        f"{name}.conv.1.weight": middle,
        f"{name}.conv.1.bias": np.concatenate([bias, np.zeros(channels_out, np.float32)]),
        f"{name}.conv.2.weight": np.eye(channels_out, 2 * channels_out, dtype=np.float32)[:, :, None, None],
        f"{name}.conv.2.bias": np.zeros(channels_out, np.float32),
        f"{name}.eval_conv.weight": kernel,
        f"{name}.eval_conv.bias": bias,
    }
