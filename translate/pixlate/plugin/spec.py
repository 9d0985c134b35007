"""What a model file says about itself, so that the file is enough to run it."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

from pixlate.errors import PixlateError

LARGEST_SIDE = 65_536
"""Most pixels any number of a spec may ask for."""

METADATA_KEY = "pixlate"
"""Key of the ONNX ``metadata_props`` entry that holds the JSON of a :class:`ModelSpec`."""
Norm = Literal["none", "running", "per-image"]
Precision = Literal["float32", "float16", "bfloat16", "int8"]
Io = Literal["float", "uint8"]


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
    """Channels of the input: 1 grey, 3 RGB."""
    channels_out: int = 3
    """Channels of the output."""
    multiple: int = 1
    """Height and width given to the network must be multiples of this; the runner pads."""
    minimum: int = 1
    """Least height and width, in pixels, the network takes; the runner pads."""
    tiling_exact: bool = False
    """Whether tiles with ``halo`` pixels of context give the very picture of the whole image."""
    halo: int = 32
    """Context, in input pixels, a tile needs on each side."""
    norm: Norm = "none"
    """Statistics the normalisation layers use."""
    precision: Precision = "float32"
    """Arithmetic of the weights."""
    io: Io = "float"
    """What the model takes and gives: ``float`` is (batch, channels, height, width) in [0, 1]; ``uint8`` is (batch, height, width, channels), with
    padding to ``multiple`` and ``minimum``, range and rounding inside the model."""
    provenance: Provenance = field(default_factory=Provenance)
    """Data, steps, seed, licence and version."""

    def __post_init__(self) -> None:
        for name in ("scale", "channels_in", "channels_out", "multiple", "minimum"):
            _require_whole(name, getattr(self, name), 1, 64 if name == "scale" else LARGEST_SIDE)
        _require_whole("halo", self.halo, 0, LARGEST_SIDE)
        _require_whole("steps", self.provenance.steps, 0, 2**63)
        texts = {"method": self.method, "direction": self.direction, **{name: getattr(self.provenance, name) for name in ("data", "licence", "version")}}
        for name, value in texts.items():
            if not isinstance(value, str):
                raise PixlateError(f"model spec: expected {name} to be a text, got {value!r}; export the model again")
        if not isinstance(self.tiling_exact, bool):
            raise PixlateError(f"model spec: expected tiling_exact to be true or false, got {self.tiling_exact!r}; export the model again")
        for name, known in (("norm", get_args(Norm)), ("precision", get_args(Precision)), ("io", get_args(Io))):
            if getattr(self, name) not in known:
                raise PixlateError(
                    f"model spec: expected {name} to be one of {', '.join(known)}, got {getattr(self, name)!r}; update Pixlate or export the model again"
                )

    def to_json(self) -> str:
        """Return the spec as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote; keys a newer Pixlate added are passed over.

        Raises:
            PixlateError: The text is not the JSON of a spec.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            provenance = Provenance(**_known(Provenance, values.pop("provenance", {})))
            return cls(**_known(cls, values), provenance=provenance)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise PixlateError(f"model spec: expected a JSON object, got {text[:60]!r} ({error}); export the model again") from error

    def with_provenance(self, provenance: Provenance) -> Self:
        """Return the same spec with another origin of the weights."""
        return replace(self, provenance=provenance)


def _require_whole(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise PixlateError(f"model spec: expected {name} to be a whole number of at least {least}, got {value!r}; export the model again")
    if value > most:
        raise PixlateError(f"model spec: expected {name} of at most {most}, got {value}; export the model again")


def _known(owner: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(owner)}
    return {name: value for name, value in values.items() if name in names}
