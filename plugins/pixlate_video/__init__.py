"""Films as a kind of image file whose frames are all its pictures, through PyAV. What is heavy is imported lazily."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from pixlate.plugin.image_format import ImageFormat

PIXLATE_API = 2


@pixlate.hookimpl
def pixlate_image_formats() -> "Iterable[ImageFormat]":
    """Offer films, where PyAV is installed; without it a conversion says which extra brings it."""
    if find_spec("av") is None:
        return ()
    from pixlate_video.formats import FORMATS

    return FORMATS


@pixlate.hookimpl
def pixlate_checks() -> "Iterable[pixlate.Check]":
    """Return whether films can be read, and what they can be written with."""
    from pixlate_video.checks import checks

    return checks()
