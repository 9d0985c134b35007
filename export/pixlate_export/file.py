"""From a graph in float to one ONNX file: judged, converted to the precision and pixels asked for, judged again, written. No PyTorch here."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelSpec
from pixlate.system.locking import sync
from pixlate_export.calibration import Pictures, Planes
from pixlate_export.graph import finished, store_in_half
from pixlate_export.half import halve
from pixlate_export.int8 import quantise
from pixlate_export.options import ExportOptions
from pixlate_export.parity import ParityReport, Reference, compare, draw_samples
from pixlate_export.pixels import take_pixels


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    path: Path
    spec: ModelSpec
    parity: ParityReport
    opset: int
    calibration: str = ""
    """What int8 was calibrated on."""
    norms: str = ""
    """Which statistics the batch norms have, and what the others would change."""


@dataclass(frozen=True)
class Original:
    """What a graph was made from, which its outputs are compared with."""

    outputs: Reference
    name: str = "PyTorch"
    remedy: str = "update PyTorch and onnxscript, which have written another graph"
    """What to do where the graph differs before any conversion."""


def write_converted(model: onnx.ModelProto, spec: ModelSpec, original: Original, path: Path, options: ExportOptions, pictures: Pictures | None) -> Exported:
    """Write a graph with the precision and pixels asked for, after comparing it with what it was made from.

    It is compared twice: as it comes, since outputs in 8 bits hide small differences, and as it is written.

    Args:
        model: As its spec says; it is changed.
        spec: Of the graph as it comes; ``io`` and ``precision`` are set here.
        original: Gives the right outputs.
        path: An existing file is replaced only by a whole new one.
        options: Input and precision.
        pictures: Those that set the ranges of int8, and those to compare by.

    Raises:
        PixlateError: The outputs differ, or the graph cannot be converted; nothing is written.
    """
    wanted = replace(spec, io=options.io, precision=options.precision)
    judging = pictures.judging if pictures else ()
    samples = draw_samples(original.outputs, wanted, judging, original.name)
    if (wanted.io, wanted.precision) != (spec.io, spec.precision):
        compare(samples, model, spec, original.name).require("the graph before its conversion", original.remedy)
    model = finished(_converted(model, spec, options, pictures.calibrating if pictures else ()), wanted)
    parity = compare(samples, model, wanted, original.name)
    parity.require("the ONNX file", "use a higher --precision, or update onnxscript or report it where that is float32")
    _write(model, path)
    return Exported(path, wanted, parity, model.opset_import[0].version, pictures.told if pictures else "")


def _converted(model: onnx.ModelProto, spec: ModelSpec, options: ExportOptions, pictures: Sequence[Planes]) -> onnx.ModelProto:
    """Return the graph in the precision and with the input asked for, where it has not got them."""
    if options.precision != spec.precision:
        if options.precision == "int8":
            model = quantise(model, pictures, spec)
        elif options.precision != "float32":
            halve(model, options.precision)
    elif options.half_weights:
        store_in_half(model)
    if options.io != spec.io:
        take_pixels(model, spec)
    return model


def require_place(path: Path) -> None:
    """Refuse a file that cannot be written, before any work."""
    if path.is_dir():
        raise PixlateError(f"expected a file to write, but {path} is a folder; name a file in it")
    above = path.absolute().parent
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK):
        what = "may not be written" if above.is_dir() else "is no folder"
        raise PixlateError(f"the file {path} cannot be written, since {above} {what}; name another folder or change its permissions")


def _write(model: onnx.ModelProto, path: Path) -> None:
    """Write a file under a name of its own, sync it to the disk, and give it its name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent) as folder:
            part = Path(folder) / "model.onnx"
            with part.open("wb") as file:
                file.write(model.SerializeToString())
                file.flush()
                sync(file.fileno())
            part.replace(path)
    except OSError as error:
        raise PixlateError(f"the file {path} cannot be written ({error.strerror}); make room, or name another folder") from error
