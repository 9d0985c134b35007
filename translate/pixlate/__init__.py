"""Pixlate translates images into images.

``pixlate.load("upscale-x4")`` gives a translator, ``pixlate.convert("photos", "out", model="upscale-x4")`` converts a folder. Importing this
package imports no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pluggy import HookimplMarker

from pixlate.contracts import Check, ForeignGenerator, ImportOptions, Metric, ModelCard, Sample, Translator
from pixlate.convert import ConvertOptions, convert
from pixlate.errors import DeviceLost, OutOfDeviceMemory, PixlateError
from pixlate.method import Method
from pixlate.options import AdversarialOptions, DataOptions, DegradedOptions, PairedOptions, TrainingOptions, UnpairedOptions
from pixlate.spec import ModelSpec, Provenance

if TYPE_CHECKING:
    from pixlate.gan import GAN
    from pixlate.images import ImageFormat, Picture
    from pixlate.models import load

hookimpl = HookimplMarker("pixlate")
"""Marks a plugin's functions as implementations of hooks."""

_LAZY = {"GAN": "pixlate.gan", "ImageFormat": "pixlate.images", "Picture": "pixlate.images", "load": "pixlate.models"}

__all__ = [
    "GAN",
    "AdversarialOptions",
    "Check",
    "ConvertOptions",
    "DataOptions",
    "DegradedOptions",
    "DeviceLost",
    "ForeignGenerator",
    "ImageFormat",
    "ImportOptions",
    "Method",
    "Metric",
    "ModelCard",
    "ModelSpec",
    "OutOfDeviceMemory",
    "PairedOptions",
    "Picture",
    "PixlateError",
    "Provenance",
    "Sample",
    "TrainingOptions",
    "Translator",
    "UnpairedOptions",
    "convert",
    "hookimpl",
    "load",
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
