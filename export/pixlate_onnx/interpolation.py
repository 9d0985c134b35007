"""Interpolates the weights of two ONNX files of one network: network interpolation, Wang et al. 2018 (ESRGAN), section 3.4, equation 10.

Files are read and written as the bytes they are, so that the ``onnx`` package is not needed. Names of values may differ, as from one export to the
next: networks are compared by what their nodes do and how they are connected.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.plugin.spec import METADATA_KEY, ModelSpec, Provenance
from pixlate_onnx.protobuf import Field, encoded, fields, varint

PREFIX = "pixlate.blended."
"""Of the names of weights that are added."""
FLOAT, FLOAT16, BFLOAT16 = 1, 10, 16
_INT8 = {2: "int8", 3: "int8"}  # of weights: a number or a list of these types may be anything
_GRAPH, _OPSET, _METADATA, _FUNCTIONS = 7, 8, 14, 25
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 5, 11, 12, 15
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_KIND, _NODE_ATTRIBUTE, _NODE_DOC = 1, 2, 3, 4, 5, 6
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_DOC = 1, 3, (6, 11), 13
_DIMS, _TYPE, _FLOATS, _TENSOR_NAME, _RAW, _LOCATION = 1, 2, 4, 8, 9, 14


@dataclass(frozen=True)
class _Weight:
    """One initialiser."""

    name: str
    kind: int
    shape: tuple[int, ...]
    message: memoryview
    """Its TensorProto."""

    @classmethod
    def of(cls, message: memoryview, path: Path) -> "_Weight":
        name, kind, shape = "", 0, []
        for part in fields(message):
            if part.number == _TENSOR_NAME:
                name = part.text
            elif part.number == _TYPE:
                kind = part.integer
            elif part.number == _DIMS:
                shape += part.integers
            elif part.number == _LOCATION and part.integer:
                raise PixlateError(f"expected weights inside {path}, got some in another file; write them into one: onnx.save(onnx.load({str(path)!r}), ...)")
        return cls(name, kind, tuple(shape), message)

    @property
    def values(self) -> NDArray[np.float32]:
        """Its numbers, where they are of float32 or float16."""
        data = b"".join(part.value if part.raw[0] & 7 == 2 else part.raw[1:] for part in fields(self.message) if part.number in (_RAW, _FLOATS))
        return np.frombuffer(data, "<f2" if self.kind == FLOAT16 else "<f4").astype(np.float32).reshape(self.shape)

    @property
    def content(self) -> list[bytes]:
        """All but its name."""
        return [bytes(part.raw) for part in fields(self.message) if part.number != _TENSOR_NAME]


@dataclass(frozen=True)
class _Node:
    """One node."""

    kind: str
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]
    """Attributes, domain and whatever else shapes what it does, in order of their names."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    message: memoryview
    """Its NodeProto."""
    to: int = 0
    """Element type that a cast gives."""

    @classmethod
    def of(cls, message: memoryview, path: Path) -> "_Node":
        parts = list(fields(message))
        attributes, to = [], 0
        for part in parts:
            if part.number == _NODE_ATTRIBUTE:
                inner = list(fields(part.value))
                if any(each.number in _ATTRIBUTE_GRAPHS for each in inner):
                    raise _unreadable(path)
                name = next(each.text for each in inner if each.number == _ATTRIBUTE_NAME)
                to = next((each.integer for each in inner if name == "to" and each.number == _ATTRIBUTE_INTEGER), to)
                attributes.append((name, tuple(sorted(bytes(each.raw) for each in inner if each.number != _ATTRIBUTE_DOC))))
            elif part.number not in (_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_KIND, _NODE_DOC) and part.value.nbytes:
                attributes.append(("", (bytes(part.raw),)))
        kind, inputs, outputs = (tuple(part.text for part in parts if part.number == number) for number in (_NODE_KIND, _NODE_INPUT, _NODE_OUTPUT))
        return cls("".join(kind), tuple(sorted(attributes)), inputs, outputs, message, to)


@dataclass
class _Network:
    """What a file says of its network. Weights stored in float16 and cast to float32 are taken for the weights that the cast gives."""

    path: Path
    model: memoryview
    spec: ModelSpec = field(default_factory=ModelSpec)
    opsets: list[tuple[bytes, ...]] = field(default_factory=list)
    weights: dict[str, _Weight] = field(default_factory=dict)
    nodes: list[_Node] = field(default_factory=list)
    inputs: list[Field] = field(default_factory=list)
    outputs: list[Field] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "_Network":
        """Return the network of a file, or refuse what cannot be interpolated."""
        try:
            found = cls(path, memoryview(path.read_bytes()))
        except OSError as error:
            raise PixlateError(f"the model {path} cannot be read ({error.strerror}); check its path") from error
        for part in fields(found.model):
            if part.number == _GRAPH:
                found._read_graph(part.value)
            elif part.number == _OPSET:
                found.opsets.append(tuple(sorted(bytes(each.raw) for each in fields(part.value))))
            elif part.number == _FUNCTIONS:
                raise _unreadable(path)
            elif part.number == _METADATA and (text := _metadata(part)):
                found.spec = ModelSpec.from_json(text)
        found._take_casts()
        found._require_float32()
        return found

    def _read_graph(self, graph: memoryview) -> None:
        for part in fields(graph):
            if part.number == _NODE:
                self.nodes.append(_Node.of(part.value, self.path))
            elif part.number == _INITIALIZER:
                weight = _Weight.of(part.value, self.path)
                self.weights[weight.name] = weight
            elif part.number == _SPARSE:
                raise _unreadable(self.path)
            elif part.number in (_INPUT, _OUTPUT):
                (self.inputs if part.number == _INPUT else self.outputs).append(part)
        self.inputs = [part for part in self.inputs if _name(part) not in self.weights]

    def _take_casts(self) -> None:
        kept = []
        for node in self.nodes:
            weight = self.weights.get(node.inputs[0]) if node.kind == "Cast" and node.to == FLOAT else None
            if weight is None or weight.kind != FLOAT16:
                kept.append(node)
            else:
                self.weights[node.outputs[0]] = weight
        self.nodes = kept
        used = {name for node in kept for name in node.inputs}
        self.weights = {name: weight for name, weight in self.weights.items() if name in used}
        self._cast = {name for name, weight in self.weights.items() if name != weight.name}

    def _require_float32(self) -> None:
        found = self.spec.precision
        for name, weight in self.weights.items():
            if name not in self._cast and weight.kind in (FLOAT16, BFLOAT16):
                found = "float16" if weight.kind == FLOAT16 else "bfloat16"
            elif weight.kind in _INT8 and len(weight.shape) > 1:
                found = "int8"
        if found != "float32":
            raise PixlateError(f"expected two files of float32 to blend, got {self.path}, which is {found}; name the float32 file that it was made from")


def interpolated(first: Path, second: Path, strength: float) -> bytes:
    """Return the file ``first`` with each weight ``strength`` times its own and ``1 - strength`` times that of ``second``; its licence, data and teacher name both.

    Raises:
        PixlateError: They are not of one network and one spec, not of float32, or one is damaged.
    """
    path = first
    try:
        one = _Network.read(path)
        path = second
        other = _Network.read(path)
        _require_alike(one, other)
        nodes, weights = _mixed(one, other, strength)
    except (ValueError, StopIteration, IndexError) as error:
        raise PixlateError(f"the model file {path} is damaged or no ONNX model ({error}); download or export it again") from error
    parts: list[bytes | memoryview] = []
    for part in fields(one.model):
        if part.number == _GRAPH:
            kept = [bytes(each.raw) for each in fields(part.value) if each.number not in (_NODE, _INITIALIZER)]
            parts.append(encoded(_GRAPH, b"".join([*nodes, *weights, *kept])))
        elif part.number == _METADATA and _metadata(part):
            parts.append(encoded(_METADATA, encoded(1, METADATA_KEY) + encoded(2, _joined(one.spec, other.spec).to_json())))
        else:
            parts.append(part.raw)
    return b"".join(parts)


def _require_alike(one: _Network, other: _Network) -> None:
    """Refuse files of two specs, whatever method and data their weights come from and what becomes of grey, and of two operator sets."""
    specs = [asdict(replace(each.spec, method="", keeps_grey=False, on_white=False, provenance=Provenance())) for each in (one, other)]
    for name, value in specs[0].items():
        if value != specs[1][name]:
            raise _different(one, other, f"{name} {value!r} and {specs[1][name]!r}")
    if sorted(one.opsets) != sorted(other.opsets):
        raise _different(one, other, "operators of two opsets")


def _mixed(one: _Network, other: _Network, strength: float) -> tuple[list[bytes], list[bytes]]:
    """Return the nodes and the weights of the first network, whose weights are interpolated towards those of the second."""
    numbers: tuple[dict[str, int], dict[str, int]] = ({"": -1}, {"": -1})
    names: dict[tuple[str, str], str] = {}
    nodes, weights = [], []

    def define(values: tuple[str, ...], others: tuple[str, ...]) -> None:
        for pair in zip(values, others, strict=True):
            for known, name in zip(numbers, pair, strict=True):
                known.setdefault(name, len(known))

    def matched(name: str, name_other: str) -> str:
        """Return the name of what a node is given, which must be the same thing in both."""
        weight, weight_other = one.weights.get(name), other.weights.get(name_other)
        if (weight is None) != (weight_other is None) or (weight is None and numbers[0].get(name) != numbers[1].get(name_other)):
            raise _different(one, other, "nodes that are connected in two ways")
        if weight is None or weight_other is None:
            return name
        if (name, name_other) not in names:
            taken = any(before == name for before, _ in names)
            found = f"{PREFIX}{len(names)}" if taken else name  # one file may share a weight that the other has twice
            weights.append(encoded(_INITIALIZER, _between(one, other, weight, weight_other, found, strength)))
            names[name, name_other] = found
        return names[name, name_other]

    if len(one.inputs) != len(other.inputs) or list(map(_sides, one.inputs)) != list(map(_sides, other.inputs)):
        raise _different(one, other, "inputs of two kinds")
    define(tuple(map(_name, one.inputs)), tuple(map(_name, other.inputs)))
    if len(one.nodes) != len(other.nodes):
        raise _different(one, other, f"{len(one.nodes)} and {len(other.nodes)} nodes")
    for node, twin in zip(one.nodes, other.nodes, strict=True):
        if (node.kind, len(node.inputs), len(node.outputs)) != (twin.kind, len(twin.inputs), len(twin.outputs)):
            raise _different(one, other, f"{node.kind} in the place of {twin.kind}")
        if node.attributes != twin.attributes:
            raise _different(one, other, f"{node.kind} with other settings")
        inputs = [encoded(_NODE_INPUT, matched(*pair)) for pair in zip(node.inputs, twin.inputs, strict=True)]
        define(node.outputs, twin.outputs)
        rest = [bytes(part.raw) for part in fields(node.message) if part.number != _NODE_INPUT]
        nodes.append(encoded(_NODE, b"".join([*inputs, *rest])))
    ends = [[known.get(_name(part)) for part in each.outputs] for known, each in zip(numbers, (one, other), strict=True)]
    if ends[0] != ends[1]:
        raise _different(one, other, "outputs of two kinds")
    return nodes, weights


def _between(one: _Network, other: _Network, first: _Weight, second: _Weight, name: str, strength: float) -> bytes:
    """Return the TensorProto of an interpolated weight, or of what is the same in both."""
    floats = {FLOAT, FLOAT16}
    if first.shape != second.shape or {first.kind in floats, second.kind in floats} == {True, False}:
        raise _different(one, other, f"weights of {list(first.shape)} and {list(second.shape)}")
    if first.kind not in floats:
        if first.content != second.content:
            raise _different(one, other, "constants of two values")
        return b"".join([*first.content, encoded(_TENSOR_NAME, name)])
    values, ends = first.values, second.values
    if not np.array_equal(values, ends):
        with np.errstate(invalid="ignore", over="ignore"):  # weights that are no numbers are found out when they give such
            values = (strength * values.astype(np.float64) + (1 - strength) * ends.astype(np.float64)).astype(np.float32)
    dims = [varint(_DIMS << 3) + varint(side) for side in first.shape]
    return b"".join([*dims, encoded(_TYPE, FLOAT), encoded(_TENSOR_NAME, name), encoded(_RAW, values.astype("<f4").tobytes())])


def _joined(first: ModelSpec, second: ModelSpec) -> ModelSpec:
    """Return the first spec, with the data, the licences and the teachers of both."""
    one, other = first.provenance, second.provenance
    pairs = ((one.data, other.data), (one.licence, other.licence), (one.teacher, other.teacher))
    data, licence, teacher = (" and ".join(dict.fromkeys(filter(None, pair))) for pair in pairs)
    return first.with_provenance(replace(one, data=data, licence=licence, teacher=teacher))


def _metadata(part: Field) -> str:
    """Return the text of an entry of the metadata that holds a spec; nothing for others."""
    entry = {each.number: each.text for each in fields(part.value)}
    return entry.get(2, "") if entry.get(1) == METADATA_KEY else ""


def _name(value: Field) -> str:
    """Return the name of an input or output of a graph."""
    return next(part.text for part in fields(value.value) if part.number == 1)


def _sides(value: Field) -> list[list[int | None]]:
    """Return the element type and the sides of an input; None for free ones."""
    found: list[list[int | None]] = []
    for kind in (part for part in fields(value.value) if part.number == 2):
        for tensor in (part for part in fields(kind.value) if part.number == 1):
            for part in fields(tensor.value):
                if part.number == 1:
                    found.append([part.integer])
                elif part.number == 2:
                    dims = [each for each in fields(part.value) if each.number == 1]
                    found.append([next((inner.integer for inner in fields(each.value) if inner.number == 1), None) for each in dims])
    return found


def _different(one: _Network, other: _Network, what: str) -> PixlateError:
    return PixlateError(f"expected two files of one network to blend, got {one.path} and {other.path}, which have {what}; name a file of the same network")


def _unreadable(path: Path) -> PixlateError:
    return PixlateError(f"expected a plain network to blend, got {path} with functions, loops, branches or sparse weights; export both again")
