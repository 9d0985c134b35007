"""Pixlate is an image-to-image toolkit.

``pixlate.load("upscale-x4")`` gives a translator, ``pixlate.convert("photos", "out", model="upscale-x4")`` converts a folder. Importing this
package imports no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pixlate.convert import ConvertOptions, convert
from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.options import AdversarialOptions, DataOptions, DegradedOptions, PairedOptions, TrainingOptions, UnpairedOptions
from pixlate.plugin import hookimpl

if TYPE_CHECKING:
    from pixlate.data.kinds import degraded, paired, unpaired
    from pixlate.images import Picture
    from pixlate.inference.models import load
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

_LAZY = {
    "Provenance": "pixlate.plugin.spec",
    "ModelSpec": "pixlate.plugin.spec",
    "ModelInput": "pixlate.plugin.spec",
    "Method": "pixlate.plugin.method",
    "ModelCard": "pixlate.plugin.model_card",
    "Translator": "pixlate.plugin.translator",
    "Runtime": "pixlate.plugin.runtime",
    "Sample": "pixlate.plugin.metric",
    "Metric": "pixlate.plugin.metric",
    "ImageFormat": "pixlate.plugin.image_format",
    "ImportOptions": "pixlate.plugin.foreign",
    "ForeignGenerator": "pixlate.plugin.foreign",
    "DataKind": "pixlate.plugin.data",
    "Engine": "pixlate.plugin.engine",
    "Check": "pixlate.plugin.check",
    "unpaired": "pixlate.data.kinds",
    "paired": "pixlate.data.kinds",
    "degraded": "pixlate.data.kinds",
    "Export": "pixlate.plugin.gan",
    "GAN": "pixlate.plugin.gan",
    "Player": "pixlate.plugin.gan",
    "Picture": "pixlate.images",
    "load": "pixlate.inference.models",
}

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
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'pixlate' has no attribute {name!r}")
