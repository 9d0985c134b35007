"""URLs as sources and outputs: whatever fsspec opens, such as ``s3://``, ``gs://`` or ``https://``. What is heavy is imported lazily."""

from typing import TYPE_CHECKING

import pixlate
from pixlate.system.text import is_url

if TYPE_CHECKING:
    from pixlate.plugin.place import Place

PIXLATE_API = 2


@pixlate.hookimpl
def pixlate_open_place(name: str) -> "Place | None":
    """Open a URL."""
    if not is_url(name):
        return None
    from pixlate_fsspec.url import open_url

    return open_url(name)
