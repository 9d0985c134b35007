"""A ready model that a package ships."""

from dataclasses import dataclass
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.plugin.offer import Offer


@dataclass(frozen=True)
class ModelCard(Offer):
    """A ready model that a package ships."""

    name: str
    """Name for ``--model``."""
    summary: str
    """One line for ``pixlate models``."""
    path: Path
    """The model file."""
    card: Path | None = None
    """Text file with data, recipe, figures and licence."""

    def __post_init__(self) -> None:
        if not isinstance(self.path, Path):
            raise PixlateError(f"model {self.name!r}: expected a pathlib.Path to its file, got {self.path!r}; change it in the plugin")
