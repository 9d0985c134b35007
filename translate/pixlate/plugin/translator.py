"""A loaded model, as everything that runs models sees it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pixlate.plugin.spec import ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pixlate.images.picture import Pixels


class Translator(Protocol):
    """A loaded model: pixels in, pixels out."""

    @property
    def spec(self) -> ModelSpec:
        """Scale, channels, sizes and tiling."""

    @property
    def device(self) -> str:
        """Where it runs: ``cpu``, ``cuda:N`` or ``tensorrt:N``."""

    def __call__(self, pixels: "Pixels | None", **conditions: "NDArray[Any]") -> "Pixels":
        """Translate (batch, height, width, channels) of uint8 or uint16 to (batch, height * scale, width * scale, channels) of the same type.

        Args:
            pixels: The images; None for a model without an image input, which gives uint8.
            conditions: The inputs beside the image by name, one entry for each image, as :class:`pixlate.ModelInput` says of each kind.

        Raises:
            OutOfDeviceMemory: The batch does not fit; a smaller one may.
            DeviceLost: The device has failed; nothing more will run there.
        """


Statistics = Sequence["tuple[NDArray[np.float32], ...]"]
"""Mean and variance of each channel, (channels,) each, at each norm that measures whole images, in their order; then one array, (1, numbers), for each other measure."""


@runtime_checkable
class Measuring(Translator, Protocol):
    """A translator that can say what its norms measure, and run with other statistics, so that the tiles of an image share those of the whole."""

    @property
    def measures(self) -> bool:
        """Whether it has such norms; where it has none, nothing else here is called."""

    def statistics(self, pixels: "Pixels", **conditions: "NDArray[Any]") -> Statistics:
        """Return what the norms measure of one image, (1, height, width, channels), with its conditions; empty where it turns out that it cannot be known."""

    def with_statistics(self, statistics: Statistics) -> Translator:
        """Return the same translator with given statistics; it shares its weights as far as the runtime allows."""


@runtime_checkable
class Interruptible(Protocol):
    """A translator whose runs can be ended from outside, so that a model that never ends keeps nobody waiting."""

    def terminate(self) -> None:
        """End what runs, in any thread: it raises there soon; what is called later runs as ever."""


@runtime_checkable
class Computing(Protocol):
    """A translator that says what it computes in, where that is not the precision of its spec."""

    def arithmetic(self, kind: "np.dtype[Any]") -> str:
        """Return what pictures of a type, uint8 or uint16, are computed in: ``float32``, ``bfloat16`` or another."""


@runtime_checkable
class FixedSize(Protocol):
    """A translator that takes images of one size alone: larger ones are cut into tiles of it, smaller ones padded to it."""

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width, or None where all sizes are taken."""
