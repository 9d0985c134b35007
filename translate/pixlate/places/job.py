"""One image to convert."""

from dataclasses import dataclass

from pixlate.places.local import LocalPlace
from pixlate.plugin.place import Place


@dataclass(frozen=True, slots=True)
class Job:
    """One image to convert."""

    source: str
    """Path or URL of the image, as it is printed."""
    name: str
    """Path of the output, relative to the output folder."""
    format: str
    """Format of the output."""
    notes: tuple[str, ...] = ()
    """What the user should know of the choice of name or format."""
    file: Place | None = None
    """The image; without it the file at the path ``source``."""
    pair: str = ""
    """See :func:`pixlate.places.walk.pair_name`: its mask and its noise are those of this name."""

    @property
    def place(self) -> Place:
        """The image."""
        return self.file or LocalPlace(self.source)
