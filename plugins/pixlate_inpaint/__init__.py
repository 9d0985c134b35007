"""Inpainting: fills what a mask covers, by gated convolutions (Yu et al. 2019, "Free-Form Image Inpainting with Gated Convolution")."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from pixlate_inpaint.model import Inpainting
    from pixlate_inpaint.options import InpaintOptions

PIXLATE_API = 2


def build(options: "InpaintOptions") -> "Inpainting":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_inpaint.model import Inpainting

    return Inpainting(options)


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``inpaint``."""
    from pixlate_inpaint.data import MASKED
    from pixlate_inpaint.options import InpaintOptions, InpaintTraining

    yield pixlate.Method(
        name="inpaint",
        summary="Fills what a mask covers, such as scratches and what is to go",
        data=MASKED,
        options=InpaintOptions,
        build=build,
        training=InpaintTraining,
    )
