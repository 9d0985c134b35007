"""A loaded model, as everything that runs models sees it."""

from typing import TYPE_CHECKING, Any, Protocol

from pixlate.plugin.spec import ModelSpec

if TYPE_CHECKING:
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
