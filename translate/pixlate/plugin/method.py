"""A method is a way to train: its options, its published defaults and how its networks are built."""

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

from pixlate.errors import PixlateError
from pixlate.options import DataOptions, DegradedOptions, PairedOptions, TrainingOptions, UnpairedOptions
from pixlate.plugin.offer import Offer

if TYPE_CHECKING:
    from pixlate.plugin.gan import GAN

Pairing = Literal["paired", "unpaired", "degraded"]
DATA: dict[str, type[DataOptions]] = {"paired": PairedOptions, "unpaired": UnpairedOptions, "degraded": DegradedOptions}
"""Options of the data, by pairing."""
_TAKEN = ("folders", "out", "config", "help", "version")
"""Names on the command line of every method."""


@dataclass(frozen=True)
class Method(Offer):
    """A way to train, offered by a plugin through the hook ``pixlate_methods``."""

    name: str
    """Name on the command line."""
    summary: str
    """One line of help."""
    pairing: Pairing
    """How training images belong together: paired, unpaired, or degraded (the source is made from the target)."""
    options: type[Any]
    """Frozen dataclass; the string under each field is its help on the command line."""
    build: Callable[[Any], "GAN"]
    """Return untrained networks for an instance of ``options``; PyTorch is imported only here."""
    training: type[TrainingOptions] = TrainingOptions
    """TrainingOptions, or a subclass whose defaults are the method's published ones."""
    data: type[DataOptions] = DataOptions
    """PairedOptions, UnpairedOptions or DegradedOptions, as the pairing asks for, or a subclass with the method's defaults; left out, the first of these."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w-]*", self.name):
            raise PixlateError(f"method {self.name!r}: expected a name of letters, digits, _ and -; rename it in the plugin")
        if self.pairing not in DATA:
            raise PixlateError(f"method {self.name!r}: expected a pairing of {', '.join(DATA)}, got {self.pairing!r}; choose one in the plugin")
        if self.data is DataOptions:
            object.__setattr__(self, "data", DATA[self.pairing])
        for owner, base in ((self.training, TrainingOptions), (self.data, DATA[self.pairing]), (self.options, object)):
            if not (isinstance(owner, type) and is_dataclass(owner)):
                raise PixlateError(f"method {self.name!r}: expected options that are a dataclass, got {owner!r}; write @dataclass(frozen=True) over it")
            if not issubclass(owner, base):
                raise PixlateError(
                    f"method {self.name!r}: expected {owner.__name__} to be made from {base.__name__}; write class {owner.__name__}({base.__name__})"
                )
        owners = dict.fromkeys(_TAKEN, "pixlate train")
        for owner in (self.training, self.data, self.options):
            for item in fields(owner):
                if item.name in owners:
                    raise PixlateError(
                        f"method {self.name!r}: the option {item.name!r} of {owner.__name__} is also one of {owners[item.name]}, "
                        "and both are written the same on the command line; rename it in the plugin"
                    )
                if item.default is MISSING and item.default_factory is MISSING:
                    raise PixlateError(f"method {self.name!r}: the option {item.name!r} of {owner.__name__} has no default; give it one in the plugin")
                owners[item.name] = owner.__name__
            try:
                owner()
            except Exception as error:
                raise PixlateError(f"method {self.name!r}: the defaults of {owner.__name__} are refused ({error}); change them in the plugin") from error
