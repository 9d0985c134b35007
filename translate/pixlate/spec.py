"""What a model file says about itself, so that the file is enough to run it."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self

from pixlate.errors import PixlateError

METADATA_KEY = "pixlate"
"""Key of the ONNX ``metadata_props`` entry that holds the JSON of a :class:`ModelSpec`."""


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
    norm: Literal["none", "running", "per-image"] = "none"
    """Statistics the normalisation layers use."""
    precision: Literal["float32", "float16", "bfloat16", "int8"] = "float32"
    """Arithmetic of the weights."""
    provenance: Provenance = field(default_factory=Provenance)
    """Data, steps, seed, licence and version."""

    def __post_init__(self) -> None:
        for name in ("scale", "channels_in", "channels_out", "multiple", "minimum"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise PixlateError(f"model spec: expected {name} to be a whole number of at least 1, got {value!r}; export the model again")
        if not isinstance(self.halo, int) or self.halo < 0:
            raise PixlateError(f"model spec: expected halo to be a whole number of at least 0, got {self.halo!r}; export the model again")

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
        except (ValueError, TypeError, AttributeError) as error:
            raise PixlateError(f"model spec: expected a JSON object, got {text[:60]!r} ({error}); export the model again") from error

    def with_provenance(self, provenance: Provenance) -> Self:
        """Return the same spec with another origin of the weights."""
        return replace(self, provenance=provenance)


def _known(owner: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(owner)}
    return {name: value for name, value in values.items() if name in names}
