"""Loads a model for pictures, once for each device."""

from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.errors import PixlateError
from pixlate.inference.executor import Executor
from pixlate.inference.models import load
from pixlate.plugin.translator import Translator

if TYPE_CHECKING:
    from pixlate.convert.options import ConvertOptions


def load_executors(model: str | Path, options: "ConvertOptions") -> list[Executor]:
    """Load a model once for each device; a GPU is listed twice, so that a batch is copied while the one before it is computed."""
    executors = []
    for device in split_devices(options.device):
        executor = Executor(load_for_pictures(model, device), options.tile, options.batch, options.bucket)
        executors += [executor] * (1 if executor.translator.device == "cpu" else 2)
    return executors


def split_devices(device: str) -> list[str]:
    """Return the devices that a text such as ``cuda:0,1`` names, one by one.

    Raises:
        PixlateError: A device is named twice.
    """
    kind, colon, numbers = device.partition(":")
    devices = [f"{kind}:{number}" for number in numbers.split(",")] if colon else [device]
    if len(set(devices)) < len(devices):
        raise PixlateError(f"expected each GPU once for --device, got {device}; leave out the second")
    return devices


def load_for_pictures(model: str | Path, device: str) -> Translator:
    """Load a model and refuse one that takes no image."""
    translator = load(model, device)
    if not translator.spec.takes_image:
        names = ", ".join(f"{each.name}=..." for each in translator.spec.conditions)
        raise PixlateError(f"expected a model that takes an image, got {model}, which draws its own; call it from Python: pixlate.load(model)(None, {names})")
    return translator
