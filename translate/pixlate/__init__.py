"""Pixlate is an image-to-image toolkit.

``pixlate.load("upscale-x4")`` gives a translator, ``pixlate.convert("photos", "out", model="upscale-x4")`` converts a folder. Importing this
package imports no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pixlate.convert import ConvertOptions, convert
from pixlate.data.kinds import degraded, paired, unpaired
from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.options import AdversarialOptions, DataOptions, DegradedOptions, PairedOptions, TrainingOptions, UnpairedOptions
from pixlate.plugin import hookimpl
from pixlate.plugin.check import Check
from pixlate.plugin.data import DataKind
from pixlate.plugin.engine import Engine
from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.method import Method
from pixlate.plugin.metric import Metric, Sample
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.runtime import Runtime
from pixlate.plugin.spec import ModelInput, ModelSpec, Provenance
from pixlate.plugin.translator import Translator

if TYPE_CHECKING:
    from pixlate.images import Picture
    from pixlate.inference.models import load
    from pixlate.plugin.gan import GAN, Export, Player

_LAZY = {"Picture": "images", "load": "inference.models", "Export": "plugin.gan", "GAN": "plugin.gan", "Player": "plugin.gan"}
"""Names whose modules import NumPy or PyTorch -> these modules, imported when the names are first used."""

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
    if name in _LAZY:
        globals()[name] = getattr(import_module(f"pixlate.{_LAZY[name]}"), name)
        return globals()[name]
    raise AttributeError(f"module 'pixlate' has no attribute {name!r}")
