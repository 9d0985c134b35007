"""CycleGAN: translation learnt from two sets of images, with the ready models ``day-to-night`` and ``night-to-day``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pixlate
from pixlate_cyclegan.options import CycleGANOptions, CycleGANTraining

if TYPE_CHECKING:
    from pixlate_cyclegan.model import CycleGAN


def build(options: CycleGANOptions) -> "CycleGAN":
    """Return untrained networks; PyTorch comes in only here."""
    from pixlate_cyclegan.model import CycleGAN

    return CycleGAN(options)


@pixlate.hookimpl
def pixlate_methods() -> Iterable[pixlate.Method]:
    """Offer ``cyclegan``."""
    yield pixlate.Method(
        name="cyclegan",
        summary="Translation learnt from two sets of images that need not show the same",
        pairing="unpaired",
        options=CycleGANOptions,
        build=build,
        training=CycleGANTraining,
    )
