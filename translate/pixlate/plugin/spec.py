"""What a model file says about itself, so that the file is enough to run it."""

import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self, TypeVar, cast

from pixlate.errors import PixlateError
from pixlate.options.checks import misfit

LARGEST_SIDE = 65_536
"""Most pixels any number of a spec may ask for."""

METADATA_KEY = "pixlate"
"""Key of the ONNX ``metadata_props`` entry that holds the JSON of a :class:`ModelSpec`."""
MEASURED = "pixlate.measured."
"""Before the number of a value of an ONNX file, (batch, numbers), that is measured on whole images."""
Norm = Literal["none", "running", "per-image"]
Precision = Literal["float32", "float16", "bfloat16", "int8"]
Io = Literal["float", "uint8"]
Padding = Literal["edge", "reflect"]
InputKind = Literal["image", "mask", "label", "vector", "noise", "reference"]
Made = TypeVar("Made")
LARGEST_REFERENCE = 2**26
"""Most numbers of a reference, of all its channels."""
_RESERVED = ("format", "pixels", "seed", "self", "translated")
"""Names that Python callers and requests to a server use for something else."""


@dataclass(frozen=True)
class ModelInput:
    """One input of a model: the image, or a condition, which is what a model takes besides it."""

    name: str
    """Name of the ONNX input, of the keyword argument of the translator, and in ``convert --set NAME=VALUE``."""
    kind: InputKind
    """``image``; ``mask``: uint8 or float (batch, height, width, 1), 255 or 1 is what to fill, and where it is 0 an output of the image's size and channels is the image; ``label``: int64 (batch,), index into ``choices``;
    ``vector`` and ``noise``: float32 (batch, ``length``), noise standard normal; ``reference``: another picture than the image, which shows how the output is to
    look, uint8 or float (batch, ``side``, ``side``, ``channels``), 255 or 1 is white, resized to that side whatever its shape was."""
    channels: int = 0
    """Channels of an image, mask or reference; 0 takes those of the spec for an image and 1 for a mask."""
    side: int = 0
    """Height and width of a reference, in pixels."""
    length: int = 0
    """Numbers of a vector or of noise."""
    choices: tuple[str, ...] = ()
    """Names of the values of a label."""
    default: str | tuple[float, ...] | None = None
    """Value where the user gives none: one of ``choices``, or the numbers of a vector. Noise is drawn."""

    @property
    def pictured(self) -> bool:
        """Whether it is a mask or reference: (batch, height, width, channels), uint8 in a file of ``uint8`` and float32 in [0, 1] in one of ``float``."""
        return self.kind in ("mask", "reference")

    def __post_init__(self) -> None:
        of = f" of the input {self.name!r}"
        for name in ("channels", "length", "side"):
            _require_whole(name + of, getattr(self, name), 0, LARGEST_SIDE)
        _require_types(self, of)
        right = re.fullmatch("[A-Za-z][A-Za-z0-9_]*", self.name) and self.name not in _RESERVED
        wanted = f"inputs named with letters, digits and _, and none of {', '.join(_RESERVED)}"
        _require(right, wanted, repr(self.name), "export it under another name")
        _require(self.kind != "mask" or self.channels <= 1, f"a mask of 1 channel for the input {self.name}", self.channels)
        owner = f"the {self.kind} {self.name}"
        _require(self.kind not in ("vector", "noise") or self.length, f"a length of at least 1 for {owner}", self.length)
        sized = 0 < self.side**2 * self.channels <= LARGEST_REFERENCE if self.kind == "reference" else not self.side
        wanted = f"a side and channels of at least 1, and at most {LARGEST_REFERENCE:,} numbers," if self.kind == "reference" else "no side"
        _require(sized, f"{wanted} for {owner}", f"a side of {self.side} and {self.channels} channels")
        wanted = "choices with names of their own" if self.kind == "label" else "no choices"
        right = len({*self.choices}) == len(self.choices) and (self.kind == "label") == bool(self.choices)
        _require(right, f"{wanted} for {owner}", repr(self.choices))
        sized = self.kind == "vector" and isinstance(self.default, tuple) and len(self.default) == self.length
        right = self.default is None or self.default in self.choices or sized
        _require(right, f"the default of {owner} to be one of its choices or {self.length} numbers", repr(self.default))


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from."""

    data: str = ""
    """Images the model was trained on."""
    steps: int = 0
    """Updates made in training."""
    seed: int = 0
    """Seed of the run."""
    licence: str = ""
    """Terms of use of the weights."""
    version: str = ""
    """Version of Pixlate that exported the file."""
    teacher: str = ""
    """Model whose outputs it was trained on, with its licence and SHA-256; empty where there was none."""


@dataclass(frozen=True)
class ModelSpec:
    """All that a caller must know to run a generator: sizes, channels, ranges and tiling."""

    method: str = "unknown"
    """Name of the method that trained it, such as ``srgan``."""
    direction: str = "source-to-target"
    """Which way it translates: ``source-to-target`` or ``target-to-source``."""
    scale: int = 1
    """Height and width of the output over those of the input."""
    channels_in: int = 3
    """Channels of the image: 1 grey, 3 RGB, or any other number."""
    channels_out: int = 3
    """Channels of the output."""
    multiple: int = 1
    """Height and width given to the network must be multiples of this; the runner pads."""
    minimum: int = 1
    """Least height and width, in pixels, the network takes; the runner pads."""
    tiling_exact: bool = False
    """Whether tiles with ``halo`` pixels of context give exactly the picture of the whole image."""
    halo: int = 32
    """Context, in input pixels, a tile needs on each side."""
    whole: bool = False
    """Whether the model must see the whole picture: it is neither cut into tiles nor padded to a size that others share."""
    keeps_grey: bool = False
    """Whether a grey picture comes out grey again from a model of RGB at scale 1, as it should where photographs are cleaned or lifted, and not where they are
    coloured. Where a model of RGB enlarges it does, whatever this says."""
    on_white: bool = False
    """Whether the model sees white paper behind transparent pictures, and makes opaque ones, as it should of drawings, whose lines alone are opaque."""
    norm: Norm = "none"
    """Statistics the normalisation layers use."""
    precision: Precision = "float32"
    """Arithmetic of the weights."""
    io: Io = "float"
    """What the model takes and gives: ``float`` is (batch, channels, height, width) in [0, 1]; ``uint8`` is (batch, height, width, channels), with
    padding to ``multiple`` and ``minimum``, range and rounding inside the model."""
    padding: Padding = "edge"
    """What the caller of a ``float`` file adds up to ``multiple`` and ``minimum``: ``reflect`` mirrors the image, as far as it reaches; ``edge``, as in files of
    Pixlate 0.1, repeats its last row and column. A ``uint8`` file does it inside."""
    inputs: tuple[ModelInput, ...] = ()
    """The image, if any, and the conditions, in the order of the ONNX inputs; empty where the model takes the image alone. A PyTorch module takes them in
    this order too, image and mask as (batch, channels, height, width) in [0, 1]."""
    output_size: tuple[int, ...] = ()
    """Height and width of what a sampler gives, in pixels; empty for any other model, and where it is not known."""
    provenance: Provenance = field(default_factory=Provenance)
    """Data, steps, seed, licence, version and teacher."""

    @property
    def takes_image(self) -> bool:
        """Whether the model takes an image; one that does not draws its outputs from conditions alone."""
        return not self.inputs or any(each.kind == "image" for each in self.inputs)

    @property
    def conditions(self) -> tuple[ModelInput, ...]:
        """Inputs other than the image, in order."""
        return tuple(each for each in self.inputs if each.kind != "image")

    def __post_init__(self) -> None:
        for name, least in (("scale", 1), ("channels_in", 1), ("channels_out", 1), ("multiple", 1), ("minimum", 1), ("halo", 0)):
            _require_whole(name, getattr(self, name), least, 64 if name == "scale" else LARGEST_SIDE)
        _require_types(self)
        _require_whole("steps", self.provenance.steps, 0, 2**63)
        _require_types(self.provenance)
        names = [each.name for each in self.inputs]
        images = [each for each in self.inputs if each.kind == "image"]
        shown = " and ".join(each.name for each in images)
        _require(len(images) <= 1, "one image among the inputs", shown, "export a model of one image and conditions")
        twice = next((name for name in names if names.count(name) > 1), "")
        _require(not twice, "a name of its own for each input", f"{twice!r} twice", "rename one and export the model again")
        for each in self.inputs:
            right = (each.kind == "image") == (each.name == "image")
            wanted = "the image, and nothing else, to be the input named image"
            _require(right, wanted, f"the {each.kind} {each.name}", "rename it and export the model again")
        _require(images == list(self.inputs[: len(images)]), "the image to be the first input", f"it after {''.join(names[:1])}")
        channels = next((each.channels for each in images), 0)
        _require(channels in (0, self.channels_in), f"{self.channels_in} channels of the image", channels)
        for side in self.output_size:
            _require_whole("output_size", side, 1, LARGEST_SIDE)
        right = not self.output_size or (len(self.output_size) == 2 and not self.takes_image)
        _require(right, "an output_size of height and width, of a model that takes no image", self.output_size)
        _require(self.takes_image or all(each.kind != "mask" for each in self.inputs), "an image beside a mask", "none")

    def to_json(self) -> str:
        """Return the spec as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote; keys that a newer Pixlate added are ignored, and any other text is refused."""
        try:
            values: dict[str, Any] = json.loads(text)
            values["provenance"] = _made(Provenance, values.get("provenance", {}))
            values["inputs"] = [_made(ModelInput, each) for each in values.get("inputs", ())]
            return _made(cls, values)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise PixlateError(f"model spec: expected a JSON object, got {text[:60]!r} ({error}); export the model again") from error

    def with_provenance(self, provenance: Provenance) -> Self:
        """Return the same spec with another origin of the weights."""
        return replace(self, provenance=provenance)


def _made(owner: type[Made], values: dict[str, Any]) -> Made:
    """Return a dataclass of its JSON, where tuples are lists."""
    names = {item.name for item in fields(cast("Any", owner))}
    return owner(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in names})


def _require(right: object, expected: str, got: object, remedy: str = "export the model again") -> None:
    if not right:
        raise PixlateError(f"model spec: expected {expected}, got {got}; {remedy}")


def _require_types(owner: Any, of: str = "") -> None:
    for item in fields(owner):
        value = getattr(owner, item.name)
        wanted = misfit(value, item.type)
        _require(not wanted, f"{item.name}{of} to be {wanted}", repr(value), "update Pixlate or export the model again")


def _require_whole(name: str, value: Any, least: int, most: int) -> None:
    _require(not misfit(value, int) and value >= least, f"{name} to be a whole number of at least {least}", repr(value))
    _require(value <= most, f"{name} of at most {most}", value)
