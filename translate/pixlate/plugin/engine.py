"""An engine runs a conversion: threads of this process, or workers elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from pixlate.options.checks import check_class
from pixlate.plugin.offer import Offer

if TYPE_CHECKING:
    from pixlate.convert.conversion import Task
    from pixlate.convert.report import Summary


@dataclass(frozen=True)
class Engine(Offer, kind="engine"):
    """What runs a conversion, offered by a plugin through the hook ``pixlate_engines``."""

    name: str
    """Name for ``--engine``."""
    summary: str
    """One line of help."""
    options: type[Any]
    """Frozen dataclass; the string under each field is its help on the command line, where the fields are accepted with this engine alone."""
    run: "Callable[[Task, Any], Summary]"
    """Convert the task with an instance of ``options``; what it needs is imported lazily. Refuse before ``task.open_sinks()``, which opens what is written."""

    def __post_init__(self) -> None:
        from pixlate.convert.options import ConvertOptions

        super().__post_init__()
        names = ("model", "engine", "options", "json", "quiet", "verbose", "config", "help", "version", *(item.name for item in fields(ConvertOptions)))
        check_class(f"engine {self.name!r}", self.options, dict.fromkeys(names, "pixlate convert"))
