"""Options that methods share: frozen dataclasses whose field texts are the help on the command line. No PyTorch."""

from pixlate.options.adversarial import AdversarialOptions, AdversarialTraining
from pixlate.options.checks import check_hed_layers, check_least, check_most, check_types, check_used, since
from pixlate.options.degraded import DegradedOptions
from pixlate.options.groups import Groups
from pixlate.options.strength import check_strength, output_strength
from pixlate.options.training import DataOptions, FolderOptions, PairedOptions, TrainingOptions, UnpairedOptions

__all__ = [
    "AdversarialOptions",
    "AdversarialTraining",
    "DataOptions",
    "DegradedOptions",
    "FolderOptions",
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
