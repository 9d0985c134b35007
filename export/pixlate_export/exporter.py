"""From a trained run, or any network, to one ONNX file with all its metadata."""

from dataclasses import replace
from pathlib import Path

from torch import nn

import pixlate
from pixlate.errors import PixlateError
from pixlate.plugin.gan import GAN
from pixlate.plugin.spec import ModelSpec, Padding, Provenance
from pixlate.training.trained import Trained
from pixlate_export.calibration import read_pictures
from pixlate_export.file import Exported, Original, require_place, write_converted
from pixlate_export.norms import compared, with_norm
from pixlate_export.options import ExportOptions
from pixlate_export.pixels import take_masks
from pixlate_export.tracing import outputs_of, trace

DEFAULT = ExportOptions()


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
    trained = Trained.load(run, best, plugin)
    origin = data or ", ".join(folder.name for folder in trained.options.folders)
    provenance = Provenance(origin, trained.checkpoint.step, trained.options.training.seed, licence, pixlate.__version__)
    return export_gan(trained.gan, path, provenance, options, generator, trained.padding)


def export_gan(gan: GAN, path: Path, provenance: Provenance, options: ExportOptions = DEFAULT, generator: str = "", padding: Padding = "reflect") -> Exported:
    """Write one of a GAN's exports as an ONNX file; see :func:`export_run`.

    Where the spec names a teacher, the file does, and has its licence unless another is given.
    """
    exports = gan.exports()
    chosen = exports.get(generator or next(iter(exports)))
    if chosen is None:
        raise PixlateError(f"expected one of the generators {sorted(exports)}, got {generator!r}; choose one for --generator")
    inherited = chosen.spec.provenance
    origin = replace(provenance, licence=provenance.licence or inherited.licence, teacher=provenance.teacher or inherited.teacher)
    return export_network(chosen.module, chosen.spec.with_provenance(origin), path, options, padding)


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
    require_place(path)
    if options.calibration is not None and not spec.takes_image:
        raise PixlateError("expected a model that takes an image for --precision int8, got one that draws its own; use another precision")
    given, before = network.cpu().eval(), spec
    network, spec = with_norm(given, spec, options.norm)
    norms = compared(given, before, spec)
    spec = replace(spec, io="float", precision="float32", padding=padding)
    if options.half_weights:
        for parameter in network.parameters():
            parameter.data = parameter.data.half().float()
    pictures = read_pictures(options.calibration, spec) if options.calibration is not None else None
    model = trace(network, spec, options.written_opset)
    take_masks(model, spec)
    return replace(write_converted(model, spec, Original(outputs_of(network, spec)), path, options, pictures), norms=norms)
