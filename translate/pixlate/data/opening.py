"""Opens the training images that a method's pairing asks for."""

from collections.abc import Sequence
from pathlib import Path

from pixlate.data.degraded import DegradedImages
from pixlate.data.paired import PairedImages
from pixlate.data.unpaired import UnpairedImages
from pixlate.errors import PixlateError
from pixlate.inference.sizes import allowed_side
from pixlate.options import DataOptions, DegradedOptions, PairedOptions, UnpairedOptions
from pixlate.plugin.data import TrainingData
from pixlate.plugin.spec import ModelSpec


def open_data(pairing: str, folders: Sequence[Path], options: DataOptions, spec: ModelSpec) -> TrainingData:
    """Return training images for a network.

    Args:
        pairing: ``paired``, ``unpaired`` or ``degraded``.
        folders: Folders of images, as the pairing asks for.
        options: Of the class that belongs to the pairing.
        spec: What the network takes and gives.

    Raises:
        PixlateError: The number of folders, the patch or the images do not fit.
    """
    _check_patch(options.patch, spec)
    channels = spec.channels_in, spec.channels_out
    if isinstance(options, DegradedOptions) and pairing == "degraded":
        if channels != (3, 3):
            raise PixlateError(f"expected a network of 3 channels in and out for photographs that are reduced, got {channels[0]} and {channels[1]}; use RGB")
        return DegradedImages(folders, spec.scale, options)
    if spec.scale != 1:
        raise PixlateError(f"expected a network of scale 1 for {pairing} images, got scale {spec.scale}; use degraded images")
    if isinstance(options, PairedOptions) and pairing == "paired":
        alone = options.grey or options.lines == 1
        if not folders or (len(folders) > 2 and not alone):
            raise PixlateError(f"expected two folders, SOURCE TARGET, or one of images side by side, got {len(folders)}; name two or one")
        return PairedImages(folders, options, *channels, spec.multiple)
    if isinstance(options, UnpairedOptions) and pairing == "unpaired":
        if len(folders) != 2:
            raise PixlateError(f"expected two folders, SOURCE TARGET, got {len(folders)}; name a folder of sources and one of targets")
        return UnpairedImages(folders[0], folders[1], options, *channels, spec.multiple)
    raise ValueError(f"expected options of {pairing} images, got {type(options).__name__}; take the class that options/data.py has for the pairing")


def _check_patch(patch: int, spec: ModelSpec) -> None:
    fitting = allowed_side(patch, spec)
    if patch != fitting:
        least = f" of at least {spec.minimum}" if spec.minimum > spec.multiple else ""
        other = ", or a network of fewer halvings" if spec.multiple > 1 else ""
        raise PixlateError(f"expected --patch to be a multiple of {spec.multiple}{least}, which the network takes, got {patch}; use {fitting}{other}")
