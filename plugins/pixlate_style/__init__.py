"""Style transfer: pictures in the style of one picture, in one pass (Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution")."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from pixlate_style.model import Style
    from pixlate_style.options import StyleOptions

PIXLATE_API = 2


def build(options: "StyleOptions") -> "Style":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_style.model import Style

    return Style(options)


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``style``."""
    from pixlate_style.data import PHOTOGRAPHS
    from pixlate_style.options import StyleOptions, StyleTraining

    yield pixlate.Method(
        name="style",
        summary="Style transfer: photographs in the style of one picture",
        data=PHOTOGRAPHS,
        options=StyleOptions,
        build=build,
        training=StyleTraining,
    )
