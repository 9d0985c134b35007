"""A ready model that a package ships."""

from dataclasses import dataclass
from pathlib import Path

from pixlate.plugin.offer import Offer


@dataclass(frozen=True)
class ModelCard(Offer, kind="model"):
    """A ready model that a package ships."""

    name: str
    """Name for ``--model``."""
    summary: str
    """One line for ``pixlate models``."""
    path: Path
    """The model file."""
    card: Path | None = None
    """Text file with data, recipe, figures and licence."""
