"""Formats people have: HEIC, camera raw, JPEG XL, JPEG 2000, OpenEXR and Photoshop documents (extra ``[formats]`` brings the libraries of some)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from pixlate.plugin.image_format import ImageFormat

PIXLATE_API = 2


@pixlate.hookimpl
def pixlate_image_formats() -> "Iterable[ImageFormat]":
    """Offer each format; one whose library is missing says so for each file."""
    from pixlate_formats.formats import FORMATS

    return FORMATS
