"""Pixlate is an image-to-image toolkit.

``pixlate.load("upscale-x4")`` gives a translator, ``pixlate.convert("photos", "out", model="upscale-x4")`` converts a folder. Importing this
package imports no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pixlate.convert import ConvertOptions, convert
from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.plugin import hookimpl

if TYPE_CHECKING:
    from pixlate.data.kinds import degraded, paired, unpaired
    from pixlate.images import Picture
    from pixlate.inference.models import load
    from pixlate.inference.strength import blended
    from pixlate.options import AdversarialOptions, DataOptions, DegradedOptions, PairedOptions, TrainingOptions, UnpairedOptions
    from pixlate.plugin.check import Check
    from pixlate.plugin.data import DataKind
    from pixlate.plugin.engine import Engine
    from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
    from pixlate.plugin.gan import GAN, Export, Player
    from pixlate.plugin.image_format import ImageFormat
    from pixlate.plugin.method import Method
    from pixlate.plugin.metric import Metric, Sample
    from pixlate.plugin.model_card import ModelCard
    from pixlate.plugin.runtime import Runtime
    from pixlate.plugin.spec import ModelInput, ModelSpec, Provenance
    from pixlate.plugin.translator import Translator
    from pixlate.system.user import cache_folder

_LAZY = {
    "data.kinds": ("degraded", "paired", "unpaired"),
    "images": ("Picture",),
    "inference.models": ("load",),
    "inference.strength": ("blended",),
    "options": ("AdversarialOptions", "DataOptions", "DegradedOptions", "PairedOptions", "TrainingOptions", "UnpairedOptions"),
    "plugin.check": ("Check",),
    "plugin.data": ("DataKind",),
    "plugin.engine": ("Engine",),
    "plugin.foreign": ("ForeignGenerator", "ImportOptions"),
    "plugin.gan": ("GAN", "Export", "Player"),
    "plugin.image_format": ("ImageFormat",),
    "plugin.method": ("Method",),
    "plugin.metric": ("Metric", "Sample"),
    "plugin.model_card": ("ModelCard",),
    "plugin.runtime": ("Runtime",),
    "plugin.spec": ("ModelInput", "ModelSpec", "Provenance"),
    "plugin.translator": ("Translator",),
    "system.user": ("cache_folder",),
}
"""Modules -> names that they are imported for when one is first used: `pixlate --help` needs none of them, and some need NumPy or PyTorch."""

__all__ = [
    "GAN",
    "AdversarialOptions",
    "Check",
    "ConvertOptions",
    "DataKind",
    "DataOptions",
    "DegradedOptions",
    "DeviceLost",
    "Engine",
    "Export",
    "ForeignGenerator",
    "ImageFormat",
    "ImportOptions",
    "Method",
    "Metric",
    "ModelCard",
    "ModelInput",
    "ModelSpec",
    "OutOfDeviceMemory",
    "PairedOptions",
    "Picture",
    "PixlateError",
    "Player",
    "Provenance",
    "Runtime",
    "Sample",
    "TrainingOptions",
    "Translator",
    "UnpairedOptions",
    "blended",
    "cache_folder",
    "convert",
    "degraded",
    "hookimpl",
    "load",
    "paired",
    "unpaired",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pixlate")
    for module, names in _LAZY.items():
        if name in names:
            globals()[name] = getattr(import_module(f"pixlate.{module}"), name)
            return globals()[name]
    raise AttributeError(f"module 'pixlate' has no attribute {name!r}")
