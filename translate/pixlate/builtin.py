"""What the core offers, through the hooks that plugins use."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.plugin import hookimpl
from pixlate.system.text import is_url

if TYPE_CHECKING:
    from pixlate.plugin.engine import Engine
    from pixlate.plugin.image_format import ImageFormat
    from pixlate.plugin.place import Place

PIXLATE_API = 2


@hookimpl
def pixlate_image_formats() -> "Iterable[ImageFormat]":
    """Offer the formats that are read and written without a plugin."""
    from pixlate.images.formats import BUILT_IN, named

    return named(BUILT_IN).values()


@hookimpl
def pixlate_engines() -> "Iterable[Engine]":
    """Offer the threads of this process."""
    from pixlate.convert.threads import THREADS

    yield THREADS


@hookimpl
def pixlate_open_place(name: str) -> "Place | None":
    """Open every text that is no URL; ``file://`` is a local path."""
    from urllib.parse import unquote

    from pixlate.places.local import LocalPlace

    if is_url(name):
        return None
    return LocalPlace(unquote(name.removeprefix("file://")) if name.startswith("file://") else str(Path(name)))
