"""Options that methods share: frozen dataclasses whose field texts are the help on the command line. No PyTorch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pixlate.options.checks import check_hed_layers, check_least, check_most, check_types, check_used, since
from pixlate.options.groups import Groups
from pixlate.options.strength import check_strength, output_strength

if TYPE_CHECKING:
    from pixlate.options.adversarial import AdversarialOptions, AdversarialTraining, GeneratorName
    from pixlate.options.degraded import DegradedOptions
    from pixlate.options.training import DataOptions, FolderOptions, PairedOptions, TrainingOptions, UnpairedOptions

_LAZY = {
    "adversarial": ("AdversarialOptions", "AdversarialTraining", "GeneratorName"),
    "degraded": ("DegradedOptions",),
    "training": ("DataOptions", "FolderOptions", "PairedOptions", "TrainingOptions", "UnpairedOptions"),
}
"""Modules -> dataclasses of training, which take longer to make than all else that converting a picture imports from here."""

__all__ = [
    "AdversarialOptions",
    "AdversarialTraining",
    "DataOptions",
    "DegradedOptions",
    "FolderOptions",
    "GeneratorName",
    "Groups",
    "PairedOptions",
    "TrainingOptions",
    "UnpairedOptions",
    "check_hed_layers",
    "check_least",
    "check_most",
    "check_strength",
    "check_types",
    "check_used",
    "output_strength",
    "since",
]


def __getattr__(name: str) -> Any:
    for module, names in _LAZY.items():
        if name in names:
            globals()[name] = getattr(import_module(f"pixlate.options.{module}"), name)
            return globals()[name]
    raise AttributeError(f"module 'pixlate.options' has no attribute {name!r}")
