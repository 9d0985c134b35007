"""From a trained run, or any network, to one ONNX file with all its metadata."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from torch import nn

import pixlate
from pixlate.errors import PixlateError
from pixlate.plugin.gan import GAN
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.spec import ModelSpec, Padding, Provenance
from pixlate.system.locking import sync
from pixlate.training.checkpoint import is_checkpoint, load_checkpoint
from pixlate.training.run import OPTIONS, RunOptions
from pixlate_export.calibration import Planes, read_pictures
from pixlate_export.graph import finished, store_in_half, trace
from pixlate_export.half import halve
from pixlate_export.int8 import quantise
from pixlate_export.norms import with_norm
from pixlate_export.options import ExportOptions
from pixlate_export.parity import ParityReport, compare
from pixlate_export.pixels import take_masks, take_pixels

DEFAULT = ExportOptions()


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    path: Path
    spec: ModelSpec
    parity: ParityReport
    opset: int
    calibration: str = ""
    """What int8 was calibrated on."""


def export_run(
    run: Path,
    path: Path,
    options: ExportOptions = DEFAULT,
    generator: str = "",
    data: str = "",
    licence: str = "",
    best: bool = False,
    plugin: Path | None = None,
) -> Exported:
    """Write the averaged generator of a run as an ONNX file, compared with PyTorch first.

    Args:
        run: Folder that training wrote, or one of its checkpoints.
        path: The file to write; an existing one is replaced only by a whole new one.
        options: Input, precision, norm mode and opset.
        generator: Which of the method's exports, which are its generators unless it says otherwise; the first where it is empty.
        data: What it was trained on, for the metadata; by default the names of the folders.
        licence: Terms of use of the weights, for the metadata.
        best: Whether the checkpoint that validated best is taken instead of the newest.
        plugin: The single file whose method the run trained, where it was started with one.

    Raises:
        PixlateError: No such generator or checkpoint, or the file's pictures differ from PyTorch's; nothing is written.
    """
    chosen = run.resolve()
    if is_checkpoint(chosen) and best:
        raise PixlateError(f"expected a run with --best, got one of its checkpoints, {run}; leave out --best, or name the run")
    run = chosen.parent.parent if is_checkpoint(chosen) else run
    trained = RunOptions.load(run, installed().offered(Method), plugin)
    gan = trained.build()
    checkpoint = load_checkpoint(chosen, best)
    try:
        gan.load_state_dict(checkpoint.average)
    except RuntimeError as error:
        raise PixlateError(
            f"expected the weights of {run / OPTIONS}, but its checkpoint holds those of another network; undo the change of its options"
        ) from error
    origin = data or ", ".join(folder.name for folder in trained.folders)
    return export_gan(
        gan,
        path,
        Provenance(origin, checkpoint.step, trained.training.seed, licence, pixlate.__version__),
        options,
        generator,
        checkpoint.state["options"].get("padding", "edge"),
    )


def export_gan(gan: GAN, path: Path, provenance: Provenance, options: ExportOptions = DEFAULT, generator: str = "", padding: Padding = "reflect") -> Exported:
    """Write one of a GAN's exports as an ONNX file; see :func:`export_run`."""
    exports = gan.exports()
    chosen = exports.get(generator or next(iter(exports)))
    if chosen is None:
        raise PixlateError(f"expected one of the generators {sorted(exports)}, got {generator!r}; choose one for --generator")
    return export_network(chosen.module, chosen.spec.with_provenance(provenance), path, options, padding)


def export_network(network: nn.Module, spec: ModelSpec, path: Path, options: ExportOptions = DEFAULT, padding: Padding = "reflect") -> Exported:
    """Write a network of (batch, channels, height, width) in [0, 1], in and out, as an ONNX file, compared with PyTorch first.

    Args:
        network: What the file holds; values beyond [0, 1] are clamped in the file. With ``half_weights`` its own weights are rounded, and the report
            compares with PyTorch on the rounded ones.
        spec: Metadata of the file; ``io``, ``precision`` and ``norm`` are set here.
        path: An existing file is replaced only by a whole new one.
        options: Input, precision, norm mode and opset.
        padding: How images are padded to sizes the network takes; files and runs of 0.1 have ``edge``.

    Raises:
        PixlateError: The file's pictures differ from PyTorch's, or it cannot be made; nothing is written.
    """
    _require_place(path)
    if options.calibration is not None and not spec.takes_image:
        raise PixlateError("expected a model that takes an image for --precision int8, got one that draws its own; use another precision")
    network, spec = with_norm(network.cpu().eval(), spec, options.norm)
    spec = replace(spec, io=options.io, precision=options.precision, padding=padding)
    if options.half_weights:
        for parameter in network.parameters():
            parameter.data = parameter.data.half().float()
    pictures = read_pictures(options.calibration, spec) if options.calibration is not None else None
    model = finished(_built(network, spec, options, pictures.calibrating if pictures else ()), spec)
    parity = compare(network, model, spec, pictures.judging if pictures else ())
    parity.require()
    _write(model, path)
    return Exported(path, spec, parity, options.written_opset, pictures.told if pictures else "")


def _require_place(path: Path) -> None:
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


def _built(network: nn.Module, spec: ModelSpec, options: ExportOptions, pictures: Sequence[Planes]) -> onnx.ModelProto:
    """Return the graph in the precision and with the input asked for."""
    model = trace(network, spec, options.written_opset)
    match options.precision:
        case "float16" | "bfloat16":
            halve(model, options.precision)
        case "int8":
            model = quantise(model, pictures, spec)
        case "float32":
            if options.half_weights:
                store_in_half(model)
    if options.io == "uint8":
        take_pixels(model, spec)
    else:
        take_masks(model, spec)
    return model
