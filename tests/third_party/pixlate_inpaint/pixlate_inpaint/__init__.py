"""Inpainting: fill what a mask covers (after Pathak et al. 2016, "Context Encoders: Feature Learning by Inpainting")."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pixlate
from pixlate.options import check_least
from pixlate_inpaint.data import MASKED

if TYPE_CHECKING:
    from pixlate_inpaint.model import Inpainting

PIXLATE_API = 2


@dataclass(frozen=True)
class InpaintOptions:
    """Options of ``pixlate train inpaint``."""

    channels: int = 64
    """Feature maps of the generator after the first convolution."""
    blocks: int = 9
    """Residual blocks of the generator."""
    discriminator_channels: int = 64
    """Feature maps of the discriminator after the first convolution."""
    pixel_weight: float = 100.0
    """Weight of the mean absolute difference from the photograph."""

    def __post_init__(self) -> None:
        check_least(self, channels=1, blocks=1, discriminator_channels=1, pixel_weight=0)


def build(options: InpaintOptions) -> "Inpainting":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_inpaint.model import Inpainting

    return Inpainting(options)


@pixlate.hookimpl
def pixlate_methods() -> Iterable[pixlate.Method]:
    """Offer ``inpaint``."""
    yield pixlate.Method(name="inpaint", summary="Fills what a mask covers", data=MASKED, options=InpaintOptions, build=build)
