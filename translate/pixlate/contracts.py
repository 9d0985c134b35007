"""What a plugin hands to Pixlate, and what it gets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pixlate.spec import ModelSpec

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels


class Translator(Protocol):
    """A loaded model: pixels in, pixels out."""

    @property
    def spec(self) -> ModelSpec:
        """Scale, channels, sizes and tiling."""
        ...

    @property
    def device(self) -> str:
        """Where it runs: ``cpu`` or ``cuda:N``."""
        ...

    def __call__(self, pixels: "Pixels") -> "Pixels":
        """Translate (batch, height, width, channels) of uint8 or uint16 to (batch, height * scale, width * scale, channels) of the same type.

        Raises:
            OutOfDeviceMemory: The batch does not fit; a smaller one may.
        """
        ...


@dataclass(frozen=True)
class ModelCard:
    """A ready model that a package ships."""

    name: str
    """Name for ``--model``."""
    summary: str
    """One line for ``pixlate models``."""
    path: Path
    """The model file."""
    card: Path | None = None
    """Text file that tells data, recipe, figures and licence."""


@dataclass(frozen=True)
class Metric:
    """A number that tells how near an output is to its target."""

    name: str
    """Name in logs, such as ``ssim``."""
    compute: "Callable[[Pixels, Pixels], float]"
    """Take an output and its target, uint8 (height, width, channels) of one shape."""
    higher_is_better: bool = True
    """Whether a larger number is a better picture."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A held-out image as the generator under training translates it: uint8 (height, width, channels)."""

    source: "Pixels"
    output: "Pixels"
    target: "Pixels"


@dataclass(frozen=True)
class Check:
    """One finding of ``pixlate doctor``."""

    name: str
    """What was looked at."""
    status: Literal["ok", "note", "problem"]
    """ok, note (something optional is not there) or problem (something that was installed does not work)."""
    found: str
    """What was seen."""
    remedy: str = ""
    """The one command that mends it."""
