"""A method is a way to train: its options, its published defaults and how its networks are built."""

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pixlate.errors import PixlateError
from pixlate.options import DataOptions, TrainingOptions
from pixlate.options.checks import check_class
from pixlate.plugin.data import DataKind
from pixlate.plugin.offer import Offer

if TYPE_CHECKING:
    from pixlate.plugin.gan import GAN

_TAKEN = ("folders", "out", "resume", "plugin", "config", "help", "version", "preset", "samples", "sweep")
"""Names on the command line of every method."""


@dataclass(frozen=True, init=False)
class Method(Offer, kind="method"):
    """A way to train, offered by a plugin through the hook ``pixlate_methods``."""

    name: str
    """Name on the command line."""
    summary: str
    """One line of help."""
    data: DataKind
    """What the training folders hold: ``pixlate.paired``, ``pixlate.unpaired``, ``pixlate.degraded``, one of these with the method's own defaults, as
    ``dataclasses.replace(pixlate.paired, options=MyData)``, or a kind of the plugin's."""
    options: type[Any]
    """Frozen dataclass; the string under each field is its help on the command line."""
    build: Callable[..., "GAN"]
    """Return untrained networks for an instance of ``options``, and for the facts of the data kind where it takes two arguments; PyTorch is imported
    only here."""
    training: type[TrainingOptions] = TrainingOptions
    """TrainingOptions, or a subclass whose defaults are the method's published ones."""
    presets: Mapping[str, Path] = field(default_factory=dict, hash=False)
    """Recipes by name, which ``--preset`` names: TOML files with a table ``[train.NAME]``, as ``--config`` takes them. The first line, after ``#``, is the help
    of each, without a full stop."""
    _pairing: ClassVar[str | None] = None
    """The word of plugins of 0.1, kept on the value itself until it is checked."""

    def __init__(
        self,
        name: str,
        summary: str,
        data: DataKind | type[Any] | str | None = None,
        options: type[Any] | None = None,
        build: Callable[..., "GAN"] | None = None,
        training: type[TrainingOptions] = TrainingOptions,
        presets: Mapping[str, Path] | None = None,
        *,
        pairing: str | None = None,
    ) -> None:
        if isinstance(data, str):
            data, pairing = None, data
        values = {"name": name, "summary": summary, "data": data, "options": options, "build": build, "training": training}
        for attribute, value in {**values, "presets": presets or {}, "_pairing": pairing}.items():
            object.__setattr__(self, attribute, value)
        self.__post_init__()

    def gan(self, options: Any, facts: Mapping[str, Any]) -> "GAN":
        """Return untrained networks, for the facts of the folders where ``build`` takes a second argument."""
        positional = [each for each in inspect.signature(self.build).parameters.values() if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        second = positional[1:2]
        takes = bool(second) and (second[0].name == "facts" or second[0].default is second[0].empty)
        return self.build(options, facts) if takes else self.build(options)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w-]*", str(self.name)):
            raise PixlateError(f"method {self.name!r}: expected a name of letters, digits, _ and -; rename it in the plugin")
        if not isinstance(self.data, DataKind):
            object.__setattr__(self, "data", _kind_of(self.name, self._pairing, self.data))
        super().__post_init__()
        self.data.require_sound()
        _require_base(self.name, self.training, TrainingOptions)
        for preset, path in self.presets.items():
            if not path.is_file():
                raise PixlateError(f"method {self.name!r}: expected the preset {preset!r} to be a TOML file, but {path} is not there; ship it with the plugin")
        taken = dict.fromkeys(_TAKEN, "pixlate train")
        for owner in (self.training, self.data.options, self.options):
            check_class(f"method {self.name!r}", owner, taken)


def _kind_of(method: str, pairing: str | None, options: type[Any] | None) -> DataKind:
    """Return the data kind that a plugin of 0.1 means by a word and a class of options."""
    from pixlate.data.kinds import BUILT_IN

    if pairing is None or pairing not in BUILT_IN:
        known = ", ".join(f"pixlate.{name}" for name in BUILT_IN)
        raise PixlateError(
            f"method {method!r}: expected data= with a data kind such as {known}, got {options if pairing is None else pairing!r}; give one in the plugin"
        )
    kind = BUILT_IN[pairing]
    written = f"pixlate.{pairing}"
    if options is not None and options is not DataOptions:
        _require_base(method, options, kind.options)
        kind, written = replace(kind, options=options), f"dataclasses.replace(pixlate.{pairing}, options={options.__name__})"
    warnings.warn(f"method {method!r}: pairing={pairing!r} is of the plugin API 1; write data={written}", DeprecationWarning, stacklevel=5)
    return kind


def _require_base(method: str, owner: type[Any], base: type[Any]) -> None:
    if isinstance(owner, type) and not issubclass(owner, base):
        name = owner.__name__
        raise PixlateError(f"method {method!r}: expected {name} to be made from {base.__name__}; write class {name}({base.__name__})")
