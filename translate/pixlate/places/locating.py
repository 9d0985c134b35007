"""Resolves a path or URL that a user names to a place."""

from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.places.local import LocalPlace
from pixlate.plugin.manager import installed
from pixlate.plugin.place import Place
from pixlate.system.extras import install
from pixlate.system.text import refuse_flattened, shown


def locate(place: str | Path) -> Place:
    """Return the place that a user names: a path on this machine, or what a plugin opens.

    Raises:
        PixlateError: No plugin opens the URL, or a URL was given as a Path.
    """
    if isinstance(place, Path):
        refuse_flattened(place, "a URL")
        return LocalPlace(str(place))
    opened, failures = installed().first("pixlate_open_place", lambda: {"name": place}, "a place", lambda value: hasattr(value, "store"), "it")
    if opened is None and failures:
        raise PixlateError(f"no installed plugin opens {shown(place)}: {'; '.join(failures)}; check the name, or update the plugin")
    if opened is None:
        raise missing_opener(shown(place))
    found: Place = opened
    return found


def missing_opener(name: str) -> PixlateError:
    """Return the sentence for a URL where what opens URLs is not installed."""
    return PixlateError(f"{name} is a URL, and the package that opens URLs is missing; run: {install('remote')}")
