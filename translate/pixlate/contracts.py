"""What a plugin hands to Pixlate, and what it gets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pixlate.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from pixlate.images.picture import Pixels


class Translator(Protocol):
    """A loaded model: pixels in, pixels out."""

    @property
    def spec(self) -> ModelSpec:
        """Scale, channels, sizes and tiling."""
        ...

    @property
    def device(self) -> str:
        """Where it runs: ``cpu``, ``cuda:N`` or ``tensorrt:N``."""
        ...

    def __call__(self, pixels: "Pixels") -> "Pixels":
        """Translate (batch, height, width, channels) of uint8 or uint16 to (batch, height * scale, width * scale, channels) of the same type.

        Raises:
            OutOfDeviceMemory: The batch does not fit; a smaller one may.
            DeviceLost: The device has failed; nothing more will run there.
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
class ImportOptions:
    """What a file of foreign weights cannot tell."""

    direction: Literal["source-to-target", "target-to-source"] = "source-to-target"
    """Which way the generator translates, for the file's metadata."""
    padding: Literal["reflect", "replicate", "zero"] = "reflect"
    """How a ResNet's convolutions see beyond the border."""


@dataclass(frozen=True, eq=False)
class ForeignGenerator:
    """A generator of another code base, recognised by the keys and shapes of its weights."""

    name: str
    """What it is, such as ``ResNet of 9 blocks, pytorch-CycleGAN-and-pix2pix``."""
    network: "nn.Module"
    """Holds the weights; takes and gives (batch, channels, height, width) in [0, 1], not clamped. Where the network is one of Pixlate's own, its
    names are those of a method's generator, so that training may start from it."""
    spec: ModelSpec
    """How it is run. ``norm`` is ``running`` where there are batch norms."""
    norm: Literal["running", "per-image"] = "running"
    """Which statistics of batch norms its own code uses when it is tested; of no matter where there are none."""
    assumed: tuple[str, ...] = ()
    """What the file does not tell, a sentence each: what was assumed and which option changes it."""


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
