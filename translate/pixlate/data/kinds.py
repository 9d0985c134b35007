"""The data kinds that are built in: ``paired``, ``unpaired`` and ``degraded``. PyTorch is imported lazily."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pixlate.errors import PixlateError
from pixlate.options import DegradedOptions
from pixlate.options.training import DataOptions, PairedOptions, UnpairedOptions
from pixlate.plugin.data import DataKind, DataReport, TrainingData
from pixlate.plugin.spec import ModelSpec


def open_data(kind: DataKind, folders: Sequence[Path], options: DataOptions, spec: ModelSpec) -> TrainingData:
    """Return training images for a network that takes and gives what the spec says.

    Raises:
        PixlateError: The number of folders, the patch or the images do not fit.
    """
    if not isinstance(options, kind.options):
        raise ValueError(f"expected options of {kind.name} images, got {type(options).__name__}; take {kind.options.__name__}")
    from pixlate.inference.sizes import allowed_side

    fitting = allowed_side(options.patch, spec)
    if options.patch != fitting:
        least = f" of at least {spec.minimum}" if spec.minimum > spec.multiple else ""
        other = ", or a network of fewer halvings" if spec.multiple > 1 else ""
        raise PixlateError(f"expected --patch to be a multiple of {spec.multiple}{least}, which the network takes, got {options.patch}; use {fitting}{other}")
    if not options.weights:
        return kind.open(folders, options, spec)
    from pixlate.data.mixed import MixedData

    number, sets = len(folders), len(options.weights)
    if number < sets or number % sets:
        raise PixlateError(
            f"expected folders for {sets} sets of images, as --weights has {sets} numbers, got {number}; name as many folders for each set, such as {' '.join([kind.example] * sets)}"
        )
    size = number // sets
    return MixedData([kind.open(folders[first : first + size], options, spec) for first in range(0, number, size)], options.weights)


def _open_paired(folders: Sequence[Path], options: PairedOptions, spec: ModelSpec) -> TrainingData:
    from pixlate.data.pairing import PairedImages

    _require_scale_1("paired", spec)
    check_pair_count(len(folders), alone=bool(options.made))
    return PairedImages(folders, options, spec.channels_in, spec.channels_out, spec.multiple)


def _open_unpaired(folders: Sequence[Path], options: UnpairedOptions, spec: ModelSpec) -> TrainingData:
    from pixlate.data.pairing import UnpairedImages

    _require_scale_1("unpaired", spec)
    check_two(len(folders))
    return UnpairedImages(folders[0], folders[1], options, spec.channels_in, spec.channels_out, spec.multiple)


def _open_degraded(folders: Sequence[Path], options: DegradedOptions, spec: ModelSpec) -> TrainingData:
    from pixlate.data.degraded import DegradedImages

    if (spec.channels_in, spec.channels_out) != (3, 3):
        raise PixlateError(
            f"expected a network of 3 channels in and out for photographs that are reduced, got {spec.channels_in} and {spec.channels_out}; use RGB"
        )
    return DegradedImages(folders, spec.scale, options, spec.multiple)


def relit(folders: Sequence[Path], options: DegradedOptions) -> Mapping[str, Any]:
    """Return ``relit`` where sources get their light back, as what uses the network must do with pictures."""
    return {"relit": True} if options.relight else {}


def _check(name: str, *arguments: Any) -> DataReport:
    """Call a function of ``pixlate.data.check``, which is imported lazily."""
    report: DataReport = getattr(import_module("pixlate.data.check"), name)(*arguments)
    return report


def _require_scale_1(name: str, spec: ModelSpec) -> None:
    if spec.scale != 1:
        raise PixlateError(f"expected a network of scale 1 for {name} images, got scale {spec.scale}; use degraded images")


def check_pair_count(count: int, alone: bool = False) -> None:
    """Refuse more than two folders, unless targets come ``alone``, and none."""
    if not count or (count > 2 and not alone):
        raise PixlateError(
            f"expected two folders, SOURCE TARGET, or one of images side by side, got {count}; name two or one; `pixlate train` mixes several sets with --weights"
        )


def check_two(count: int) -> None:
    """Refuse any number of folders but two."""
    if count != 2:
        raise PixlateError(
            f"expected two folders, SOURCE TARGET, got {count}; name a folder of sources and one of targets; `pixlate train` mixes several sets with --weights"
        )


paired = DataKind(
    name="paired",
    summary="Sources and targets: two folders whose files have the same names, or one folder of images that hold both side by side",
    example="sketches/ photos/",
    options=PairedOptions,
    open=_open_paired,
    check=partial(_check, "check_paired"),
)
"""Sources and targets that show the same."""
unpaired = DataKind(
    name="unpaired",
    summary="A folder of sources and a folder of targets, which need not show the same",
    example="day/ night/",
    options=UnpairedOptions,
    open=_open_unpaired,
    check=partial(_check, "check_unpaired"),
)
"""Two sets of images."""
degraded = DataKind(
    name="degraded",
    summary="Folders of photographs; the sources are made by reducing or degrading them",
    example="photos/",
    options=DegradedOptions,
    open=_open_degraded,
    facts=relit,
    check=partial(_check, "check_degraded"),
)
"""Photographs whose sources are made from them."""
BUILT_IN = {kind.name: kind for kind in (paired, unpaired, degraded)}
"""The data kinds of the core, by name."""
