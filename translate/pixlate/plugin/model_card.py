"""A ready model that a package ships, or makes on first use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.plugin.offer import Offer


@dataclass(frozen=True)
class ModelCard(Offer, kind="model"):
    """A ready model that a package ships, or makes on first use."""

    name: str
    """Name for ``--model``; without ``@``, which begins a version."""
    summary: str
    """One line for ``pixlate models``."""
    path: Path
    """The model file."""
    card: Path | None = None
    """Text file with data, recipe, figures and licence."""
    licence: str = ""
    """Terms of use of the weights, which ``pixlate models`` shows first; where empty, those of the file's provenance."""
    version: int = 1
    """Number of the weights under this name, from 1; raise it when they change."""
    earlier: Mapping[int, Path] = field(default_factory=dict)
    """Files of earlier versions by number, for ``--model NAME@NUMBER``."""
    demonstration: bool = False
    """Whether the model shows what a method does instead of being of use on pictures of one's own; listed apart."""
    drawings: bool = False
    """Whether it makes pictures of line drawings, so that `pixlate web` offers it for what is drawn there."""
    source: str = ""
    """Where the weights come from, such as a project's address, where the package's authors did not train them."""
    make: Callable[[Path], None] | None = None
    """Writes the model file at a path that ends as ``path`` does; called on first use where ``path``, then in :func:`pixlate.cache_folder`, has no file. Name
    another ``path`` when what it writes changes: files that were made stay."""
    unavailable: str = ""
    """Why the model cannot be used here, with the remedy, such as an extra that is not installed; it is then not listed, and its name is refused with this."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if "@" in self.name:
            raise PixlateError(f"ModelCard {self.name!r}: expected a name without @, which begins a version; change it in the plugin")
        if self.version < 1 or any(not 1 <= number < self.version for number in self.earlier):
            numbers = ", ".join(map(str, self.earlier)) or "none"
            raise PixlateError(
                f"ModelCard {self.name!r}: expected a version of at least 1 and only earlier ones below it, got {self.version} and {numbers}; "
                "change it in the plugin"
            )
