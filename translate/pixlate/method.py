"""A method is a way to train: its options, its published defaults and how its networks are built."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pixlate.options import DataOptions, TrainingOptions

if TYPE_CHECKING:
    from pixlate.training.gan import GAN

Pairing = Literal["paired", "unpaired", "degraded"]


@dataclass(frozen=True)
class Method:
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
    """DataOptions, or a subclass whose defaults are the method's published ones."""
