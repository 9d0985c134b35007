"""What the core offers, through the hooks that plugins use."""

from collections.abc import Iterable

from pluggy import HookimplMarker

from pixlate.plugin.image_format import ImageFormat

hookimpl = HookimplMarker("pixlate")


@hookimpl
def pixlate_image_formats() -> Iterable[ImageFormat]:
    """Offer the formats that are read and written without a plugin."""
    from pixlate.images.formats import BUILT_IN, named

    return named(BUILT_IN).values()
