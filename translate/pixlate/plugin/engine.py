"""An engine runs a conversion: threads of this process, or workers elsewhere."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from pixlate.errors import PixlateError
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

        if not (isinstance(self.options, type) and is_dataclass(self.options)):
            raise PixlateError(f"engine {self.name!r}: expected options that are a dataclass, got {self.options!r}; write @dataclass(frozen=True) over it")
        super().__post_init__()
        taken = {"model", "engine", "options", "json", "config", "help", "version", *(item.name for item in fields(ConvertOptions))}
        for item in fields(self.options):
            if item.default is MISSING and item.default_factory is MISSING:
                raise PixlateError(f"engine {self.name!r}: the option {item.name!r} has no default; give it one in the plugin")
            if item.name in taken:
                raise PixlateError(f"engine {self.name!r}: the option {item.name!r} is also one of pixlate convert; rename it in the plugin")
        try:
            self.options()
        except Exception as error:
            raise PixlateError(f"engine {self.name!r}: the defaults of its options are refused ({error}); change them in the plugin") from error
